//! Behind every address that a node translates, the metrics name whoever really got the bytes.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod balanced;
mod cluster;
mod document;
mod load;
mod methods;
mod moved;
mod net410;
mod party;
mod path;
mod paths;
mod table;

use zonemeter_lab::{Family, KubeProxy};

use cluster::Cluster;
use table::{Mode, Row, Table};

/// Every path by which a packet of a pod may go, in each way of kube-proxy: the bytes at both
/// ends are equal, to the byte, and what they are called is right. `docs/services.md` shows it.
#[test]
fn every_path_is_exact_at_both_ends() {
    let mut table = Table::default();
    for (mode, kube_proxy, family) in [
        (Mode::Iptables, KubeProxy::Iptables, Family::V4),
        (Mode::Nftables, KubeProxy::Nftables, Family::V4),
        (Mode::Ipv6, KubeProxy::Iptables, Family::V6),
    ] {
        let mut cluster = Cluster::raise(&format!("services-{}", mode.name()), kube_proxy, family);
        for path in paths::all(&cluster) {
            let shown = path.take(&mut cluster);
            table.add_path(mode, &path, &shown);
        }
        for (title, service, backends) in [
            ("pod → ClusterIP, three backends", balanced::SPREAD, 3),
            ("the same with session affinity", balanced::STICKY, 1),
        ] {
            let (called, methods) = balanced::call(&mut cluster, service);
            assert_eq!(called, backends, "{title}");
            let each = |whom: &str| format!("{whom} by its bytes");
            let row = Row {
                title,
                carries: "TCP, 40 connections",
                at_client: match backends {
                    1 => each("the one that was called,"),
                    _ => each("each"),
                },
                at_server: "Pod client".to_owned(),
            };
            table.add(mode, row, &methods);
        }
    }
    table.check();
}
