//! Names that the lab gives to namespaces and interfaces.
//!
//! Every name carries the lab's own, so that labs can stand beside each other and so that what a
//! killed run left behind is found again by its name alone.

use std::fmt;

use anyhow::{Result, ensure};
use sha1::{Digest, Sha1};

/// Longest name of a member of a lab (a node or a pod's key is not bounded by it): with the
/// prefix `up-` and the suffix `-1` it must fit the kernel's 15 bytes (IFNAMSIZ less the NUL).
const MAX_NODE_NAME: usize = 10;

/// The name of one lab: lower-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabName(String);

impl LabName {
    /// Checks and takes `name`. The dot is excluded because it separates lab and member in the
    /// names of namespaces: without it the lab `a` would sweep away the lab `a-b`.
    pub(crate) fn new(name: &str) -> Result<Self> {
        ensure!(
            is_label(name) && name.len() <= 40,
            "lab name {name:?}: use 1 to 40 of a-z, 0-9 and '-'"
        );
        Ok(Self(name.to_owned()))
    }

    /// The name of the namespace that stands for `member`.
    pub(crate) fn namespace(&self, member: &str) -> String {
        format!("{}{member}", self.namespace_prefix())
    }

    /// What the names of all namespaces of this lab start with, and of no other lab.
    pub(crate) fn namespace_prefix(&self) -> String {
        format!("zm.{}.", self.0)
    }

    /// The root namespace's end of node number `index`'s management link.
    pub(crate) fn management_link(&self, index: usize) -> String {
        format!("{}{index}", self.management_prefix())
    }

    /// What the names of this lab's management links start with.
    pub(crate) fn management_prefix(&self) -> String {
        format!("zm{}-", &hex(&self.digest())[..6])
    }

    /// The hash of the name: spreads labs over ranges that they share, such as addresses.
    pub(crate) fn digest(&self) -> [u8; 20] {
        Sha1::digest(self.0.as_bytes()).into()
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The host-side veth of a pod as the AWS VPC CNI names it: `eni` and the first 11 hex digits of
/// the SHA-1 of `<namespace>.<pod>` (amazon-vpc-cni-k8s, `pkg/networkutils/names.go`).
pub(crate) fn host_veth(namespace: &str, pod: &str) -> String {
    let digest = Sha1::digest(format!("{namespace}.{pod}").as_bytes());
    format!("eni{}", &hex(&digest)[..11])
}

/// The host-side veth of a pod of security groups in strict mode: the same hash, another prefix
/// (`pkg/sgpp/utils.go` there).
pub(crate) fn branch_veth(namespace: &str, pod: &str) -> String {
    host_veth(namespace, pod).replace("eni", "vlan")
}

/// The host side of a pod's IPv4 egress: `veth` and 8 hex digits that say nothing
/// (containernetworking, `pkg/ip.RandomVethName`). Random there, repeatable here.
pub(crate) fn egress_veth(namespace: &str, pod: &str) -> String {
    let digest = Sha1::digest(format!("egress of {namespace}/{pod}").as_bytes());
    format!("veth{}", &hex(&digest)[..8])
}

/// The router's end of uplink number `eni` (0: primary) of `node`.
pub(crate) fn router_uplink(node: &str, eni: usize) -> String {
    format!("up-{node}-{eni}")
}

/// Checks the lab's short name of a node.
pub(crate) fn check_node(name: &str) -> Result<()> {
    ensure!(
        is_label(name) && name.len() <= MAX_NODE_NAME,
        "node name {name:?}: use 1 to {MAX_NODE_NAME} of a-z, 0-9 and '-'"
    );
    Ok(())
}

/// The first characters of a Kubernetes-like chain name: base 32 of a hash, upper case.
pub(crate) fn chain_suffix(text: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    Sha1::digest(text.as_bytes())
        .iter()
        .take(16)
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect()
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_label(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_veth_follows_the_cni() {
        // sha1sum of "default.podA" starts with 7f94ce7c295.
        assert_eq!(host_veth("default", "podA"), "eni7f94ce7c295");
    }

    #[test]
    fn a_lab_does_not_own_the_namespaces_of_a_lab_whose_name_it_starts() {
        let (short, long) = (LabName::new("a").unwrap(), LabName::new("a-b").unwrap());
        assert!(!long.namespace("x").starts_with(&short.namespace_prefix()));
        assert!(LabName::new("a.b").is_err());
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        assert!(router_uplink(&"n".repeat(MAX_NODE_NAME), 1).len() <= 15);
        assert!(LabName::new("any").unwrap().management_link(99).len() <= 15);
    }
}
