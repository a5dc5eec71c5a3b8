//! A cluster as it stands in a real API server: pods with the environment, probes, volumes,
//! status and field managers that make them 11 KB, a little over what production has.

use std::path::Path;

use k8s_openapi::api::{core::v1 as core, discovery::v1::EndpointSlice};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) pods: usize,
    pub(crate) nodes: usize,
}

/// Pods on each node, in either of the sizes.
pub(crate) const PODS_OF_A_NODE: usize = 50;
/// Pods behind a Service.
const PODS_OF_A_SERVICE: usize = 20;
const WRITERS: usize = 16;

pub(crate) fn node(number: usize) -> String {
    format!(
        "ip-192-168-{}-{}.us-east-2.compute.internal",
        number / 250,
        number % 250
    )
}

fn address(pod: usize) -> String {
    format!("10.{}.{}.{}", pod / 62_500, pod / 250 % 250, pod % 250 + 1)
}

/// Writes everything; the size of one pod as the API server lists it, in bytes.
pub(crate) async fn write(kubeconfig: &Path, size: Size) -> usize {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(file, &options)
        .await
        .unwrap();
    let client = Client::try_from(config).unwrap();
    all(size.nodes, &client, |client, number| {
        make_node(client, number)
    })
    .await;
    all(size.pods, &client, move |client, number| {
        make_pod(client, number, size.nodes)
    })
    .await;
    let services = size.pods / PODS_OF_A_SERVICE;
    all(services, &client, move |client, number| {
        make_service(client, number, size.nodes)
    })
    .await;
    let path = "/api/v1/namespaces/default/pods/checkout-7989597457-00007";
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    client.request_text(request).await.unwrap().len()
}

async fn all<F>(count: usize, client: &Client, make: impl Fn(Client, usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    for number in 0..count {
        if running.len() == WRITERS {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(make(client.clone(), number));
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
}

async fn make_node(client: Client, number: usize) {
    let (zone, id) = [("us-east-2a", "use2-az1"), ("us-east-2b", "use2-az2")][number % 2];
    let labels = json!({"topology.kubernetes.io/zone": zone, "topology.k8s.aws/zone-id": id});
    let image = |n: usize| {
        json!({"sizeBytes": 123_456_789, "names": [
        format!("602401143452.dkr.ecr.us-east-2.amazonaws.com/team/service-{n}@sha256:{:064x}", n)]})
    };
    let images: Vec<_> = (0..50).map(image).collect();
    let status = json!({"images": images,
        "addresses": [{"type": "InternalIP", "address": format!("192.168.{}.{}", number / 250, number % 250)}]});
    let nodes: Api<core::Node> = Api::all(client);
    let object = json!({"metadata": {"name": node(number), "labels": labels}});
    nodes
        .create(
            &PostParams::default(),
            &serde_json::from_value(object).unwrap(),
        )
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"status": status}));
    nodes
        .patch_status(&node(number), &PatchParams::default(), &patch)
        .await
        .unwrap();
}

async fn make_pod(client: Client, number: usize, nodes: usize) {
    let name = format!("checkout-7989597457-{number:05}");
    let pods: Api<core::Pod> = Api::namespaced(client, "default");
    let pod = pod(&name, number, nodes);
    pods.create(
        &PostParams::default(),
        &serde_json::from_value(pod).unwrap(),
    )
    .await
    .unwrap();
    let patch = Patch::Merge(json!({"status": status(number)}));
    pods.patch_status(&name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

fn pod(name: &str, number: usize, nodes: usize) -> Value {
    let deployment = number / PODS_OF_A_SERVICE;
    json!({
        "metadata": {
            "name": name,
            "labels": {"app.kubernetes.io/name": "checkout", "app.kubernetes.io/instance": format!("checkout-{deployment}"),
                "app.kubernetes.io/version": "2.31.4", "app.kubernetes.io/managed-by": "Helm", "team": "payments",
                "pod-template-hash": "7989597457"},
            "annotations": {"checksum/config": "c1f8e3a90b7d".repeat(5), "prometheus.io/scrape": "true",
                "kubectl.kubernetes.io/restartedAt": "2026-08-20T10:00:00Z",
                "vault.hashicorp.com/agent-inject-template-config": "{{ with secret }}".repeat(5)},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "4b0f2f8e-6f0a-4a44-9a8e-1f0c2b7d9e11",
                "name": format!("checkout-{deployment}-7989597457"), "controller": true, "blockOwnerDeletion": true}],
        },
        "spec": {
            "nodeName": node(number % nodes),
            "containers": [container("checkout"), container("proxy")],
            "volumes": [{"name": "config", "configMap": {"name": "checkout-config"}},
                {"name": "tls", "secret": {"secretName": "checkout-tls"}}, {"name": "tmp", "emptyDir": {}}],
            "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "payments", "effect": "NoSchedule"}],
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "checkout"}}}],
        },
    })
}

fn container(name: &str) -> Value {
    let variable = |n: usize| json!({"name": format!("CHECKOUT_SETTING_{n:02}"), "value": format!("https://service-{n}.payments.svc:8443")});
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "failureThreshold": 3});
    json!({
        "name": name,
        "image": format!("602401143452.dkr.ecr.us-east-2.amazonaws.com/payments/{name}:2.31.4"),
        "env": (0..4).map(variable).collect::<Vec<_>>(),
        "ports": [{"containerPort": if name == "proxy" { 15001 } else { 8080 }, "name": "http"}],
        "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
        "livenessProbe": probe, "readinessProbe": probe,
        "volumeMounts": [{"name": "config", "mountPath": "/etc/checkout"}, {"name": "tls", "mountPath": "/etc/tls"},
            {"name": "tmp", "mountPath": "/tmp"}],
        "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "capabilities": {"drop": ["ALL"]}},
    })
}

fn status(number: usize) -> Value {
    let time = "2026-08-20T10:00:00Z";
    let condition =
        |name: &str| json!({"type": name, "status": "True", "lastTransitionTime": time});
    let container = |name: &str| {
        json!({"name": name, "ready": true, "started": true, "restartCount": 0,
        "image": format!("602401143452.dkr.ecr.us-east-2.amazonaws.com/payments/{name}:2.31.4"),
        "imageID": format!("602401143452.dkr.ecr.us-east-2.amazonaws.com/payments/{name}@sha256:{:064x}", 7),
        "containerID": format!("containerd://{number:064x}"), "state": {"running": {"startedAt": time}}})
    };
    let conditions = [
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodScheduled",
    ]
    .map(condition);
    json!({
        "phase": "Running", "qosClass": "Burstable", "startTime": time, "hostIP": "192.168.0.1",
        "podIP": address(number), "podIPs": [{"ip": address(number)}],
        "conditions": conditions,
        "containerStatuses": [container("checkout"), container("proxy")],
    })
}

async fn make_service(client: Client, number: usize, nodes: usize) {
    let name = format!("checkout-{number}");
    let service =
        json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80, "targetPort": 8080}]}});
    let services: Api<core::Service> = Api::namespaced(client.clone(), "default");
    services
        .create(
            &PostParams::default(),
            &serde_json::from_value(service).unwrap(),
        )
        .await
        .unwrap();
    let pods = number * PODS_OF_A_SERVICE..(number + 1) * PODS_OF_A_SERVICE;
    let endpoint = |pod: usize| {
        json!({"addresses": [address(pod)], "nodeName": node(pod % nodes), "zone": "us-east-2a",
        "conditions": {"ready": true, "serving": true, "terminating": false},
        "targetRef": {"kind": "Pod", "namespace": "default", "name": format!("checkout-7989597457-{pod:05}")}})
    };
    let slice = json!({"metadata": {"name": format!("{name}-abcde"), "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": pods.map(endpoint).collect::<Vec<_>>()});
    let slices: Api<EndpointSlice> = Api::namespaced(client, "default");
    slices
        .create(
            &PostParams::default(),
            &serde_json::from_value(slice).unwrap(),
        )
        .await
        .unwrap();
}
