//! From the wire to the model: one rule for each field, no IO.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use super::{
    strings::Strings,
    wire::{self, Metadata, Wire},
    workload::workload,
};
use crate::model::{
    address,
    cluster::{Endpoint, EndpointSlice, Kind, Name, Node, Object, Pod, Service},
};

/// A value that Kubernetes would not have accepted, so whoever wrote it was not Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    field: &'static str,
    value: String,
    wanted: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?} is not {}", self.field, self.value, self.wanted)
    }
}

impl Wire for wire::Node {
    const KIND: Kind = Kind::Node;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "nodes";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn trim(&self, strings: &mut Strings) -> Result<Object, Refused> {
        let labels = self.metadata.labels.as_ref();
        let reachable = self.status.addresses.iter().flatten();
        let reachable = reachable.filter(|a| a.kind == "InternalIP" || a.kind == "ExternalIP");
        Ok(Object::Node(Node {
            name: strings.get(named(&self.metadata)?),
            addresses: addresses("status.addresses", reachable.map(|a| a.address.as_str()))?,
            zone: shared(strings, labels.and_then(|labels| labels.zone.as_deref())),
            zone_id: shared(strings, labels.and_then(|labels| labels.zone_id.as_deref())),
            hybrid: labels.is_some_and(|labels| labels.compute_type.as_deref() == Some("hybrid")),
        }))
    }
}

impl Wire for wire::Pod {
    const KIND: Kind = Kind::Pod;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "pods";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn trim(&self, strings: &mut Strings) -> Result<Object, Refused> {
        Ok(Object::Pod(Pod {
            name: name(&self.metadata, strings)?,
            uid: self.metadata.uid.as_str().into(),
            node: shared(strings, self.spec.node_name.as_deref()),
            addresses: pod_addresses(&self.status)?,
            host_network: self.spec.host_network.unwrap_or_default(),
            finished: matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed")),
            workload: workload(&self.metadata, self.spec.node_name.as_deref(), strings),
        }))
    }
}

fn pod_addresses(status: &wire::PodStatus) -> Result<Vec<IpAddr>, Refused> {
    match &status.pod_ips {
        Some(ips) if !ips.is_empty() => {
            addresses("status.podIPs", ips.iter().map(|each| each.ip.as_str()))
        }
        Some(_) | None => addresses("status.podIP", status.pod_ip.as_deref()),
    }
}

impl Wire for wire::Service {
    const KIND: Kind = Kind::Service;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "services";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn trim(&self, strings: &mut Strings) -> Result<Object, Refused> {
        let spec = &self.spec;
        let mut all = match &spec.cluster_ips {
            Some(ips) => addresses("spec.clusterIPs", ips.iter().map(String::as_str))?,
            None => addresses("spec.clusterIP", spec.cluster_ip.as_deref())?,
        };
        let external = spec.external_ips.iter().flatten().map(String::as_str);
        all.extend(addresses("spec.externalIPs", external)?);
        let ingress = self.status.load_balancer.ingress.iter().flatten();
        // With mode Proxy the traffic goes to the load balancer, which kube-proxy leaves alone.
        let translated = ingress.filter(|each| each.ip_mode.as_deref() != Some("Proxy"));
        let ingress = translated.filter_map(|each| each.ip.as_deref());
        all.extend(addresses("status.loadBalancer.ingress", ingress)?);
        Ok(Object::Service(Service {
            name: name(&self.metadata, strings)?,
            addresses: all,
        }))
    }
}

impl Wire for wire::EndpointSlice {
    const KIND: Kind = Kind::EndpointSlice;
    const GROUP: &'static str = "discovery.k8s.io";
    const VERSION: &'static str = "v1";
    const PLURAL: &'static str = "endpointslices";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn trim(&self, strings: &mut Strings) -> Result<Object, Refused> {
        let labels = self.metadata.labels.as_ref();
        let mut endpoints = Vec::new();
        // Endpoints of type FQDN are names, and no packet carries a name.
        for endpoint in self
            .endpoints
            .iter()
            .flatten()
            .filter(|_| self.address_type != "FQDN")
        {
            endpoints.extend(endpoint_addresses(endpoint, strings)?);
        }
        endpoints.shrink_to_fit();
        Ok(Object::EndpointSlice(EndpointSlice {
            name: name(&self.metadata, strings)?,
            service: shared(
                strings,
                labels.and_then(|labels| labels.service_name.as_deref()),
            ),
            endpoints,
        }))
    }
}

fn endpoint_addresses(
    endpoint: &wire::Endpoint,
    strings: &mut Strings,
) -> Result<Vec<Endpoint>, Refused> {
    let texts = endpoint.addresses.iter().flatten().map(String::as_str);
    let zone = shared(strings, endpoint.zone.as_deref());
    let node = shared(strings, endpoint.node_name.as_deref());
    let ready = endpoint
        .conditions
        .as_ref()
        .and_then(|c| c.ready)
        .unwrap_or(true);
    let with = |address| Endpoint {
        address,
        ready,
        zone: zone.clone(),
        node: node.clone(),
    };
    Ok(addresses("endpoints.addresses", texts)?
        .into_iter()
        .map(with)
        .collect())
}

/// The name that [`crate::model::cluster::Change::Deleted`] carries: a Node has no namespace.
pub(super) fn name(metadata: &Metadata, strings: &mut Strings) -> Result<Name, Refused> {
    Ok(Name {
        namespace: strings.get(&metadata.namespace),
        name: named(metadata)?.into(),
    })
}

fn named(metadata: &Metadata) -> Result<&str, Refused> {
    if metadata.name.is_empty() {
        return Err(Refused {
            field: "metadata.name",
            value: String::new(),
            wanted: "a name",
        });
    }
    Ok(&metadata.name)
}

/// Kubernetes writes an absent name as "" too.
fn shared(strings: &mut Strings, text: Option<&str>) -> Option<Arc<str>> {
    text.filter(|text| !text.is_empty())
        .map(|text| strings.get(text))
}

/// `None` is how a headless Service writes its address, "" how an ExternalName Service does.
fn addresses<'a>(
    field: &'static str,
    texts: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<IpAddr>, Refused> {
    let present = texts
        .into_iter()
        .filter(|text| !text.is_empty() && *text != "None");
    let refused = |text: &str| Refused {
        field,
        value: text.to_owned(),
        wanted: "an IP address",
    };
    present
        .map(|text| address(text).ok_or_else(|| refused(text)))
        .collect()
}

/// Kubernetes still takes leading zeros in the IPv4 addresses of old objects and reads them as
/// decimal (`netutils.ParseIPSloppy`); the standard library refuses them.
fn address(text: &str) -> Option<IpAddr> {
    address::address(text).or_else(|| sloppy_ipv4(text).map(IpAddr::V4))
}

fn sloppy_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for octet in &mut octets {
        let digits = parts
            .next()
            .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *octet = digits.parse().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

#[cfg(test)]
mod tests;
