//! `metadata.uid`, of which a large cluster has ten thousand.

use std::{fmt, sync::Arc};

/// Digits of each group of a UUID's text, between hyphens (RFC 9562 §4).
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// A uid as Kubernetes gave it: by convention a UUID in lower case, by contract any string.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uid(Form);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    /// A UUID takes 16 bytes in place of 36 and an allocation. Big-endian; as a number it would
    /// have to begin at a multiple of 16.
    Uuid([u8; 16]),
    Other(Arc<str>),
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self(match uuid(text) {
            Some(uuid) => Form::Uuid(uuid.to_be_bytes()),
            None => Form::Other(text.into()),
        })
    }
}

impl From<String> for Uid {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

/// `None` for everything that would not be written in the same way again.
fn uuid(text: &str) -> Option<u128> {
    let mut groups = text.split('-');
    let mut uuid = 0_u128;
    for digits in GROUPS {
        let group = groups.next().filter(|group| group.len() == digits)?;
        for digit in group.bytes() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            uuid = uuid << 4 | u128::from(value);
        }
    }
    groups.next().is_none().then_some(uuid)
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Other(text) => f.write_str(text),
            Form::Uuid(uuid) => {
                let text = format!("{:032x}", u128::from_be_bytes(*uuid));
                let mut rest = text.as_str();
                for (index, digits) in GROUPS.into_iter().enumerate() {
                    let (group, after) = rest.split_at(digits);
                    write!(f, "{}{group}", if index == 0 { "" } else { "-" })?;
                    rest = after;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uid_stays_itself() {
        for text in [
            "0d9a1f7c-00b1-4c5e-8f00-00000000000a",
            "00000000-0000-0000-0000-000000000000",
            // These are no UUIDs as Kubernetes writes them, so they stay text.
            "0D9A1F7C-00B1-4C5E-8F00-00000000000A",
            "0d9a1f7c-00b1-4c5e-8f00-00000000000a-",
            "0d9a1f7c00b14c5e8f0000000000000a",
            "+d9a1f7c-00b1-4c5e-8f00-00000000000a",
            "uid-1",
            "",
        ] {
            assert_eq!(Uid::from(text).to_string(), text);
        }
    }

    #[test]
    fn different_uids_differ() {
        let one = Uid::from("0d9a1f7c-00b1-4c5e-8f00-00000000000a");
        assert_eq!(one, "0d9a1f7c-00b1-4c5e-8f00-00000000000a".into());
        assert_ne!(one, "0d9a1f7c-00b1-4c5e-8f00-00000000000b".into());
        assert_ne!(one, "0D9A1F7C-00B1-4C5E-8F00-00000000000A".into());
    }

    #[test]
    fn a_uuid_needs_no_allocation() {
        let uid = Uid::from("0d9a1f7c-00b1-4c5e-8f00-00000000000a");
        assert!(matches!(uid.0, Form::Uuid(_)));
    }
}
