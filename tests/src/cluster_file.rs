//! The cluster file: a Kubernetes `List` as `kubectl get nodes,pods,services,endpointslices -A
//! -o json` prints it.

mod service;

use std::{fs, net::IpAddr, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    names::{chain_suffix, hex},
    node::Node,
    plan::{Owner, PodPlan, ServicePlan},
    pod::Pod,
};

const CREATED: &str = "2026-01-05T09:00:00Z";

/// Renders the file. `announced` are the pods that the API knows, `wired` all that exist: slices
/// name a backend's pod only through the latter. `crowd` are addresses of pods that exist nowhere
/// else, each made by a Deployment of its own, on the nodes but the first in turns.
pub(crate) fn render<'a>(
    nodes: &[Node],
    announced: impl Iterator<Item = &'a Pod>,
    wired: &[Pod],
    crowd: &[IpAddr],
    host_pods: &[PodPlan],
    services: &[ServicePlan],
) -> String {
    let mut items: Vec<Value> = nodes.iter().map(node).collect();
    items.extend(announced.map(pod));
    let places = nodes.iter().skip(1).cycle();
    let crowd = crowd.iter().enumerate().zip(places);
    items.extend(crowd.map(|((number, address), node)| one_of_crowd(number, *address, node)));
    items.extend(host_pods.iter().filter_map(|plan| host_pod(plan, nodes)));
    items.extend(services.iter().map(service::object));
    let slices = services.iter();
    items.extend(slices.filter_map(|service| service::slice(service, wired, nodes)));
    let list = json!({
        "apiVersion": "v1",
        "items": items,
        "kind": "List",
        "metadata": { "resourceVersion": "" },
    });
    format!("{list:#}\n")
}

/// Replaces the file in one step, so that a reader finds the old or the new text.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("json.new");
    fs::write(&fresh, text).with_context(|| format!("write {}", fresh.display()))?;
    fs::rename(&fresh, path).with_context(|| format!("replace {}", path.display()))
}

fn node(node: &Node) -> Value {
    let (name, zone) = (node.object_name(), node.zone());
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "creationTimestamp": CREATED,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "eks.amazonaws.com/nodegroup": "lab",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": "m5.large",
                "topology.k8s.aws/zone-id": zone.id(),
                "topology.kubernetes.io/region": "us-east-2",
                "topology.kubernetes.io/zone": zone.name(),
            },
            "name": name,
            "resourceVersion": "1001",
            "uid": uid("Node", &name),
        },
        "spec": { "providerID": format!("aws:///{}/i-{}", zone.name(), short(&name)) },
        "status": {
            "addresses": [
                { "address": node.address(), "type": "InternalIP" },
                { "address": node.address_v6(), "type": "InternalIP" },
                { "address": name, "type": "InternalDNS" },
                { "address": name, "type": "Hostname" },
            ],
            "conditions": [{ "status": "True", "type": "Ready" }],
            "nodeInfo": { "architecture": "amd64", "operatingSystem": "linux" },
        },
    })
}

fn pod(pod: &Pod) -> Value {
    pod_object(&pod.info().plan, pod.node(), pod.addresses())
}

fn one_of_crowd(number: usize, address: IpAddr, node: &Node) -> Value {
    let name = format!("remote-{number:05}");
    let plan = PodPlan::new("default", &name, node.name()).owner(Owner::Deployment(name.clone()));
    pod_object(&plan, node, &[address])
}

/// A pod of its node's network has the node's address; `None` for a node that is none.
fn host_pod(plan: &PodPlan, nodes: &[Node]) -> Option<Value> {
    let node = nodes.iter().find(|node| node.name() == plan.node)?;
    let mut object = pod_object(plan, node, &[node.address()]);
    object["spec"]["hostNetwork"] = json!(true);
    Some(object)
}

fn pod_object(plan: &PodPlan, node: &Node, addresses: &[IpAddr]) -> Value {
    let key = format!("{}/{}", plan.namespace, plan.name);
    let all: Vec<Value> = addresses.iter().map(|ip| json!({ "ip": ip })).collect();
    let mut metadata = json!({
        "creationTimestamp": CREATED,
        "labels": labels(plan),
        "name": plan.name,
        "namespace": plan.namespace,
        "resourceVersion": "2001",
        "uid": uid("Pod", &key),
    });
    if let Some(hash) = &plan.config_hash {
        metadata["annotations"] = json!({
            "kubernetes.io/config.hash": hash,
            "kubernetes.io/config.mirror": hash,
            "kubernetes.io/config.source": "file",
        });
    }
    if let Some((kind, version, owner)) = owner(plan) {
        metadata["ownerReferences"] = json!([{
            "apiVersion": version, "blockOwnerDeletion": true, "controller": true,
            "kind": kind, "name": owner, "uid": uid(kind, &owner),
        }]);
    }
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": [{ "image": "lab/pause:1", "name": "main" }],
            "nodeName": node.object_name(),
            "restartPolicy": "Always",
        },
        "status": {
            "conditions": [{ "status": "True", "type": "Ready" }],
            "hostIP": node.address(),
            "hostIPs": [{ "ip": node.address() }],
            "phase": "Running",
            "podIP": addresses[0],
            "podIPs": all,
            "startTime": CREATED,
        },
    })
}

fn labels(plan: &PodPlan) -> Value {
    let mut labels = json!({});
    if let Some(app) = &plan.app {
        labels["app"] = json!(app);
    }
    match &plan.owner {
        Owner::Deployment(name) => labels["pod-template-hash"] = json!(template_hash(name)),
        Owner::CronJob(name) => labels["batch.kubernetes.io/job-name"] = json!(job(name)),
        Owner::StatefulSet(name) => {
            labels["controller-revision-hash"] = json!(format!("{name}-{}", template_hash(name)));
        }
        Owner::DaemonSet(name) => labels["controller-revision-hash"] = json!(template_hash(name)),
        Owner::None => {}
    }
    labels
}

/// Kind, API version and name of the pod's direct owner.
fn owner(plan: &PodPlan) -> Option<(&'static str, &'static str, String)> {
    match &plan.owner {
        Owner::None => None,
        Owner::Deployment(name) => Some((
            "ReplicaSet",
            "apps/v1",
            format!("{name}-{}", template_hash(name)),
        )),
        Owner::DaemonSet(name) => Some(("DaemonSet", "apps/v1", name.clone())),
        Owner::StatefulSet(name) => Some(("StatefulSet", "apps/v1", name.clone())),
        Owner::CronJob(name) => Some(("Job", "batch/v1", job(name))),
    }
}

/// Ten characters out of the alphabet of Kubernetes' `rand.SafeEncodeString`.
fn template_hash(name: &str) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    chain_suffix(name)
        .bytes()
        .take(10)
        .map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]))
        .collect()
}

/// A CronJob names its Jobs by the scheduled minute since 1970: here that of [`CREATED`].
fn job(cron_job: &str) -> String {
    format!("{cron_job}-29460060")
}

/// A stable identifier in the form of a UUID.
fn uid(kind: &str, name: &str) -> String {
    let digits = short(&format!("{kind} {name}"));
    format!(
        "{}-{}-4{}-8{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..15],
        &digits[5..8],
        {
            let mut tail = digits.clone();
            tail.truncate(12);
            tail
        }
    )
}

/// Seventeen hexadecimal digits, as in EC2's identifiers.
fn short(text: &str) -> String {
    let mut digits = hex(chain_suffix(text).as_bytes());
    digits.truncate(17);
    digits
}
