//! Short names of zones: what all of them share is said once.

use std::collections::BTreeSet;

/// What the names of all zones begin with, up to its last hyphen: `us-east-` of `us-east-2a` and
/// `us-east-2b`. Empty where they share nothing.
pub(super) struct Prefix(String);

impl Prefix {
    /// The prefix of `zones`; empty names (no zone is known) do not count.
    pub(super) fn of<'a>(zones: impl IntoIterator<Item = &'a str>) -> Self {
        let zones: BTreeSet<&str> = zones.into_iter().filter(|zone| !zone.is_empty()).collect();
        let (Some(first), Some(last)) = (zones.first(), zones.last()) else {
            return Self(String::new());
        };
        // Of sorted names the first and the last share least.
        let shared = first
            .char_indices()
            .zip(last.chars())
            .take_while(|((_, one), other)| one == other)
            .filter(|((_, one), _)| *one == '-')
            .last();
        let end = shared.map_or(0, |((index, _), _)| index + 1);
        Self(first[..end].to_owned())
    }

    /// `zone` without the prefix, `-` where it is not known.
    pub(super) fn short<'a>(&self, zone: &'a str) -> &'a str {
        match zone {
            "" => "-",
            zone => zone.strip_prefix(&self.0).unwrap_or(zone),
        }
    }

    /// One example of what was left out; nothing where nothing was.
    pub(super) fn note<'a>(&self, zones: impl IntoIterator<Item = &'a str>) -> Option<String> {
        let mut zones = zones.into_iter().filter(|zone| !zone.is_empty());
        let zone = zones.find(|_| !self.0.is_empty())?;
        Some(format!("zone {} is {zone}", self.short(zone)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_zones_share_is_left_out() {
        let prefix = Prefix::of(["us-east-2a", "", "us-east-2b"]);
        assert_eq!(prefix.short("us-east-2a"), "2a");
        assert_eq!(prefix.short(""), "-");
        assert_eq!(
            prefix.note(["", "us-east-2a"]),
            Some("zone 2a is us-east-2a".to_owned())
        );
    }

    #[test]
    fn zones_that_share_no_part_stay_whole() {
        let prefix = Prefix::of(["eu-west-1a", "us-east-2b"]);
        assert_eq!(prefix.short("us-east-2b"), "us-east-2b");
        assert_eq!(prefix.note(["us-east-2b"]), None);
        assert_eq!(
            Prefix::of(["us-east-1a", "us-west-2a"]).short("us-west-2a"),
            "west-2a"
        );
    }

    #[test]
    fn one_zone_is_shortened_too() {
        assert_eq!(Prefix::of(["us-east-2a"]).short("us-east-2a"), "2a");
        assert_eq!(Prefix::of(["a"]).short("a"), "a");
    }
}
