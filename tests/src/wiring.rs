//! Turns the plan's parts into lines for `ip -batch`, rule sets and kernel parameters. Text in,
//! nothing run: [`crate::Lab`] feeds it to the tools.

use std::time::Duration;

pub(crate) mod aws_rules;
pub(crate) mod branch_eni;
pub(crate) mod dns_cache;
pub(crate) mod kube_proxy;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod second_veth;
pub(crate) mod vpc;

/// Longer than the longest pause between two packets that a pod sends by itself at its start: who
/// has counted nothing for so long will count nothing more. In the lab the kernel repeats its
/// multicast reports within milliseconds instead of the second that is its default.
pub const SILENCE: Duration = Duration::from_millis(300);
/// Milliseconds.
const MULTICAST_REPORTS_WITHIN: &str = "20";

/// A locally administered unicast address. `kind` tells apart the ends that face each other,
/// `number` the devices of one kind.
pub(crate) fn mac(kind: u8, number: usize) -> String {
    let [high, low] = (number as u16).to_be_bytes();
    format!("02:5a:{kind:02x}:00:{high:02x}:{low:02x}")
}

/// Kernel parameters below `/proc/sys/net` that every namespace of the lab gets before its first
/// interface: addresses of IPv6 are usable at once, nothing is learned from router
/// advertisements or redirects, and the multicast reports of a new interface are soon over.
pub(crate) fn common_sysctls() -> Vec<(String, &'static str)> {
    let mut settings = Vec::new();
    for scope in ["all", "default"] {
        for (name, value) in [
            ("accept_dad", "0"),
            ("accept_ra", "0"),
            ("accept_redirects", "0"),
            (
                "mldv2_unsolicited_report_interval",
                MULTICAST_REPORTS_WITHIN,
            ),
        ] {
            settings.push((format!("ipv6/conf/{scope}/{name}"), value));
        }
        for name in ["accept_redirects", "send_redirects", "rp_filter"] {
            settings.push((format!("ipv4/conf/{scope}/{name}"), "0"));
        }
    }
    settings
}

/// Kernel parameters of a namespace with TCP endpoints. A window of half a megabyte keeps what is
/// under way below the 1000 packets that the kernel queues per processor between two namespaces:
/// a packet dropped there would have passed the tc hook and not the wire.
pub(crate) fn endpoint_sysctls() -> Vec<(String, &'static str)> {
    vec![("ipv4/tcp_rmem".to_owned(), "4096 131072 1048576")]
}

/// Lets a namespace forward in both families.
pub(crate) fn forwarding_sysctls() -> Vec<(String, &'static str)> {
    vec![
        ("ipv4/ip_forward".to_owned(), "1"),
        ("ipv6/conf/all/forwarding".to_owned(), "1"),
    ]
}
