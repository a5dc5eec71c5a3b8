use serde_json::{Value, json};

use super::*;

mod unread;

/// The object, and what could not be read of it.
fn with_unread<W: Wire>(object: &Value) -> (Result<Object, String>, Vec<String>) {
    let text = object.to_string();
    let decoded: W = wire::object(&mut serde_json::Deserializer::from_str(&text)).unwrap();
    let mut unread = Unread::default();
    let trimmed = decoded.trim(&mut Strings::default(), &mut unread);
    (trimmed.map_err(|error| error.to_string()), unread.take())
}

/// An object of which everything can be read.
fn trimmed<W: Wire>(object: Value) -> Result<Object, String> {
    let (object, unread) = with_unread::<W>(&object);
    assert_eq!(unread, [""; 0]);
    object
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn in_default(name: &str) -> Name {
    Name {
        namespace: "default".into(),
        name: name.into(),
    }
}

#[test]
fn node_keeps_reachable_addresses_and_both_zone_labels() {
    let node = trimmed::<wire::Node>(json!({
        "metadata": {"name": "ip-192-168-1-7", "labels": {
            "topology.kubernetes.io/zone": "us-east-2a",
            "topology.k8s.aws/zone-id": "use2-az1",
            "beta.kubernetes.io/arch": "arm64"}},
        "spec": {"providerID": "aws:///us-east-2a/i-0"},
        "status": {"addresses": [
            {"type": "InternalIP", "address": "192.168.1.7"},
            {"type": "InternalIP", "address": "2001:db8::7"},
            {"type": "ExternalIP", "address": "3.4.5.6"},
            {"type": "InternalDNS", "address": "ip-192-168-1-7.internal"},
            {"type": "Hostname", "address": "ip-192-168-1-7.internal"}]},
    }));
    assert_eq!(
        node,
        Ok(Object::Node(Node {
            name: "ip-192-168-1-7".into(),
            addresses: ips(&["192.168.1.7", "2001:db8::7", "3.4.5.6"]),
            zone: Some("us-east-2a".into()),
            zone_id: Some("use2-az1".into()),
            hybrid: false,
        }))
    );
}

#[test]
fn node_without_labels_or_addresses_has_none() {
    let node = trimmed::<wire::Node>(json!({"metadata": {"name": "new", "labels":
        {"topology.kubernetes.io/zone": ""}}, "status": {"addresses": null}}));
    let expected = Node {
        name: "new".into(),
        addresses: vec![],
        zone: None,
        zone_id: None,
        hybrid: false,
    };
    assert_eq!(node, Ok(Object::Node(expected)));
}

#[test]
fn pod_keeps_every_address_of_both_families() {
    let pod = trimmed::<wire::Pod>(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "u1"},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1",
                   "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00:10::1"}]},
    }));
    assert_eq!(
        pod,
        Ok(Object::Pod(Pod {
            name: in_default("web"),
            uid: "u1".into(),
            node: Some("n1".into()),
            addresses: ips(&["10.0.0.1", "fd00:10::1"]),
            host_network: false,
            finished: false,
            workload: zonemeter_model::cluster::Workload {
                kind: "Pod".into(),
                name: "web".into()
            },
            source_nat: None,
        }))
    );
}

fn pod(spec: Value, status: Value) -> Pod {
    let metadata = json!({"name": "web", "namespace": "default", "uid": "u1"});
    match trimmed::<wire::Pod>(json!({"metadata": metadata, "spec": spec, "status": status})) {
        Ok(Object::Pod(pod)) => pod,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pod_of_an_old_server_has_its_single_address() {
    assert_eq!(
        pod(json!({}), json!({"podIP": "10.0.0.1"})).addresses,
        ips(&["10.0.0.1"])
    );
}

#[test]
fn pod_that_waits_for_a_node_has_nothing() {
    let waiting = pod(json!({}), json!({"phase": "Pending"}));
    assert_eq!(
        (waiting.node, waiting.addresses, waiting.finished),
        (None, vec![], false)
    );
}

#[test]
fn pod_is_finished_by_its_phase_only() {
    for (phase, finished) in [
        ("Pending", false),
        ("Running", false),
        ("Unknown", false),
        ("Succeeded", true),
        ("Failed", true),
    ] {
        assert_eq!(
            pod(json!({}), json!({"phase": phase})).finished,
            finished,
            "{phase}"
        );
    }
}

#[test]
fn terminating_pod_is_not_finished() {
    let object = json!({"metadata": {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]}});
    let Ok(Object::Pod(pod)) = trimmed::<wire::Pod>(object) else {
        panic!("no pod")
    };
    assert!(!pod.finished);
}

#[test]
fn host_network_pod_says_so() {
    assert!(pod(json!({"hostNetwork": true}), json!({})).host_network);
    assert!(!pod(json!({"hostNetwork": false}), json!({})).host_network);
}

fn service(spec: Value, status: Value) -> Vec<IpAddr> {
    let object = json!({"metadata": {"name": "s", "namespace": "default"},
        "spec": spec, "status": status});
    match trimmed::<wire::Service>(object) {
        Ok(Object::Service(service)) => service.addresses,
        other => panic!("{other:?}"),
    }
}

#[test]
fn service_has_every_address_that_kube_proxy_translates() {
    let spec = json!({"clusterIP": "172.20.0.10", "clusterIPs": ["172.20.0.10", "fd00::a"],
        "externalIPs": ["203.0.113.9"], "ports": [{"port": 53}]});
    let status = json!({"loadBalancer": {"ingress": [
        {"ip": "198.51.100.4"}, {"hostname": "a.elb.amazonaws.com"}]}});
    let expected = ips(&["172.20.0.10", "fd00::a", "203.0.113.9", "198.51.100.4"]);
    assert_eq!(service(spec, status), expected);
}

/// kube-proxy does not translate what a load balancer must see (KEP-1860).
#[test]
fn addresses_of_a_proxying_load_balancer_are_not_the_services() {
    let status = json!({"loadBalancer": {"ingress": [
        {"ip": "198.51.100.4", "ipMode": "Proxy"}, {"ip": "198.51.100.5", "ipMode": "VIP"},
        {"ip": "198.51.100.6", "ipMode": null}]}});
    let expected = ips(&["198.51.100.5", "198.51.100.6"]);
    assert_eq!(service(json!({}), status), expected);
}

#[test]
fn null_is_the_same_as_absent() {
    assert_eq!(
        service(json!({"clusterIP": "10.1.0.1"}), Value::Null),
        ips(&["10.1.0.1"])
    );
    let status = json!({"loadBalancer": null});
    assert_eq!(
        service(json!({"clusterIP": "10.1.0.1"}), status),
        ips(&["10.1.0.1"])
    );
    assert_eq!(
        service(Value::Null, json!({"loadBalancer": {"ingress": null}})),
        ips(&[])
    );
    let bare = pod(Value::Null, Value::Null);
    assert_eq!(
        (bare.addresses, bare.node, bare.finished),
        (vec![], None, false)
    );
    let pod = trimmed::<wire::Pod>(
        json!({"metadata": {"name": "p", "namespace": null, "uid": null,
        "labels": null, "annotations": null, "ownerReferences": null}, "status": {"podIPs": null}}),
    );
    assert!(pod.is_ok(), "{pod:?}");
    let node = trimmed::<wire::Node>(json!({"metadata": {"name": "n", "labels":
        {"eks.amazonaws.com/compute-type": "hybrid"}}, "status": null}));
    let Ok(Object::Node(node)) = node else {
        panic!("{node:?}")
    };
    assert!(node.hybrid && node.addresses.is_empty());
    assert_eq!(
        endpoints("IPv4", json!([{"addresses": null, "conditions": null}])).endpoints,
        []
    );
}

#[test]
fn mapped_addresses_are_the_ipv4_addresses() {
    let spec = json!({"clusterIP": "::ffff:10.1.0.1"});
    assert_eq!(service(spec, json!({})), ips(&["10.1.0.1"]));
    let status = json!({"podIPs": [{"ip": "::ffff:10.0.7.9"}]});
    assert_eq!(pod(json!({}), status).addresses, ips(&["10.0.7.9"]));
}

#[test]
fn headless_and_external_name_services_have_no_address() {
    let none = json!({"clusterIP": "None", "clusterIPs": ["None"]});
    assert_eq!(service(none, json!({"loadBalancer": {}})), ips(&[]));
    let external = json!({"type": "ExternalName", "externalName": "example.com"});
    assert_eq!(service(external, json!({})), ips(&[]));
}

/// Kubernetes takes them in old objects; some read them as octal, so no address is made of them.
#[test]
fn an_address_with_leading_zeros_costs_itself_only() {
    let object = json!({"metadata": {"name": "s", "namespace": "default"},
        "spec": {"clusterIP": "172.20.0.10", "externalIPs": ["192.168.010.009"]}, "status": {}});
    let (object, unread) = with_unread::<wire::Service>(&object);
    let Ok(Object::Service(service)) = object else {
        panic!("{object:?}");
    };
    assert_eq!(service.addresses, ips(&["172.20.0.10"]));
    let said = "spec.externalIPs: \"192.168.010.009\" is not an IP address";
    assert_eq!(unread, [said]);
}

fn endpoints(address_type: &str, endpoints: Value) -> EndpointSlice {
    let object = json!({"metadata": {"name": "web-abc", "namespace": "default",
        "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": address_type, "endpoints": endpoints, "ports": null});
    match trimmed::<wire::EndpointSlice>(object) {
        Ok(Object::EndpointSlice(slice)) => slice,
        other => panic!("{other:?}"),
    }
}

#[test]
fn slice_has_one_entry_for_each_address() {
    let slice = endpoints(
        "IPv4",
        json!([
            {"addresses": ["10.0.0.1", "10.0.0.2"], "conditions": {"ready": false},
             "zone": "us-east-2a", "nodeName": "n1", "targetRef": {"kind": "Pod"}},
            {"addresses": ["10.0.0.3"], "conditions": {}},
            {"addresses": ["10.0.0.4"]}]),
    );
    assert_eq!(
        (slice.name, slice.service),
        (in_default("web-abc"), Some("web".into()))
    );
    let of = |address: &str, ready, place: Option<(&str, &str)>| Endpoint {
        address: address.parse().unwrap(),
        ready,
        zone: place.map(|(zone, _)| zone.into()),
        node: place.map(|(_, node)| node.into()),
    };
    let first = Some(("us-east-2a", "n1"));
    let expected = [
        of("10.0.0.1", false, first),
        of("10.0.0.2", false, first),
        of("10.0.0.3", true, None),
        of("10.0.0.4", true, None),
    ];
    assert_eq!(slice.endpoints, expected);
}

#[test]
fn slice_without_endpoints_is_null_in_json() {
    assert_eq!(endpoints("IPv4", Value::Null).endpoints, []);
}

#[test]
fn names_behind_a_service_are_no_addresses() {
    let named = json!([{"addresses": ["a.example.com"]}]);
    assert_eq!(endpoints("FQDN", named).endpoints, []);
}

/// As EKS's add-on writes it; of any other pod nothing is read.
#[test]
fn the_cni_says_what_it_does_with_source_addresses() {
    let spec = |value: &str| {
        json!({"nodeName": "n1", "hostNetwork": true, "containers": [
            {"name": "other", "env": 7},
            {"name": "aws-node", "env": [
                {"name": "ADDITIONAL_ENI_TAGS", "value": "{}"},
                {"name": "MY_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "AWS_VPC_K8S_CNI_EXTERNALSNAT", "value": value},
                {"name": "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS", "value": "10.8.0.0/16, 9.1.2.3/8,x"},
            ]},
        ]})
    };
    let source_nat = |namespace: &str, spec: Value| {
        let metadata = json!({"name": "aws-node-x", "namespace": namespace, "uid": "u1"});
        match with_unread::<wire::Pod>(&json!({"metadata": metadata, "spec": spec})) {
            (Ok(Object::Pod(pod)), unread) => (pod.source_nat, unread),
            other => panic!("{other:?}"),
        }
    };
    let ranges = ["10.8.0.0/16", "9.0.0.0/8"].map(|range| range.parse().unwrap());
    for (value, external) in [
        ("true", true),
        ("1", true),
        ("false", false),
        ("yes", false),
    ] {
        let (found, unread) = source_nat("kube-system", spec(value));
        let found = found.unwrap();
        assert_eq!(
            (found.external, &*found.excluded),
            (external, &ranges[..]),
            "{value}"
        );
        let line = "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS: \"x\" is not a range";
        assert_eq!(unread, [line]);
    }
    assert_eq!(source_nat("shop", spec("true")), (None, vec![]));
    assert_eq!(
        source_nat("kube-system", json!({"containers": 7})),
        (None, vec![])
    );
}
