//! The cluster feed against a real API server. What the stream of changes implies is compared
//! with the API's content, read and trimmed here by other means (k8s-openapi's full types).

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "live_cluster/api.rs"]
mod api;
#[path = "live_cluster/book.rs"]
mod book;
#[path = "live_cluster/churn.rs"]
mod churn;
#[path = "live_cluster/relay.rs"]
#[expect(dead_code, reason = "tests cut and stall, the benchmark counts")]
mod relay;
#[path = "live_cluster/running.rs"]
mod running;

use std::{path::PathBuf, time::Duration};

use serde_json::json;
use zonemeter_cluster::Source;
use zonemeter_lab::control_plane::ControlPlane;
use zonemeter_model::cluster::Kind;

use crate::{
    api::Api,
    churn::Churn,
    relay::Relay,
    running::{NODE, Running},
};

/// Longer than the longest pause between two attempts, with a list after it.
const RECOVERY: Duration = Duration::from_secs(60);

/// More flags of an API server.
type Arguments = &'static [&'static str];
/// Lists are streamed, as by default in Kubernetes 1.32 and from 1.34.
const STREAMED: Arguments = &[];
/// Lists come from the watch cache, as by default up to Kubernetes 1.31 and in 1.33.
const CACHED: Arguments = &["--feature-gates=WatchList=false"];

/// A control plane and what tests need to talk to it.
async fn control_plane(arguments: Arguments) -> (ControlPlane, Api) {
    let start = move || ControlPlane::start(arguments).unwrap();
    let plane = tokio::task::spawn_blocking(start).await.unwrap();
    let api = Api::new(&plane.admin_kubeconfig().unwrap()).await;
    (plane, api)
}

async fn lists_and_follows_every_kind(lists: Arguments) {
    let (plane, api) = control_plane(lists).await;
    api.seed().await;
    let mut feed = Running::start(&plane.admin_kubeconfig().unwrap());
    feed.listed().await;
    feed.equals(&api).await;

    api.label_node("n1", "topology.kubernetes.io/zone", "us-east-2c")
        .await;
    api.make_pod("default", "late", Some(NODE), "10.1.0.99")
        .await;
    api.make_pod("default", "elsewhere", Some("n2"), "10.2.0.99")
        .await;
    api.finish_pod("default", "web-1").await;
    api.delete_pod("default", "web-2").await;
    // A StatefulSet's pod that moves between the two watches of pods, both ways.
    for (node, address) in [
        ("n2", "10.2.0.50"),
        (NODE, "10.1.0.51"),
        ("n2", "10.2.0.52"),
    ] {
        api.delete_pod("default", "db-0").await;
        api.make_pod("default", "db-0", Some(node), address).await;
    }
    feed.equals(&api).await;
    assert_eq!(feed.lists_done(), [1, 1, 1, 1]);
}

/// `--cluster-file` promises to read what kubectl prints.
#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_prints_is_the_same_cluster() {
    let (plane, api) = control_plane(STREAMED).await;
    api.seed().await;
    for format in ["json", "yaml"] {
        let kinds = "nodes,pods,services,endpointslices";
        let printed = plane.kubectl(&["get", kinds, "--all-namespaces", "--output", format]);
        let path = plane.folder().join(format!("cluster.{format}"));
        std::fs::write(&path, printed.unwrap()).unwrap();
        let mut feed = Running::of(Source::File(path));
        feed.listed().await;
        feed.equals(&api).await;
    }
}

/// Pods that wait for a scheduler belong to "all others" until they come to this node.
async fn a_pod_that_is_scheduled_here_stays(lists: Arguments) {
    let (plane, api) = control_plane(lists).await;
    api.seed().await;
    let mut feed = Running::start(&plane.admin_kubeconfig().unwrap());
    feed.listed().await;
    for round in 0..20 {
        let name = format!("waiting-{round}");
        api.make_pod("default", &name, None, "").await;
        api.bind_pod("default", &name, NODE).await;
    }
    feed.equals(&api).await;
}

/// 100 pods come and 100 go each second for 20 seconds, or for a minute with `ZONEMETER_FULL_SIZE`
/// set; meanwhile the server is killed.
async fn equals_the_api_after_a_restart_under_churn(lists: Arguments) {
    let (mut plane, api) = control_plane(lists).await;
    api.seed().await;
    let mut feed = Running::start(&plane.admin_kubeconfig().unwrap());
    feed.listed().await;
    let seconds = if std::env::var_os("ZONEMETER_FULL_SIZE").is_some() {
        60
    } else {
        20
    };
    let mut churn = Churn::start(&api, 100, 100 * seconds);
    churn.reaches(100 * seconds / 3).await;
    tokio::task::block_in_place(|| {
        plane.kill_api();
        plane.start_api().unwrap();
    });
    churn.finish().await;
    feed.equals(&api).await;
    feed.works().await;
}

async fn what_vanished_while_the_watch_was_down_is_gone(lists: Arguments) {
    let (mut plane, api) = control_plane(lists).await;
    api.seed().await;
    let relay = Relay::start(plane.address()).await;
    let token = plane.folder().join("admin.token");
    let mut feed = Running::start(&plane.kubeconfig("relay", relay.address(), &token).unwrap());
    feed.equals(&api).await;
    feed.listed().await;
    let before = feed.book();
    relay.cut();
    feed.failing("pods of this node", "cannot").await;
    for name in ["web-0", "web-1", "elsewhere-0"] {
        api.delete_pod("default", name).await;
    }
    api.make_pod("default", "web-0", Some("n2"), "10.2.0.77")
        .await;
    let others = ["node/n3", "service/db", "endpointslice/web-abc"];
    let deleted = plane.kubectl(&[["delete", "--namespace=default"].as_slice(), &others].concat());
    deleted.unwrap();
    // A server that has just started knows no history: it answers 410 to what went before.
    tokio::task::block_in_place(|| {
        plane.kill_api();
        plane.start_api().unwrap();
    });
    assert_eq!(feed.book(), before, "what is known stays in use");
    relay.mend();
    feed.equals(&api).await;
    feed.works().await;
    assert_eq!(feed.lists_done()[1], 2, "a list after 410");
}

async fn a_list_that_breaks_off_takes_nothing_away(lists: Arguments) {
    let (mut plane, api) = control_plane(lists).await;
    api.seed().await;
    for number in 0..450 {
        let address = format!("10.3.{}.{}", number / 250, number % 250 + 1);
        api.make_pod("many", &format!("p{number}"), Some("n2"), &address)
            .await;
    }
    let relay = Relay::start(plane.address()).await;
    let token = plane.folder().join("admin.token");
    let mut feed = Running::start(&plane.kubeconfig("relay", relay.address(), &token).unwrap());
    feed.listed().await;
    feed.equals(&api).await;
    let before = feed.book();
    relay.cut();
    feed.failing("pods of other nodes", "cannot").await;
    api.delete_pod("many", "p7").await;
    // A server that has just started answers 410 to what went before: all is listed again.
    tokio::task::block_in_place(|| {
        plane.kill_api();
        plane.start_api().unwrap();
    });
    relay.mend();
    // The handshake and other kinds' lists take less, the list of 450 pods takes more.
    relay.cut_after(100_000);
    feed.pods_fail(3).await;
    assert_eq!(feed.book(), before, "what is known stays in use");
    relay.mend();
    feed.works().await;
    feed.equals(&api).await;
    api.make_pod("default", "late", Some(NODE), "10.1.0.99")
        .await;
    feed.equals(&api).await;
}

async fn a_pod_elsewhere_that_finishes_is_gone(lists: Arguments) {
    let (plane, api) = control_plane(lists).await;
    api.seed().await;
    for (name, node) in [("done", "n2"), ("ends", "n2"), ("ours", NODE)] {
        let address = format!("10.4.0.{}", name.len() + usize::from(node == NODE));
        api.make_pod("default", name, Some(node), &address).await;
    }
    api.finish_pod("default", "done").await;
    let mut feed = Running::start(&plane.admin_kubeconfig().unwrap());
    // A list from the watch cache may lack what was written just before.
    feed.listed().await;
    feed.equals(&api).await;
    let has = |feed: &Running, name: &str| {
        let mut names = feed.book().into_keys();
        names.any(|(kind, it)| kind == Kind::Pod && &*it.name == name)
    };
    assert_eq!(
        ["done", "ends", "ours"].map(|name| has(&feed, name)),
        [false, true, true]
    );
    for name in ["ends", "ours"] {
        api.finish_pod("default", name).await;
    }
    feed.equals(&api).await;
    assert_eq!(
        ["done", "ends", "ours"].map(|name| has(&feed, name)),
        [false, false, true]
    );
    // The address is the next pod's.
    api.make_pod("default", "next", Some("n3"), "10.4.0.4")
        .await;
    feed.equals(&api).await;
}

/// Each of these with streamed lists and without.
macro_rules! with_and_without_streamed_lists {
    ($($test:ident)+) => {
        mod streamed {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::STREAMED).await;
            })+
        }

        mod cached {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::CACHED).await;
            })+
        }
    };
}

with_and_without_streamed_lists! {
    a_list_that_breaks_off_takes_nothing_away
    a_pod_elsewhere_that_finishes_is_gone
    lists_and_follows_every_kind
    a_pod_that_is_scheduled_here_stays
    equals_the_api_after_a_restart_under_churn
    what_vanished_while_the_watch_was_down_is_gone
    a_missing_right_is_named_and_its_grant_noticed
    a_token_that_is_rotated_in_its_file_is_used
}

fn manifest() -> String {
    concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/kubernetes/zonemeter.yaml"
    )
    .to_owned()
}

/// A kubeconfig of the account that the manifest makes, with a token of the server's.
fn service_account(plane: &ControlPlane) -> PathBuf {
    plane
        .kubectl(&["apply", "--filename", &manifest()])
        .unwrap();
    let token = plane
        .kubectl(&["--namespace=kube-system", "create", "token", "zonemeter"])
        .unwrap();
    let file = plane.folder().join("account.token");
    std::fs::write(&file, token.trim()).unwrap();
    plane.kubeconfig("account", plane.address(), &file).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifest_grants_what_is_needed_and_no_more() {
    let (plane, api) = control_plane(STREAMED).await;
    api.seed().await;
    let kubeconfig = service_account(&plane);
    let mut feed = Running::start(&kubeconfig);
    feed.listed().await;
    feed.equals(&api).await;
    assert_eq!(feed.health().watch_errors, [0; 4]);
    for may_not in [
        ["get", "pods"],
        ["list", "secrets"],
        ["delete", "pods"],
        ["patch", "nodes"],
    ] {
        let account = "--as=system:serviceaccount:kube-system:zonemeter";
        let may = plane.kubectl(&["auth", "can-i", may_not[0], may_not[1], account]);
        assert!(may.is_err(), "{may_not:?}: {may:?}");
    }
}

async fn a_missing_right_is_named_and_its_grant_noticed(lists: Arguments) {
    let (plane, api) = control_plane(lists).await;
    api.seed().await;
    let kubeconfig = service_account(&plane);
    let resources = [
        ("", "nodes", "nodes", "nodes"),
        ("", "pods", "pods", "pods of this node"),
        ("", "services", "services", "services"),
        (
            "discovery.k8s.io",
            "endpointslices",
            "endpointslices.discovery.k8s.io",
            "endpoint slices",
        ),
    ];
    for (group, resource, named, part) in resources {
        for (verb, left) in [("list", "watch"), ("watch", "list")] {
            let rules = resources.map(|(rule_group, rule_resource, ..)| {
                let verbs = if rule_resource == resource {
                    json!([left])
                } else {
                    json!(["list", "watch"])
                };
                json!({"apiGroups": [rule_group], "resources": [rule_resource], "verbs": verbs})
            });
            api.set_rules("zonemeter", json!(rules)).await;
            let mut feed = Running::start(&kubeconfig);
            let line = feed
                .failing(part, &format!("missing RBAC: {verb} {named};"))
                .await;
            assert!(
                line.contains("system:serviceaccount:kube-system:zonemeter"),
                "{group} {line}"
            );
            assert!(!feed.health().listed());
        }
    }
    let mut feed = Running::start(&kubeconfig);
    feed.failing("endpoint slices", "missing RBAC").await;
    plane
        .kubectl(&["apply", "--filename", &manifest()])
        .unwrap();
    feed.listed().await;
    feed.equals(&api).await;
    feed.works().await;
}

async fn a_token_that_is_rotated_in_its_file_is_used(lists: Arguments) {
    let (plane, api) = control_plane(lists).await;
    api.seed().await;
    let kubeconfig = service_account(&plane);
    let file = plane.folder().join("account.token");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "expired").unwrap();
    let mut feed = Running::start(&kubeconfig);
    feed.failing("services", "(401 Unauthorized)").await;
    std::fs::write(&file, good).unwrap();
    feed.listed().await;
    feed.equals(&api).await;
    feed.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_slow_is_awaited() {
    let (mut plane, api) = control_plane(STREAMED).await;
    api.seed().await;
    let relay = Relay::start(plane.address()).await;
    let token = plane.folder().join("admin.token");
    let kubeconfig = plane.kubeconfig("relay", relay.address(), &token).unwrap();
    plane.kill_api();
    let mut away = Running::start(&plane.admin_kubeconfig().unwrap());
    let line = away.failing("nodes", "cannot list nodes").await;
    assert!(line.contains("Connection refused"), "{line}");
    tokio::task::block_in_place(|| plane.start_api().unwrap());
    away.equals(&api).await;
    away.works().await;

    relay.stall();
    let mut slow = Running::start(&kubeconfig);
    let line = slow
        .failing("pods of other nodes", "cannot list pods")
        .await;
    assert!(line.contains("deadline has elapsed"), "{line}");
    relay.mend();
    let equal = tokio::time::timeout(RECOVERY, slow.equals(&api)).await;
    equal.unwrap();
    slow.works().await;
}

#[tokio::test]
async fn no_way_to_a_server_is_one_line() {
    let missing = PathBuf::from("/nonexistent/kubeconfig");
    let mut feed = Running::start(&missing);
    let named = "--kubeconfig /nonexistent/kubeconfig";
    let line = feed.failing("nodes", named).await;
    assert!(line.contains("No such file"), "{line}");
    assert!(!line.contains('\n'));
}
