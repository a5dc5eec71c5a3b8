//! What an interface is, by the words that AWS writes into its description.
//!
//! `alb/`, `elb/`, `vpce/` and `tgw/` are what `deploy/prometheus` exempts from the price of
//! crossing zones, so nothing else may get a name that begins with these.

use super::{Interface, name_tag};

/// Where the own name stands in the description.
#[derive(Clone, Copy)]
enum Own {
    /// The first word after the beginning.
    Word,
    /// The part up to the next slash.
    UpToSlash,
    /// The part after `cluster/` of an ARN.
    Cluster,
    /// The first word without the UUID that AWS appends.
    BeforeUuid,
    /// Not in the description: the interface's first security group is closest to it.
    Group,
}

/// Beginning of the description, kind, place of the own name; the first that fits decides.
const DESCRIPTIONS: [(&str, &str, Own); 20] = [
    ("ELB app/", "alb", Own::UpToSlash),
    ("ELB net/", "nlb", Own::UpToSlash),
    ("ELB gwy/", "gwlb", Own::UpToSlash),
    ("ELB ", "elb", Own::Word),
    ("VPC Endpoint Interface ", "vpce", Own::Word),
    ("Interface for NAT Gateway ", "nat", Own::Word),
    (
        "Network Interface for Transit Gateway Attachment ",
        "tgw",
        Own::Word,
    ),
    ("Amazon EKS ", "eks", Own::Word),
    ("Network interface for DBProxy ", "rds-proxy", Own::Word),
    ("RDSNetworkInterface", "rds", Own::Group),
    ("RedshiftNetworkInterface", "redshift", Own::Group),
    ("DMSNetworkInterface", "dms", Own::Group),
    ("ElastiCache ", "elasticache", Own::Word),
    ("DAX ", "dax", Own::Word),
    ("EFS mount target for ", "efs", Own::Word),
    ("ES ", "opensearch", Own::Word),
    (
        "DO NOT DELETE - Amazon MSK network interface for cluster ",
        "msk",
        Own::Cluster,
    ),
    ("AWS Lambda VPC ENI-", "lambda", Own::BeforeUuid),
    ("Route 53 Resolver: ", "resolver", Own::Word),
    (
        "AWS created network interface for directory ",
        "directory",
        Own::Word,
    ),
];

/// Kinds by `InterfaceType`, for descriptions that say less than usual.
const TYPES: [(&str, &str); 8] = [
    ("network_load_balancer", "nlb"),
    ("gateway_load_balancer", "gwlb"),
    ("vpc_endpoint", "vpce"),
    ("gateway_load_balancer_endpoint", "vpce"),
    ("nat_gateway", "nat"),
    ("transit_gateway", "tgw"),
    ("lambda", "lambda"),
    ("efs", "efs"),
];

/// `kind/own name`; `eni/` and the best there is for what is in neither table.
pub(super) fn name(interface: &Interface) -> String {
    by_description(interface).unwrap_or_else(|| {
        let found = TYPES
            .iter()
            .find(|(name, _)| *name == interface.interface_type);
        let kind = found.map_or("eni", |(_, kind)| kind);
        format!("{kind}/{}", fallback(interface))
    })
}

fn by_description(interface: &Interface) -> Option<String> {
    DESCRIPTIONS.iter().find_map(|(start, kind, own)| {
        let rest = interface.description.strip_prefix(start)?;
        let own = match own {
            Own::Word => first_word(rest)?,
            Own::UpToSlash => rest.split_once('/')?.0,
            Own::Cluster => rest.split_once(":cluster/")?.1.split('/').next()?,
            Own::BeforeUuid => without_uuid(first_word(rest)?),
            Own::Group => group(interface),
        };
        (!own.is_empty()).then(|| format!("{kind}/{own}"))
    })
}

/// Without what sets it off from the next word.
fn first_word(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    Some(word.split(':').next().unwrap_or(word).trim_end_matches('.'))
}

/// A UUID has 36 characters, four hyphens among them (RFC 9562, section 4).
fn without_uuid(word: &str) -> &str {
    let Some(at) = word.len().checked_sub(37) else {
        return word;
    };
    match (word.get(..at), word.get(at..)) {
        (Some(own), Some(tail)) if is_uuid(tail) && !own.is_empty() => own,
        _ => word,
    }
}

fn is_uuid(tail: &str) -> bool {
    let hyphens = |(at, byte): (usize, u8)| (byte == b'-') == [0, 9, 14, 19, 24].contains(&at);
    tail.bytes().enumerate().all(hyphens)
}

fn group(interface: &Interface) -> &str {
    let group = interface.groups.first().map(|group| &*group.group_name);
    group.unwrap_or_else(|| fallback(interface))
}

/// The name that its owner gave it, else its description, else its id.
fn fallback(interface: &Interface) -> &str {
    let description = Some(interface.description.trim()).filter(|text| !text.is_empty());
    name_tag(&interface.tag_set)
        .or(description)
        .unwrap_or(&interface.network_interface_id)
}
