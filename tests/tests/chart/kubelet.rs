//! What a kubelet and the controllers would do of the cluster's own accord, as far as these tests
//! need it.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use zonemeter_lab::{ClusterApi, Lab, Node, chart, until};

use super::container::{Cluster, Container, host_path};

pub(super) const NAMESPACE: &str = "kube-system";
const PATIENCE: Duration = Duration::from_secs(60);

/// An object as the server has it.
pub(super) fn object(api: &ClusterApi, kind: &str, name: &str) -> Option<Value> {
    let namespace = format!("--namespace={NAMESPACE}");
    let get = [
        "get",
        kind,
        name,
        &namespace,
        "--output=json",
        "--ignore-not-found",
    ];
    let said = api.kubectl(&get).unwrap();
    (!said.trim().is_empty()).then(|| serde_json::from_str(&said).unwrap())
}

/// Waits until an object is there.
pub(super) fn awaited(api: &ClusterApi, kind: &str, name: &str) -> Value {
    let mut found = None;
    wait(&format!("{kind} {name}"), || {
        found = object(api, kind, name);
        found.is_some()
    });
    found.unwrap()
}

pub(super) fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    until(PATIENCE, what, || condition().then_some(())).unwrap();
}

/// A pod of the workload's template bound to the node, and the container as it would start.
pub(super) fn container(
    lab: &mut Lab,
    node: &Node,
    workload: &Value,
    name: &str,
    binary: &Path,
) -> Container {
    fs::create_dir_all(node.pin_directory()).unwrap();
    // Every node has it; without a hierarchy below, the node's own bytes are counted without names.
    fs::create_dir_all(host_path(node, Path::new("/sys/fs/cgroup"))).unwrap();
    let cluster = cluster(lab, node, workload);
    Container::new(node, workload, name, binary, &cluster).unwrap()
}

fn cluster(lab: &mut Lab, node: &Node, workload: &Value) -> Cluster {
    let template = &workload["spec"]["template"];
    let directory = lab.directory().to_owned();
    let api = lab.api().unwrap();
    let maps = template["spec"]["volumes"].as_array();
    let maps = maps.into_iter().flatten();
    let maps = maps.filter_map(|volume| volume["configMap"]["name"].as_str());
    let config_maps = maps.map(|name| awaited(api, "configmap", name)).collect();
    if template["spec"]["automountServiceAccountToken"] == false {
        let account = None;
        return Cluster {
            account,
            config_maps,
        };
    }
    let workload_name = workload["metadata"]["name"].as_str().unwrap();
    let name = format!("{workload_name}-{}", node.name());
    let mut pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"] });
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["namespace"] = json!(NAMESPACE);
    pod["spec"]["nodeName"] = json!(node.object_name());
    let file = directory.join(format!("{name}.json"));
    fs::write(&file, pod.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let now = ["--force", "--grace-period=0", "--ignore-not-found"];
    let delete = [&["delete", "--filename", file], &now[..]].concat();
    api.kubectl(&delete).unwrap();
    api.kubectl(&["create", "--filename", file]).unwrap();
    let account = template["spec"]["serviceAccountName"].as_str().unwrap();
    let namespace = format!("--namespace={NAMESPACE}");
    let bound = format!("--bound-object-name={name}");
    let token = [
        "create",
        "token",
        account,
        &namespace,
        "--bound-object-kind=Pod",
        &bound,
    ];
    let token = api.kubectl(&token).unwrap();
    let account = Some(api.account(&token).unwrap());
    Cluster {
        account,
        config_maps,
    }
}

/// Sets what a controller would set when the pods are ready, or the Job has ended well.
pub(super) fn set_status(api: &ClusterApi, kind: &str, name: &str, status: &Value) {
    let namespace = format!("--namespace={NAMESPACE}");
    let patch = json!({ "status": status }).to_string();
    let arguments = [
        "patch",
        kind,
        name,
        &namespace,
        "--subresource=status",
        "--type=merge",
        "--patch",
        &patch,
    ];
    api.kubectl(&arguments).unwrap();
}

/// The operator's kinds, in a server that may have them already.
pub(super) fn have_operator(api: &ClusterApi) {
    for file in chart::operator_schemas().unwrap() {
        // Too long for the annotation of a client-side apply.
        api.kubectl(&["apply", "--server-side", "--filename", &file])
            .unwrap();
    }
    let names =
        ["podmonitors", "prometheusrules"].map(|kind| format!("crd/{kind}.monitoring.coreos.com"));
    let wait = [
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        &names[0],
        &names[1],
    ];
    api.kubectl(&wait).unwrap();
}
