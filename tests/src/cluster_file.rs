//! The cluster file: a Kubernetes `List` as `kubectl get nodes,pods,services,endpointslices -A
//! -o json` prints it.

use std::{fs, net::IpAddr, path::Path};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    names::{chain_suffix, hex},
    node::Node,
    plan::{Owner, PodPlan, ServicePlan, Transport},
    pod::Pod,
};

const CREATED: &str = "2026-01-05T09:00:00Z";

/// Renders the file. `announced` are the pods that the API knows, `wired` all that exist: slices
/// name a backend's pod only through the latter.
pub(crate) fn render<'a>(
    nodes: &[Node],
    announced: impl Iterator<Item = &'a Pod>,
    wired: &[Pod],
    services: &[ServicePlan],
) -> String {
    let mut items: Vec<Value> = nodes.iter().map(node).collect();
    items.extend(announced.map(pod));
    items.extend(services.iter().map(service));
    items.extend(services.iter().filter_map(|service| slice(service, wired)));
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
    let plan = &pod.info().plan;
    let addresses: Vec<Value> = pod
        .addresses()
        .iter()
        .map(|ip| json!({ "ip": ip }))
        .collect();
    let mut metadata = json!({
        "creationTimestamp": CREATED,
        "labels": labels(plan),
        "name": plan.name,
        "namespace": plan.namespace,
        "resourceVersion": "2001",
        "uid": uid("Pod", &pod.key()),
    });
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
            "nodeName": pod.node().object_name(),
            "restartPolicy": "Always",
        },
        "status": {
            "conditions": [{ "status": "True", "type": "Ready" }],
            "hostIP": pod.node().address(),
            "hostIPs": [{ "ip": pod.node().address() }],
            "phase": "Running",
            "podIP": pod.address(),
            "podIPs": addresses,
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

fn service(service: &ServicePlan) -> Value {
    let ports: Vec<Value> = service
        .ports
        .iter()
        .map(|port| {
            let mut value = json!({
                "name": port.name, "port": port.port,
                "protocol": upper(port.protocol), "targetPort": port.target_port,
            });
            if let Some(number) = port.node_port {
                value["nodePort"] = json!(number);
            }
            value
        })
        .collect();
    let has_node_port = service.ports.iter().any(|port| port.node_port.is_some());
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "creationTimestamp": CREATED,
            "name": service.name,
            "namespace": service.namespace,
            "resourceVersion": "3001",
            "uid": uid("Service", &format!("{}/{}", service.namespace, service.name)),
        },
        "spec": {
            "clusterIP": service.cluster_ip,
            "clusterIPs": [service.cluster_ip],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": [if service.cluster_ip.is_ipv4() { "IPv4" } else { "IPv6" }],
            "ipFamilyPolicy": "SingleStack",
            "ports": ports,
            "selector": { "app": service.name },
            "sessionAffinity": "None",
            "type": if has_node_port { "NodePort" } else { "ClusterIP" },
        },
        "status": { "loadBalancer": {} },
    })
}

/// `None` for a Service without ports, which has no slice.
fn slice(service: &ServicePlan, wired: &[Pod]) -> Option<Value> {
    if service.ports.is_empty() {
        return None;
    }
    let endpoints: Vec<Value> = service
        .backends
        .iter()
        .map(|address| endpoint(*address, wired))
        .collect();
    let ports: Vec<Value> = service
        .ports
        .iter()
        .map(|port| {
            json!({
                "name": port.name, "port": port.target_port, "protocol": upper(port.protocol),
            })
        })
        .collect();
    let name = format!("{}-{}", service.name, &template_hash(&service.name)[..5]);
    Some(json!({
        "addressType": if service.cluster_ip.is_ipv4() { "IPv4" } else { "IPv6" },
        "apiVersion": "discovery.k8s.io/v1",
        "endpoints": endpoints,
        "kind": "EndpointSlice",
        "metadata": {
            "creationTimestamp": CREATED,
            "labels": {
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": service.name,
            },
            "name": name,
            "namespace": service.namespace,
            "resourceVersion": "4001",
            "uid": uid("EndpointSlice", &format!("{}/{name}", service.namespace)),
        },
        "ports": ports,
    }))
}

fn endpoint(address: IpAddr, wired: &[Pod]) -> Value {
    let mut endpoint = json!({
        "addresses": [address],
        "conditions": { "ready": true, "serving": true, "terminating": false },
    });
    if let Some(pod) = wired.iter().find(|pod| pod.addresses().contains(&address)) {
        endpoint["nodeName"] = json!(pod.node().object_name());
        endpoint["zone"] = json!(pod.node().zone().name());
        endpoint["targetRef"] = json!({
            "kind": "Pod", "name": pod.name(), "namespace": pod.kubernetes_namespace(),
            "uid": uid("Pod", &pod.key()),
        });
    }
    endpoint
}

fn upper(protocol: Transport) -> &'static str {
    match protocol {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    }
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
