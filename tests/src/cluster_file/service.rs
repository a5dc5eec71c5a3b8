//! Services and their EndpointSlices.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{CREATED, template_hash, uid};
use crate::{
    node::Node,
    plan::{ServicePlan, Transport},
    pod::Pod,
};

/// The Service.
pub(super) fn object(service: &ServicePlan) -> Value {
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
    let address = match service.headless {
        true => json!("None"),
        false => json!(service.cluster_ip),
    };
    let ingress: Vec<Value> = (service.load_balancer_ips.iter())
        .map(|ip| json!({ "ip": ip, "ipMode": "VIP" }))
        .collect();
    let mut object = json!({
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
            "clusterIP": address,
            "clusterIPs": [address],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": [if service.cluster_ip.is_ipv4() { "IPv4" } else { "IPv6" }],
            "ipFamilyPolicy": "SingleStack",
            "ports": ports,
            "selector": { "app": service.name },
            "sessionAffinity": if service.session_affinity { "ClientIP" } else { "None" },
            "type": kind(service),
        },
        "status": { "loadBalancer": { "ingress": ingress } },
    });
    if kind(service) != "ClusterIP" {
        let policy = if service.only_local {
            "Local"
        } else {
            "Cluster"
        };
        object["spec"]["externalTrafficPolicy"] = json!(policy);
    }
    if !service.external_ips.is_empty() {
        object["spec"]["externalIPs"] = json!(service.external_ips);
    }
    object
}

fn kind(service: &ServicePlan) -> &'static str {
    let has_node_port = service.ports.iter().any(|port| port.node_port.is_some());
    match (service.load_balancer_ips.is_empty(), has_node_port) {
        (false, _) => "LoadBalancer",
        (true, true) => "NodePort",
        (true, false) => "ClusterIP",
    }
}

/// Its slice; `None` for a Service without ports, which has no slice.
pub(super) fn slice(service: &ServicePlan, wired: &[Pod], nodes: &[Node]) -> Option<Value> {
    if service.ports.is_empty() {
        return None;
    }
    let endpoints: Vec<Value> = service
        .backends
        .iter()
        .map(|address| endpoint(*address, wired, nodes))
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

fn endpoint(address: IpAddr, wired: &[Pod], nodes: &[Node]) -> Value {
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
    if let Some(node) = nodes.iter().find(|node| node.has(address)) {
        endpoint["nodeName"] = json!(node.object_name());
        endpoint["zone"] = json!(node.zone().name());
    }
    endpoint
}

fn upper(protocol: Transport) -> &'static str {
    match protocol {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    }
}
