//! Short names of zones: what all of them begin with is left out.

/// `us-east-` of `us-east-2a` and `us-east-2b`, up to the last hyphen that all of them share.
pub(super) fn shared<'a>(zones: impl Iterator<Item = &'a str>) -> &'a str {
    let mut known = zones.filter(|zone| !zone.is_empty());
    let Some(first) = known.next() else {
        return "";
    };
    let whole = up_to_hyphen(first, first.len());
    known.fold(whole, |shared, zone| {
        let same = shared.bytes().zip(zone.bytes());
        let same = same.take_while(|(one, other)| one == other).count();
        up_to_hyphen(shared, same)
    })
}

fn up_to_hyphen(text: &str, length: usize) -> &str {
    let hyphen = text.as_bytes()[..length]
        .iter()
        .rposition(|byte| *byte == b'-');
    &text[..hyphen.map_or(0, |hyphen| hyphen + 1)]
}

/// `2a>2b`, `2a=2a` inside a zone, `2a>-` where the other end has none.
pub(super) fn between(zone: &str, peer_zone: &str, shared: &str) -> String {
    let sign = match zone == peer_zone && !zone.is_empty() {
        true => '=',
        false => '>',
    };
    format!("{}{sign}{}", short(zone, shared), short(peer_zone, shared))
}

/// `2a`; `-` where no zone is known.
pub(super) fn short(zone: &str, shared: &str) -> String {
    match zone {
        "" => "-".to_owned(),
        zone => zone.strip_prefix(shared).unwrap_or(zone).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_zones_begin_with_is_found() {
        for (zones, expected) in [
            (vec!["us-east-2a", "", "us-east-2b"], "us-east-"),
            (vec!["us-east-2a"], "us-east-"),
            (vec!["us-east-1a", "us-west-2a"], "us-"),
            (vec!["us-east-2a", "us-east-2-bos-1a"], "us-east-"),
            (vec!["eu-west-1a", "us-east-2b"], ""),
            (vec!["größe-a", "größte-b"], ""),
            (vec![""], ""),
            (vec![], ""),
        ] {
            assert_eq!(shared(zones.iter().copied()), expected, "{zones:?}");
        }
    }

    #[test]
    fn a_pair_of_zones_is_short() {
        assert_eq!(between("us-east-2a", "us-east-2b", "us-east-"), "2a>2b");
        assert_eq!(between("us-east-2a", "us-east-2a", "us-east-"), "2a=2a");
        assert_eq!(between("us-east-2a", "", "us-east-"), "2a>-");
        assert_eq!(between("", "", ""), "->-");
    }
}
