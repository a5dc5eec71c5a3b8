//! What the VPC CNI does with source addresses, from the environment of its own container: whoever
//! watches pods is told of it, so it takes no further right.

use super::{
    field::{Unread, quoted},
    wire::{PodSpec, Variable},
};
use zonemeter_model::{address, cluster::SourceNat};

/// Where EKS installs the CNI. Elsewhere a pod of anybody could pass for it.
const NAMESPACE: &str = "kube-system";
/// The CNI's container, in the DaemonSet of the same name.
const CONTAINER: &str = "aws-node";
const EXTERNAL: &str = "AWS_VPC_K8S_CNI_EXTERNALSNAT";
const EXCLUDED: &str = "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS";

/// `None` for a pod that is not the CNI's.
pub(super) fn source_nat(
    namespace: &str,
    spec: Option<&PodSpec>,
    unread: &mut Unread,
) -> Option<SourceNat> {
    let containers = &spec.filter(|_| namespace == NAMESPACE)?.containers;
    // Of other pods nothing of this is wanted, so it is not said where it cannot be read.
    let mut unsaid = Unread::default();
    let containers = containers.each("spec.containers", &mut unsaid);
    let mut found = containers.into_iter();
    let cni = found.find(|one| one.name.text("", &mut unsaid) == Some(CONTAINER))?;
    let field = "spec.containers.env";
    let variables = cni.env.each(field, unread);
    let mut value = |name| {
        let is = |one: &&Variable| one.name.text(field, &mut Unread::default()) == Some(name);
        let mut named = variables.iter().copied();
        named.find(|one| is(one))?.value.text(field, unread)
    };
    let (external, excluded) = (value(EXTERNAL), value(EXCLUDED));
    Some(SourceNat {
        // As the CNI reads it: Go's strconv.ParseBool.
        external: matches!(external, Some("1" | "t" | "T" | "true" | "TRUE" | "True")),
        excluded: ranges(excluded.unwrap_or_default(), unread),
    })
}

fn ranges(text: &str, unread: &mut Unread) -> Vec<ipnet::IpNet> {
    let mut ranges = Vec::new();
    let texts = text.split(',').map(str::trim);
    for text in texts.filter(|text| !text.is_empty()) {
        match address::range(text) {
            // The CNI takes host bits, and so does iptables.
            Ok(range) | Err(address::NoRange::HostBits(range)) => ranges.push(range),
            Err(address::NoRange::Unreadable) => unread.note(EXCLUDED, &quoted(text), "a range"),
        }
    }
    ranges
}
