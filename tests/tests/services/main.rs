//! Behind every address that a node translates, the metrics name whoever really got the bytes.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod balanced;
mod cluster;
mod connections;
mod document;
mod exchange;
mod load;
mod methods;
mod moved;
mod net410;
mod party;
mod path;
mod paths;
mod table;

use std::{panic, thread};

use zonemeter_lab::{Family, KubeProxy};

use cluster::Cluster;
use moved::Methods;
use table::{Mode, Row, Table};

/// Every path by which a packet of a pod may go, in each way of kube-proxy: the bytes at both
/// ends are equal, to the byte, and what they are called is right. `docs/services.md` shows it.
///
/// The clusters stand side by side: most of a path is waiting.
#[test]
fn every_path_is_exact_at_both_ends() {
    let modes = [
        (Mode::Iptables, KubeProxy::Iptables, Family::V4),
        (Mode::Nftables, KubeProxy::Nftables, Family::V4),
        (Mode::Ipv6, KubeProxy::Iptables, Family::V6),
    ];
    let mut table = Table::default();
    let columns = modes.map(|(mode, kube_proxy, family)| {
        let name = format!("services-{}", mode.name());
        thread::spawn(move || column(&name, kube_proxy, family))
    });
    for ((mode, ..), column) in modes.into_iter().zip(columns) {
        let rows = column
            .join()
            .unwrap_or_else(|panic| panic::resume_unwind(panic));
        rows.into_iter()
            .for_each(|(row, methods)| table.add(mode, row, &methods));
    }
    table.check();
}

/// Takes all paths in a cluster of its own.
fn column(name: &str, kube_proxy: KubeProxy, family: Family) -> Vec<(Row, Methods)> {
    let mut cluster = Cluster::raise(name, kube_proxy, family);
    let mut rows = Vec::new();
    for path in paths::all(&cluster) {
        let shown = path.take(&mut cluster);
        rows.push((Row::of(&path, &shown), shown.methods));
    }
    for (title, service, backends, at_client) in [
        (
            "pod → ClusterIP, three backends",
            balanced::SPREAD,
            3,
            "each backend by its bytes",
        ),
        (
            "pod → ClusterIP, three backends, session affinity",
            balanced::STICKY,
            1,
            "the one that is called",
        ),
    ] {
        let (called, methods) = balanced::call(&mut cluster, service);
        assert_eq!(called, backends, "{name}: {title}");
        let row = Row {
            title,
            carries: "TCP, 40 connections",
            at_client: at_client.to_owned(),
            at_server: "Pod client".to_owned(),
        };
        rows.push((row, methods));
    }
    rows
}
