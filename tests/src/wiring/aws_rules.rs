//! The iptables rules that the AWS VPC CNI keeps on a node: source NAT for what leaves the VPC
//! and the connection mark that keeps replies on the primary ENI.
//!
//! Chains and order follow `pkg/networkutils/network.go` of amazon-vpc-cni-k8s.

use std::net::Ipv4Addr;

use crate::{address::VPC_V4, wiring::second_veth::EGRESS_RANGE};

/// Lines of the `mangle` table.
pub(crate) fn mangle() -> String {
    "*mangle\n\
     -A PREROUTING -i eth0 -m comment --comment \"AWS, primary ENI\" -m addrtype \
     --dst-type LOCAL --limit-iface-in -j CONNMARK --set-xmark 0x80/0x80\n\
     -A PREROUTING -i eni+ -m comment --comment \"AWS, primary ENI\" -j CONNMARK \
     --restore-mark --nfmask 0x80 --ctmask 0x80\n\
     COMMIT\n"
        .to_owned()
}

/// Chains of the `nat` table.
pub(crate) const NAT_CHAINS: &str = ":AWS-SNAT-CHAIN-0 - [0:0]\n:AWS-CONNMARK-CHAIN-0 - [0:0]\n";

/// Rules of the `nat` table that come before kube-proxy's. The last one stands for the chain that
/// the egress plugin makes for each pod (containernetworking `pkg/ip.SetupIPMasq`).
pub(crate) fn nat(node: Ipv4Addr) -> String {
    format!(
        "-A PREROUTING -i eni+ -m comment --comment \"AWS, outbound connections\" \
         -j AWS-CONNMARK-CHAIN-0\n\
         -A PREROUTING -m comment --comment \"AWS, CONNMARK\" -j CONNMARK --restore-mark \
         --nfmask 0x80 --ctmask 0x80\n\
         -A POSTROUTING -m comment --comment \"AWS SNAT CHAIN\" -j AWS-SNAT-CHAIN-0\n\
         -A AWS-CONNMARK-CHAIN-0 -d {VPC_V4} -m comment --comment \"AWS CONNMARK CHAIN, VPC CIDR\" \
         -j RETURN\n\
         -A AWS-CONNMARK-CHAIN-0 -m comment --comment \"AWS, CONNMARK\" -j CONNMARK \
         --set-xmark 0x80/0x80\n\
         -A AWS-SNAT-CHAIN-0 -d {VPC_V4} -m comment --comment \"AWS SNAT CHAIN\" -j RETURN\n\
         -A AWS-SNAT-CHAIN-0 ! -o vlan+ -m comment --comment \"AWS, SNAT\" -m addrtype \
         ! --dst-type LOCAL -j SNAT --to-source {node} --random-fully\n\
         -A POSTROUTING -s {EGRESS_RANGE} ! -d 224.0.0.0/4 -m comment --comment egress \
         -j SNAT --to-source {node} --random-fully\n"
    )
}
