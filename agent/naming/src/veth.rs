//! Host-side veth names: a prefix and the first 11 hex digits of sha1(`namespace.pod`).
//!
//! Source: amazon-vpc-cni-k8s `pkg/networkutils/names.go`. The prefix is `eni` by default, `vlan`
//! for security groups for pods, and at most 4 characters. The name says nothing about the node,
//! so it names a pod only among the pods of one node. The veth of a pod's second NIC has the hash
//! of `namespace.pod.1`, and so on (cmd/routed-eni-cni-plugin/cni.go there).

use sha1::{Digest, Sha1};
use zonemeter_model::cluster::Name;

/// Hex digits of the hash in a name; 44 bits.
const DIGITS: usize = 11;
/// NICs beyond the first whose names are known; those of a pod with more lead into the same network
/// namespace.
const FURTHER_NICS: usize = 3;
/// Longest prefix that the CNI accepts.
const LONGEST_PREFIX: usize = 4;

/// The hash part of a veth's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct VethHash(u64);

impl VethHash {
    /// The hash that the CNI puts into the name of this pod's veth.
    pub(crate) fn of_pod(pod: &Name) -> Self {
        Self::of(&format!("{}.{}", pod.namespace, pod.name))
    }

    /// The same for the veths of its second NIC, its third, and so on.
    pub(crate) fn of_further_nics(pod: &Name) -> [Self; FURTHER_NICS] {
        let Name { namespace, name } = pod;
        std::array::from_fn(|index| Self::of(&format!("{namespace}.{name}.{}", index + 1)))
    }

    fn of(text: &str) -> Self {
        let digest = Sha1::digest(text);
        let first_48_bits = digest
            .iter()
            .take(6)
            .fold(0, |hash, byte| hash << 8 | u64::from(*byte));
        Self(first_48_bits >> 4)
    }

    /// The hash in an interface's name; `None` where the name is not a prefix and a hash.
    pub(crate) fn in_name(interface: &str) -> Option<Self> {
        let (prefix, digits) = interface.split_at_checked(interface.len().checked_sub(DIGITS)?)?;
        let is_prefix = (1..=LONGEST_PREFIX).contains(&prefix.len());
        let is_hash = digits
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        (is_prefix && is_hash).then(|| u64::from_str_radix(digits, 16).ok().map(Self))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(namespace: &str, name: &str) -> Name {
        Name {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The vector was read off a veth that the CNI had made, and agrees with
    /// `printf default.podA | sha1sum`.
    #[test]
    fn the_name_of_a_pods_veth_holds_its_hash() {
        let hash = VethHash::of_pod(&pod("default", "podA"));
        assert_eq!(hash, VethHash(0x7f94ce7c295));
        assert_eq!(VethHash::in_name("eni7f94ce7c295"), Some(hash));
        assert_eq!(VethHash::in_name("vlan7f94ce7c295"), Some(hash));
        assert_ne!(hash, VethHash::of_pod(&pod("default", "poda")));
    }

    /// `printf default.podA.1 | sha1sum`
    #[test]
    fn the_name_of_a_second_nics_veth_holds_its_index() {
        let hashes = VethHash::of_further_nics(&pod("default", "podA"));
        assert_eq!(VethHash::in_name("eni442eabed368"), Some(hashes[0]));
    }

    #[test]
    fn other_names_hold_no_hash() {
        for name in [
            "",
            "eth0",
            "7f94ce7c295",
            "vlan.eth.1",
            "veth1a2b3c4d",
            "enixf94ce7c295",
        ] {
            assert_eq!(VethHash::in_name(name), None, "{name}");
        }
        for name in ["eni7F94CE7C295", "longer7f94ce7c295", "ëëëëëëëëëëë"] {
            assert_eq!(VethHash::in_name(name), None, "{name}");
        }
    }
}
