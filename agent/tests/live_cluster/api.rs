//! Writes objects to the API server, and reads them back for comparison.

use std::{net::IpAddr, path::Path, sync::Arc};

use k8s_openapi::api::{core::v1 as core, discovery::v1::EndpointSlice as Slice};
use kube::{
    Client, Config,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
        PostParams,
    },
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use zonemeter_model::cluster::{
    Endpoint, EndpointSlice, Name, Node, Object, Pod, Service, Workload,
};

use crate::{book::Objects, running::NODE};

#[derive(Clone)]
pub(crate) struct Api(Client);

impl Api {
    pub(crate) async fn new(kubeconfig: &Path) -> Self {
        let file = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(file, &options)
            .await
            .unwrap();
        Self(Client::try_from(config).unwrap())
    }

    fn of(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> kube::Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match namespace {
            Some(namespace) => kube::Api::namespaced_with(self.0.clone(), namespace, &resource),
            None => kube::Api::all_with(self.0.clone(), &resource),
        }
    }

    fn pods(&self, namespace: &str) -> kube::Api<DynamicObject> {
        self.of("", "v1", "Pod", Some(namespace))
    }

    async fn make(
        &self,
        group: &str,
        version: &str,
        namespace: Option<&str>,
        mut object: Value,
    ) -> kube::Result<()> {
        let kind = object["kind"].as_str().unwrap().to_owned();
        object["apiVersion"] = if group.is_empty() {
            version.into()
        } else {
            format!("{group}/{version}").into()
        };
        let status = object["status"].take();
        let api = self.of(group, version, &kind, namespace);
        let made = serde_json::from_value(object).unwrap();
        let made = api.create(&PostParams::default(), &made).await?;
        if !status.is_null() {
            let name = made.metadata.name.unwrap();
            let patch = Patch::Merge(json!({"status": status}));
            api.patch_status(&name, &PatchParams::default(), &patch)
                .await?;
        }
        Ok(())
    }

    /// Three nodes in two zones, pods of every kind of owner, services, slices.
    pub(crate) async fn seed(&self) {
        for namespace in ["default", "churn", "many"] {
            let object = json!({"kind": "Namespace", "metadata": {"name": namespace}});
            // `default` may be there already.
            let _ = self.make("", "v1", None, object).await;
        }
        for (number, (name, zone)) in [
            (NODE, "us-east-2a"),
            ("n2", "us-east-2b"),
            ("n3", "us-east-2a"),
        ]
        .iter()
        .enumerate()
        {
            let zone_id = zone.replace("us-east-2", "use2-az");
            let labels =
                json!({"topology.kubernetes.io/zone": zone, "topology.k8s.aws/zone-id": zone_id});
            let addresses = json!([{"type": "InternalIP", "address": format!("192.168.{number}.7")},
                {"type": "Hostname", "address": name}]);
            self.make(
                "",
                "v1",
                None,
                json!({"kind": "Node", "metadata": {"name": name, "labels": labels},
                "status": {"addresses": addresses}}),
            )
            .await
            .unwrap();
        }
        for number in 0..5 {
            self.make_pod(
                "default",
                &format!("web-{number}"),
                Some(NODE),
                &format!("10.1.0.{}", number + 1),
            )
            .await;
            self.make_pod(
                "default",
                &format!("elsewhere-{number}"),
                Some("n2"),
                &format!("10.2.0.{}", number + 1),
            )
            .await;
        }
        self.make_pod("default", "db-0", Some(NODE), "10.1.0.50")
            .await;
        self.make_pod("default", "unscheduled", None, "").await;
        let service = json!({"kind": "Service", "metadata": {"name": "web"},
            "spec": {"ipFamilyPolicy": "PreferDualStack", "externalIPs": ["203.0.113.9"], "ports": [{"port": 80}]}});
        self.make("", "v1", Some("default"), service).await.unwrap();
        let headless = json!({"kind": "Service", "metadata": {"name": "db"},
            "spec": {"clusterIP": "None", "ports": [{"port": 5432}]}});
        self.make("", "v1", Some("default"), headless)
            .await
            .unwrap();
        let slice = json!({"kind": "EndpointSlice", "addressType": "IPv4", "ports": [],
            "metadata": {"name": "web-abc", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": ["10.1.0.1"], "nodeName": NODE, "zone": "us-east-2a", "conditions": {"ready": false}},
                {"addresses": ["10.2.0.1"]}]});
        self.make("discovery.k8s.io", "v1", Some("default"), slice)
            .await
            .unwrap();
    }

    pub(crate) async fn make_pod(
        &self,
        namespace: &str,
        name: &str,
        node: Option<&str>,
        address: &str,
    ) {
        self.try_make_pod(namespace, name, node, address)
            .await
            .unwrap();
    }

    pub(crate) async fn try_make_pod(
        &self,
        namespace: &str,
        name: &str,
        node: Option<&str>,
        address: &str,
    ) -> kube::Result<()> {
        let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "set", "uid": "u", "controller": true}]);
        let status = match address {
            "" => Value::Null,
            _ => {
                json!({"phase": "Running", "podIP": address, "podIPs": [{"ip": address}, {"ip": six(address)}]})
            }
        };
        let pod = json!({"kind": "Pod", "metadata": {"name": name, "ownerReferences": owner},
            "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}, "status": status});
        self.make("", "v1", Some(namespace), pod).await
    }

    pub(crate) async fn delete_pod(&self, namespace: &str, name: &str) {
        self.try_delete_pod(namespace, name).await.unwrap();
    }

    pub(crate) async fn try_delete_pod(&self, namespace: &str, name: &str) -> kube::Result<()> {
        let now = DeleteParams::default().grace_period(0);
        self.pods(namespace).delete(name, &now).await.map(drop)
    }

    pub(crate) async fn finish_pod(&self, namespace: &str, name: &str) {
        let patch = Patch::Merge(json!({"status": {"phase": "Succeeded"}}));
        self.pods(namespace)
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// What a scheduler does, and the address that the node's CNI then gives.
    pub(crate) async fn bind_pod(&self, namespace: &str, name: &str, node: &str) {
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node}});
        let pods = self.pods(namespace);
        let _: Value = pods
            .create_subresource("binding", name, &PostParams::default(), &binding)
            .await
            .unwrap();
        let patch =
            Patch::Merge(json!({"status": {"podIPs": [{"ip": "10.1.7.7"}], "podIP": "10.1.7.7"}}));
        pods.patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn label_node(&self, node: &str, label: &str, value: &str) {
        let patch = Patch::Merge(json!({"metadata": {"labels": {label: value}}}));
        let nodes = self.of("", "v1", "Node", None);
        nodes
            .patch(node, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub(crate) async fn set_rules(&self, role: &str, rules: Value) {
        let patch = Patch::Merge(json!({"rules": rules}));
        let roles = self.of("rbac.authorization.k8s.io", "v1", "ClusterRole", None);
        roles
            .patch(role, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Everything that the API holds, as the model would have it.
    pub(crate) async fn objects(&self) -> Objects {
        let (all, client) = (ListParams::default(), || self.0.clone());
        let nodes = kube::Api::<core::Node>::all(client())
            .list(&all)
            .await
            .unwrap();
        let pods = kube::Api::<core::Pod>::all(client())
            .list(&all)
            .await
            .unwrap();
        let services = kube::Api::<core::Service>::all(client())
            .list(&all)
            .await
            .unwrap();
        let slices = kube::Api::<Slice>::all(client()).list(&all).await.unwrap();
        // Finished pods of other nodes are not asked for.
        let pods = pods.into_iter().map(pod);
        let pods = pods.filter(|object| match object {
            Object::Pod(pod) => !pod.finished || pod.node.as_deref() == Some(NODE),
            _ => true,
        });
        let objects = nodes.into_iter().map(node).chain(pods);
        let objects = objects
            .chain(services.into_iter().map(service))
            .chain(slices.into_iter().map(slice));
        objects
            .map(|object| ((object.kind(), object.name()), object))
            .collect()
    }
}

fn six(address: &str) -> String {
    format!("fd00::{}", address.replace('.', ":"))
}

fn name(namespace: Option<String>, name: Option<String>) -> Name {
    Name {
        namespace: namespace.unwrap_or_default().into(),
        name: name.unwrap().into(),
    }
}

fn ips<'a>(texts: impl IntoIterator<Item = &'a String>) -> Vec<IpAddr> {
    texts
        .into_iter()
        .filter_map(|text| text.parse().ok())
        .collect()
}

fn shared(text: Option<String>) -> Option<Arc<str>> {
    text.map(Arc::from)
}

fn node(node: core::Node) -> Object {
    let labels = node.metadata.labels.unwrap_or_default();
    let addresses = node
        .status
        .and_then(|status| status.addresses)
        .unwrap_or_default();
    Object::Node(Node {
        name: node.metadata.name.unwrap().into(),
        addresses: ips(addresses
            .iter()
            .filter(|a| a.type_ == "InternalIP")
            .map(|a| &a.address)),
        zone: shared(labels.get("topology.kubernetes.io/zone").cloned()),
        zone_id: shared(labels.get("topology.k8s.aws/zone-id").cloned()),
        hybrid: false,
    })
}

fn pod(pod: core::Pod) -> Object {
    let (spec, status) = (pod.spec.unwrap(), pod.status.unwrap_or_default());
    let ips_of = status.pod_ips.unwrap_or_default();
    let own = pod.metadata.name.clone().unwrap();
    let owner = pod.metadata.owner_references.unwrap_or_default();
    let workload = match owner.first() {
        Some(owner) => Workload {
            kind: owner.kind.as_str().into(),
            name: owner.name.as_str().into(),
        },
        None => Workload {
            kind: "Pod".into(),
            name: own.into(),
        },
    };
    Object::Pod(Pod {
        name: name(pod.metadata.namespace, pod.metadata.name),
        uid: pod.metadata.uid.unwrap().into(),
        node: shared(spec.node_name),
        addresses: ips(ips_of.iter().map(|each| &each.ip)),
        host_network: spec.host_network == Some(true),
        finished: ["Succeeded", "Failed"].contains(&status.phase.unwrap_or_default().as_str()),
        workload,
        source_nat: None,
    })
}

fn service(service: core::Service) -> Object {
    let spec = service.spec.unwrap();
    let addresses = [spec.cluster_ips, spec.external_ips]
        .into_iter()
        .flatten()
        .flatten();
    Object::Service(Service {
        name: name(service.metadata.namespace, service.metadata.name),
        addresses: ips(&addresses.collect::<Vec<_>>()),
    })
}

fn slice(slice: Slice) -> Object {
    let labels = slice.metadata.labels.unwrap_or_default();
    let mut endpoints = Vec::new();
    for endpoint in slice.endpoints {
        let ready = endpoint.conditions.and_then(|conditions| conditions.ready) != Some(false);
        let (zone, node) = (shared(endpoint.zone), shared(endpoint.node_name));
        for address in ips(&endpoint.addresses) {
            endpoints.push(Endpoint {
                address,
                ready,
                zone: zone.clone(),
                node: node.clone(),
            });
        }
    }
    Object::EndpointSlice(EndpointSlice {
        name: name(slice.metadata.namespace, slice.metadata.name),
        service: shared(labels.get("kubernetes.io/service-name").cloned()),
        endpoints,
    })
}
