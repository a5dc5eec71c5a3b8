//! From the wire to the model: one rule for each field, no IO.

use std::{fmt, net::IpAddr};

use zonemeter_model::strings::Strings;
use zonemeter_model::{
    address,
    cluster::{Endpoint, EndpointSlice, Kind, Name, Node, Object, Pod, Service},
};

use super::{
    field::{Field, Part, Unread, quoted},
    source_nat::source_nat,
    wire::{self, Metadata, Wire},
    workload::workload,
};

/// An object without a name that can be read: nothing tells which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nameless;

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("without metadata.name nothing tells which object it is: it is passed over")
    }
}

impl Wire for wire::Node {
    const KIND: Kind = Kind::Node;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "nodes";

    fn metadata(&self) -> &Field<Metadata> {
        &self.metadata
    }

    fn trim(&self, strings: &mut Strings, unread: &mut Unread) -> Result<Object, Nameless> {
        let metadata = self.metadata.read("metadata", unread);
        let name = strings.get(named(metadata, unread)?);
        let labels = labels(metadata, unread);
        let mut label = |of: fn(&wire::Labels) -> &Field<String>, name| {
            let text = labels.and_then(|labels| of(labels).text(name, unread));
            text.map(|text| strings.get(text))
        };
        let zone = label(|labels| &labels.zone, "topology.kubernetes.io/zone");
        let zone_id = label(|labels| &labels.zone_id, "topology.k8s.aws/zone-id");
        let compute = label(
            |labels| &labels.compute_type,
            "eks.amazonaws.com/compute-type",
        );
        Ok(Object::Node(Node {
            name,
            addresses: node_addresses(self, unread),
            zone,
            zone_id,
            hybrid: compute.as_deref() == Some("hybrid"),
        }))
    }
}

fn node_addresses(node: &wire::Node, unread: &mut Unread) -> Vec<IpAddr> {
    let status = node.status.read("status", unread);
    let mut all = Vec::new();
    for address in each(
        status,
        |status| &status.addresses,
        "status.addresses",
        unread,
    ) {
        let kind = address.kind.text("status.addresses.type", unread);
        if matches!(kind, Some("InternalIP" | "ExternalIP")) {
            all.extend(ip("status.addresses", &address.address, unread));
        }
    }
    all
}

impl Wire for wire::Pod {
    const KIND: Kind = Kind::Pod;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "pods";

    fn metadata(&self) -> &Field<Metadata> {
        &self.metadata
    }

    fn trim(&self, strings: &mut Strings, unread: &mut Unread) -> Result<Object, Nameless> {
        let metadata = self.metadata.read("metadata", unread);
        let name = name(metadata, strings, unread)?;
        let spec = self.spec.read("spec", unread);
        let node = spec.and_then(|spec| spec.node_name.text("spec.nodeName", unread));
        let host = spec.and_then(|spec| spec.host_network.read("spec.hostNetwork", unread));
        let status = self.status.read("status", unread);
        let phase = status.and_then(|status| status.phase.text("status.phase", unread));
        let uid = uid(metadata, unread);
        Ok(Object::Pod(Pod {
            uid: uid.unwrap_or_default().into(),
            node: node.map(|node| strings.get(node)),
            addresses: pod_addresses(status, unread),
            host_network: host.copied().unwrap_or_default(),
            finished: matches!(phase, Some("Succeeded" | "Failed")),
            workload: workload(&name.name, metadata, node, strings, unread),
            source_nat: source_nat(&name.namespace, spec, unread).map(Into::into),
            name,
        }))
    }
}

/// The uid by which the kubelet knows the pod. The one that the API gives to a static pod is that
/// of its mirror: the kubelet has made another one out of its configuration.
fn uid<'a>(metadata: Option<&'a Metadata>, unread: &mut Unread) -> Option<&'a str> {
    let annotations = metadata?.annotations.read("metadata.annotations", unread);
    let hash = annotations.and_then(|all| {
        let field = "kubernetes.io/config.hash";
        all.config_hash.text(field, unread)
    });
    hash.or_else(|| metadata?.uid.text("metadata.uid", unread))
}

/// All addresses; the single one where the list is not there or cannot be read.
fn pod_addresses(status: Option<&wire::PodStatus>, unread: &mut Unread) -> Vec<IpAddr> {
    let all = each(status, |status| &status.pod_ips, "status.podIPs", unread).into_iter();
    let all = all.filter_map(|each| ip("status.podIPs", &each.ip, unread));
    let mut all: Vec<IpAddr> = all.collect();
    if all.is_empty() {
        all.extend(status.and_then(|status| ip("status.podIP", &status.pod_ip, unread)));
    }
    all
}

impl Wire for wire::Service {
    const KIND: Kind = Kind::Service;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "services";

    fn metadata(&self) -> &Field<Metadata> {
        &self.metadata
    }

    fn trim(&self, strings: &mut Strings, unread: &mut Unread) -> Result<Object, Nameless> {
        let metadata = self.metadata.read("metadata", unread);
        let name = name(metadata, strings, unread)?;
        let spec = self.spec.read("spec", unread);
        let mut addresses = cluster_addresses(spec, unread);
        for text in each(spec, |spec| &spec.external_ips, "spec.externalIPs", unread) {
            addresses.extend(ip_text("spec.externalIPs", text, unread));
        }
        let status = self.status.read("status", unread);
        let balancer = status.and_then(|s| s.load_balancer.read("status.loadBalancer", unread));
        let field = "status.loadBalancer.ingress";
        for ingress in each(balancer, |balancer| &balancer.ingress, field, unread) {
            // With mode Proxy the traffic goes to the load balancer, which kube-proxy leaves alone.
            let mode = ingress
                .ip_mode
                .text("status.loadBalancer.ingress.ipMode", unread);
            if mode != Some("Proxy") {
                addresses.extend(ip(field, &ingress.ip, unread));
            }
        }
        Ok(Object::Service(Service { name, addresses }))
    }
}

fn cluster_addresses(spec: Option<&wire::ServiceSpec>, unread: &mut Unread) -> Vec<IpAddr> {
    let all = each(spec, |spec| &spec.cluster_ips, "spec.clusterIPs", unread).into_iter();
    let all = all.filter_map(|text| ip_text("spec.clusterIPs", text, unread));
    let mut all: Vec<IpAddr> = all.collect();
    if all.is_empty() {
        all.extend(spec.and_then(|spec| ip("spec.clusterIP", &spec.cluster_ip, unread)));
    }
    all
}

impl Wire for wire::EndpointSlice {
    const KIND: Kind = Kind::EndpointSlice;
    const GROUP: &'static str = "discovery.k8s.io";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "endpointslices";

    fn metadata(&self) -> &Field<Metadata> {
        &self.metadata
    }

    fn trim(&self, strings: &mut Strings, unread: &mut Unread) -> Result<Object, Nameless> {
        let metadata = self.metadata.read("metadata", unread);
        let name = name(metadata, strings, unread)?;
        let labels = labels(metadata, unread);
        let service = labels
            .and_then(|labels| {
                labels
                    .service_name
                    .text("kubernetes.io/service-name", unread)
            })
            .map(|service| strings.get(service));
        let mut endpoints = Vec::new();
        // Endpoints of type FQDN are names, and no packet carries a name.
        if self.address_type.text("addressType", unread) != Some("FQDN") {
            for endpoint in self.endpoints.each("endpoints", unread) {
                add_addresses(&mut endpoints, endpoint, strings, unread);
            }
        }
        endpoints.shrink_to_fit();
        Ok(Object::EndpointSlice(EndpointSlice {
            name,
            service,
            endpoints,
        }))
    }
}

fn add_addresses(
    endpoints: &mut Vec<Endpoint>,
    endpoint: &wire::Endpoint,
    strings: &mut Strings,
    unread: &mut Unread,
) {
    let zone = endpoint.zone.text("endpoints.zone", unread);
    let zone = zone.map(|zone| strings.get(zone));
    let node = endpoint.node_name.text("endpoints.nodeName", unread);
    let node = node.map(|node| strings.get(node));
    let conditions = endpoint.conditions.read("endpoints.conditions", unread);
    let ready = conditions.and_then(|c| c.ready.read("endpoints.conditions.ready", unread));
    for text in endpoint.addresses.each("endpoints.addresses", unread) {
        let address = ip_text("endpoints.addresses", text, unread);
        endpoints.extend(address.map(|address| Endpoint {
            address,
            ready: ready.copied().unwrap_or(true),
            zone: zone.clone(),
            node: node.clone(),
        }));
    }
}

/// The name that [`zonemeter_model::cluster::Change::Deleted`] carries: a Node has no namespace.
pub(super) fn name(
    metadata: Option<&Metadata>,
    strings: &mut Strings,
    unread: &mut Unread,
) -> Result<Name, Nameless> {
    let name = named(metadata, unread)?.into();
    let namespace = metadata.and_then(|of| of.namespace.text("metadata.namespace", unread));
    Ok(Name {
        namespace: strings.get(namespace.unwrap_or_default()),
        name,
    })
}

fn named<'a>(metadata: Option<&'a Metadata>, unread: &mut Unread) -> Result<&'a str, Nameless> {
    let name = metadata.and_then(|metadata| metadata.name.text("metadata.name", unread));
    name.ok_or(Nameless)
}

/// `namespace/name`, as far as they can be read.
pub(super) fn shown(metadata: &Field<Metadata>) -> String {
    let mut unread = Unread::default();
    let metadata = metadata.read("", &mut unread);
    let namespace = metadata.and_then(|of| of.namespace.text("", &mut unread));
    let name = metadata.and_then(|of| of.name.text("", &mut unread));
    let slash = namespace.map_or("", |_| "/");
    let (namespace, name) = (namespace.unwrap_or_default(), name.unwrap_or("?"));
    format!("{namespace}{slash}{name}")
}

/// `metadata.labels`
pub(super) fn labels<'a>(
    metadata: Option<&'a Metadata>,
    unread: &mut Unread,
) -> Option<&'a wire::Labels> {
    metadata?.labels.read("metadata.labels", unread)
}

/// The elements of a list in a structure that may not be there.
fn each<'a, S, T: Part>(
    structure: Option<&'a S>,
    list: fn(&S) -> &Field<Vec<Field<T>>>,
    field: &'static str,
    unread: &mut Unread,
) -> Vec<&'a T> {
    structure.map_or_else(Vec::new, |structure| list(structure).each(field, unread))
}

fn ip(field: &'static str, address: &Field<String>, unread: &mut Unread) -> Option<IpAddr> {
    ip_text(field, address.text(field, unread)?, unread)
}

/// `None` is how a headless Service writes its address, "" how an ExternalName Service does.
fn ip_text(field: &str, text: &str, unread: &mut Unread) -> Option<IpAddr> {
    if matches!(text, "" | "None") {
        return None;
    }
    let address = address::address(text);
    if address.is_none() {
        unread.note(field, &quoted(text), "an IP address");
    }
    address
}

#[cfg(test)]
mod tests;
