use serde_json::{Value, json};

use super::*;

/// `kind/name` of the workload of a pod with this metadata on node `Node-A`.
fn of(metadata: Value) -> String {
    let pod: Metadata = serde_json::from_value(metadata.clone()).unwrap();
    let name = metadata["name"].as_str().unwrap();
    let (mut strings, mut unread) = (Strings::default(), Unread::default());
    let workload = workload(name, Some(&pod), Some("Node-A"), &mut strings, &mut unread);
    assert_eq!(unread.take(), [""; 0]);
    format!("{}/{}", workload.kind, workload.name)
}

fn owned(kind: &str, name: &str, labels: Value, created: &str) -> String {
    of(
        json!({"name": "pod-x", "labels": labels, "creationTimestamp": created,
        "ownerReferences": [{"kind": kind, "name": name, "controller": true, "uid": "u"}]}),
    )
}

fn replica_set_with(labels: Value) -> String {
    owned(
        "ReplicaSet",
        "web-6d4b75cb6d",
        labels,
        "2026-08-20T10:00:00Z",
    )
}

#[test]
fn replica_set_of_a_deployment_is_the_deployment() {
    assert_eq!(
        replica_set_with(json!({"pod-template-hash": "6d4b75cb6d"})),
        "Deployment/web"
    );
}

#[test]
fn replica_set_of_a_rollout_is_the_rollout() {
    let labels = json!({"rollouts-pod-template-hash": "6d4b75cb6d"});
    assert_eq!(replica_set_with(labels), "Rollout/web");
}

#[test]
fn replica_set_without_the_proof_is_itself() {
    for labels in [
        Value::Null,
        json!({"pod-template-hash": "b6d"}),
        json!({"app": "web"}),
    ] {
        assert_eq!(
            replica_set_with(labels.clone()),
            "ReplicaSet/web-6d4b75cb6d",
            "{labels}"
        );
    }
}

/// 29,787,000 minutes after 1970 is 2026-08-20T10:00 UTC (`date -d @$((29787000*60)) -u`).
fn job(name: &str, created: &str) -> String {
    owned(
        "Job",
        name,
        json!({"batch.kubernetes.io/job-name": name}),
        created,
    )
}

#[test]
fn job_of_a_cron_job_is_the_cron_job() {
    assert_eq!(
        job("backup-29787000", "2026-08-20T10:00:01Z"),
        "CronJob/backup"
    );
    assert_eq!(
        job("back-up-2-29787000", "2026-08-27T09:59:00Z"),
        "CronJob/back-up-2"
    );
}

#[test]
fn job_on_its_own_is_itself() {
    let same_day = "2026-08-20T10:00:01Z";
    for name in [
        "backup",
        "backup-7",
        "import-20260820",
        "import-1787230800",
        "-29787000",
    ] {
        assert_eq!(job(name, same_day), format!("Job/{name}"));
    }
}

#[test]
fn job_far_from_its_minute_is_itself() {
    for created in ["2026-08-20T09:50:00Z", "2026-08-27T10:01:00Z"] {
        assert_eq!(job("backup-29787000", created), "Job/backup-29787000");
    }
}

/// 1,787,220,000 seconds after 1970 is 2026-08-20T10:00 UTC (`date -ud @1787220000`).
#[test]
fn workflow_of_a_cron_workflow_is_the_cron_workflow() {
    let workflow = |name: &str, created: &str| owned("Workflow", name, Value::Null, created);
    for (name, created, expected) in [
        (
            "report-1787220000",
            "2026-08-20T10:00:01Z",
            "CronWorkflow/report",
        ),
        (
            "re-port-2-1787220000",
            "2026-08-27T09:59:00Z",
            "CronWorkflow/re-port-2",
        ),
        (
            "report-1787220000",
            "2026-08-20T09:50:00Z",
            "Workflow/report-1787220000",
        ),
        (
            "report-1787220000",
            "2026-08-27T10:01:00Z",
            "Workflow/report-1787220000",
        ),
        (
            "report-29787000",
            "2026-08-20T10:00:01Z",
            "Workflow/report-29787000",
        ),
        (
            "report-x7k2p",
            "2026-08-20T10:00:01Z",
            "Workflow/report-x7k2p",
        ),
        (
            "-1787220000",
            "2026-08-20T10:00:01Z",
            "Workflow/-1787220000",
        ),
    ] {
        assert_eq!(workflow(name, created), expected, "{name} {created}");
    }
}

#[test]
fn controller_of_a_deployment_config_is_the_config() {
    let controller = |name: &str, config: &str| {
        of(json!({"name": "app-3-x7k2p",
            "annotations": {"openshift.io/deployment-config.name": config},
            "ownerReferences": [
                {"kind": "ReplicationController", "name": name, "controller": true}]}))
    };
    assert_eq!(controller("app-3", "app"), "DeploymentConfig/app");
    assert_eq!(controller("my-app-12", "my-app"), "DeploymentConfig/my-app");
    for (name, config) in [
        ("app-3", "other"),
        ("app-x", "app"),
        ("app-", "app"),
        ("app-3", ""),
    ] {
        let expected = format!("ReplicationController/{name}");
        assert_eq!(controller(name, config), expected, "{config}");
    }
}

#[test]
fn other_controllers_are_themselves() {
    for kind in [
        "StatefulSet",
        "DaemonSet",
        "ReplicationController",
        "Workflow",
        "RayCluster",
    ] {
        assert_eq!(
            owned(kind, "db-1", Value::Null, "2026-08-20T10:00:00Z"),
            format!("{kind}/db-1")
        );
    }
}

#[test]
fn an_owner_that_does_not_control_is_not_the_workload() {
    let owners = json!([{"kind": "ConfigMap", "name": "c"},
        {"kind": "Backup", "name": "b", "controller": false},
        {"kind": "StatefulSet", "name": "db", "controller": true}]);
    assert_eq!(
        of(json!({"name": "db-0", "ownerReferences": owners})),
        "StatefulSet/db"
    );
    let owners = json!([{"kind": "ConfigMap", "name": "c"}]);
    assert_eq!(
        of(json!({"name": "alone", "ownerReferences": owners})),
        "Pod/alone"
    );
}

#[test]
fn static_pods_are_called_without_their_node() {
    let owner = json!([{"kind": "Node", "name": "Node-A", "controller": true}]);
    assert_eq!(
        of(json!({"name": "kube-proxy-node-a", "ownerReferences": owner})),
        "Pod/kube-proxy"
    );
    let mirror = json!({"kubernetes.io/config.mirror": "0af"});
    assert_eq!(
        of(json!({"name": "etcd-node-a", "annotations": mirror})),
        "Pod/etcd"
    );
}

#[test]
fn a_pod_alone_is_itself() {
    assert_eq!(of(json!({"name": "debug-node-a"})), "Pod/debug-node-a");
}
