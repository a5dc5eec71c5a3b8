//! `metadata.uid`, of which a large cluster has ten thousand.

use std::{fmt, sync::Arc};

use uuid::Uuid;

/// A uid as Kubernetes gave it: by convention a UUID in lower case, by contract any string.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uid(Form);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    /// A UUID takes 16 bytes in place of 36 and an allocation.
    Uuid(Uuid),
    Other(Arc<str>),
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self(match uuid(text) {
            Some(uuid) => Form::Uuid(uuid),
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
fn uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    let again = uuid.hyphenated();
    (again.encode_lower(&mut Uuid::encode_buffer()) == text).then_some(uuid)
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Other(text) => f.write_str(text),
            Form::Uuid(uuid) => uuid.hyphenated().fmt(f),
        }
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
