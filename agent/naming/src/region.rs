//! AWS regions, as the names of zones tell them.

/// The region of a zone: `us-east-2` of `us-east-2a`, `us-west-2` of the Local Zone
/// `us-west-2-lax-1a`. `None` for names that AWS does not give: these tell no region.
///
/// Source: <https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-availability-zones.html>:
/// a region is words and a number, joined by hyphens; what follows names the zone within it.
pub fn of_zone(zone: &str) -> Option<&str> {
    let end = end_of_region(zone)?;
    (end < zone.len()).then(|| &zone[..end])
}

/// True for the name of a region, and not of a zone.
pub fn is_region(text: &str) -> bool {
    end_of_region(text) == Some(text.len())
}

/// True for the id of a zone, such as `use2-az1` or `usw2-lax1-az1`, which is not its name.
pub fn is_zone_id(text: &str) -> bool {
    let number = text
        .rsplit_once('-')
        .and_then(|(_, last)| last.strip_prefix("az"));
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Where the words and the number end; two words at least.
fn end_of_region(text: &str) -> Option<usize> {
    let mut at = 0;
    for (index, part) in text.split('-').enumerate() {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let rest = part[digits..].bytes();
            let is_zone = rest.clone().all(|byte| byte.is_ascii_lowercase());
            return (index >= 2 && is_zone).then_some(at + digits);
        }
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        at += part.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_zone_tells_its_region() {
        for (zone, region) in [
            ("us-east-2a", Some("us-east-2")),
            ("us-gov-west-1b", Some("us-gov-west-1")),
            ("cn-northwest-1c", Some("cn-northwest-1")),
            ("ap-southeast-5a", Some("ap-southeast-5")),
            ("us-west-2-lax-1a", Some("us-west-2")),
            ("us-east-1-wl1-bos-wlz-1", Some("us-east-1")),
            ("eusc-de-east-1a", Some("eusc-de-east-1")),
            // No zones of AWS.
            ("us-east-2", None),
            ("us-central1-a", None),
            ("westus-1", None),
            ("dc-rack-1", None),
            ("rack-1a", None),
            ("a", None),
            ("", None),
        ] {
            assert_eq!(of_zone(zone), region, "{zone}");
        }
    }

    #[test]
    fn a_region_is_no_zone() {
        for region in ["us-east-2", "us-gov-west-1", "cn-north-1"] {
            assert!(is_region(region), "{region}");
        }
        for other in ["us-east-2a", "US-EAST-2", "ohio", "use2-az1", ""] {
            assert!(!is_region(other), "{other}");
        }
        for id in ["use2-az1", "usgw1-az3", "usw2-lax1-az1"] {
            assert!(is_zone_id(id), "{id}");
        }
        for other in ["us-east-2a", "a", "rack-az", "us-west-2-lax-1a", ""] {
            assert!(!is_zone_id(other), "{other}");
        }
    }
}
