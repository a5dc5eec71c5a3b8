//! Fields that cannot be read: each costs itself, and is said.

use super::*;

/// Everything that JSON can hold, and how it is shown.
fn anything() -> [(Value, &'static str); 9] {
    [
        (json!(7), "7"),
        (json!(-7), "-7"),
        (json!(0.5), "0.5"),
        (json!(true), "true"),
        (json!("text"), "\"text\""),
        (json!(["a"]), "a list"),
        (json!([]), "a list"),
        (json!({"a": 1}), "a mapping"),
        (json!({}), "a mapping"),
    ]
}

fn whole_pod() -> Value {
    json!({"metadata": {"name": "web-1-x", "namespace": "shop", "uid": "u", "resourceVersion": "7",
            "creationTimestamp": "2026-08-20T10:00:01Z",
            "labels": {"pod-template-hash": "1"}, "annotations": {"a": "b"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-1", "controller": true}]},
        "spec": {"nodeName": "n1", "hostNetwork": false},
        "status": {"phase": "Running", "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}})
}

fn whole_node() -> Value {
    json!({"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a",
            "topology.k8s.aws/zone-id": "az1", "eks.amazonaws.com/compute-type": "ec2"}},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.9"},
            {"type": "ExternalIP", "address": "203.0.113.9"}]}})
}

fn whole_service() -> Value {
    json!({"metadata": {"name": "s", "namespace": "shop"},
        "spec": {"clusterIP": "10.1.0.1", "clusterIPs": ["10.1.0.1"],
            "externalIPs": ["203.0.113.1"]},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.2", "ipMode": "VIP"}]}}})
}

fn whole_slice() -> Value {
    json!({"metadata": {"name": "s-a", "namespace": "shop",
            "labels": {"kubernetes.io/service-name": "s"}},
        "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"], "zone": "a",
            "nodeName": "n1", "conditions": {"ready": true}}]})
}

/// Every place of a value below `value`.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('/', "~1"), value))
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (key, value) in below {
        let at = format!("{at}/{key}");
        places(value, &at, found);
        found.push(at);
    }
}

/// Puts everything that JSON can hold into every place: the object is there, unless its name is
/// not, and what is not there as it was is said.
fn survives<W: Wire>(whole: &Value) {
    let name = |object: &Object| object.name().name.to_string();
    let (object, unread) = with_unread::<W>(whole);
    assert_eq!(unread, [""; 0]);
    let object = object.unwrap();
    let mut all = Vec::new();
    places(whole, "", &mut all);
    for place in all {
        for (value, shown) in anything() {
            let mut changed = whole.clone();
            *changed.pointer_mut(&place).unwrap() = value.clone();
            let (read, said) = with_unread::<W>(&changed);
            if matches!(&*place, "/metadata" | "/metadata/name") {
                continue;
            }
            let read = read.unwrap_or_else(|error| panic!("{place}: {value}: {error}"));
            assert_eq!(name(&read), name(&object), "{place}: {value}");
            let is_kind = same_kind(whole.pointer(&place).unwrap(), &value);
            if !is_kind && read != object {
                let is_said = said.iter().any(|line| line.contains(shown));
                assert!(is_said, "{place}: {value}: {said:?}");
            }
        }
        let mut without = whole.clone();
        *without.pointer_mut(&place).unwrap() = Value::Null;
        let (read, said) = with_unread::<W>(&without);
        assert!(
            read.is_ok() || place.starts_with("/metadata"),
            "{place}: null"
        );
        assert_eq!(said, [""; 0], "{place}: null");
    }
}

fn same_kind(one: &Value, other: &Value) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

#[test]
fn any_value_in_any_field_costs_that_field_only() {
    survives::<wire::Pod>(&whole_pod());
    survives::<wire::Node>(&whole_node());
    survives::<wire::Service>(&whole_service());
    survives::<wire::EndpointSlice>(&whole_slice());
}

#[track_caller]
fn reads<W: Wire>(whole: &Value, change: (&str, Value), line: &str, addresses: &[&str]) -> Object {
    let mut changed = whole.clone();
    *changed.pointer_mut(change.0).unwrap() = change.1;
    let (object, said) = with_unread::<W>(&changed);
    assert_eq!(said, [line]);
    let object = object.unwrap();
    let found: Vec<IpAddr> = match &object {
        Object::Node(node) => node.addresses.clone(),
        Object::Pod(pod) => pod.addresses.clone(),
        Object::Service(service) => service.addresses.clone(),
        Object::EndpointSlice(slice) => slice.endpoints.iter().map(|e| e.address).collect(),
    };
    assert_eq!(found, ips(addresses));
    object
}

/// Kubernetes takes any text as an address of a node.
#[test]
fn what_is_no_address_is_passed_over_and_the_others_stay() {
    reads::<wire::Node>(
        &whole_node(),
        ("/status/addresses/0/address", json!("ip-10-0-0-9.internal")),
        r#"status.addresses: "ip-10-0-0-9.internal" is not an IP address"#,
        &["203.0.113.9"],
    );
    reads::<wire::Pod>(
        &whole_pod(),
        ("/status/podIPs/0/ip", json!("10.0.0.256")),
        r#"status.podIPs: "10.0.0.256" is not an IP address"#,
        &["fd00::1"],
    );
    reads::<wire::Service>(
        &whole_service(),
        ("/spec/externalIPs/0", json!(["203.0.113.1"])),
        "spec.externalIPs: a list is not a text",
        &["10.1.0.1", "203.0.113.2"],
    );
    reads::<wire::EndpointSlice>(
        &whole_slice(),
        ("/endpoints/0/conditions", json!("ready")),
        r#"endpoints.conditions: "ready" is not a mapping"#,
        &["10.0.0.1"],
    );
    // The single address stands for the list that cannot be read.
    reads::<wire::Pod>(
        &whole_pod(),
        ("/status/podIPs", json!("10.0.0.1")),
        r#"status.podIPs: "10.0.0.1" is not a list"#,
        &["10.0.0.1"],
    );
    reads::<wire::Service>(
        &whole_service(),
        ("/spec/clusterIPs", json!(7)),
        "spec.clusterIPs: 7 is not a list",
        &["10.1.0.1", "203.0.113.1", "203.0.113.2"],
    );
}

#[test]
fn a_field_of_another_type_leaves_all_others() {
    let both = ["10.0.0.1", "fd00::1"];
    let read = |place, value, line| {
        let object = reads::<wire::Pod>(&whole_pod(), (place, value), line, &both);
        let Object::Pod(pod) = object else {
            panic!("{object:?}")
        };
        (pod.workload.kind.to_string(), pod.host_network)
    };
    let line = r#"spec.hostNetwork: "yes" is not true or false"#;
    let deployment = ("Deployment".to_owned(), false);
    assert_eq!(read("/spec/hostNetwork", json!("yes"), line), deployment);
    let line = "metadata.uid: 7 is not a text";
    assert_eq!(read("/metadata/uid", json!(7), line), deployment);
    let line = "pod-template-hash: 1 is not a text";
    let hash = "/metadata/labels/pod-template-hash";
    assert_eq!(read(hash, json!(1), line).0, "ReplicaSet");
    let line = "metadata.ownerReferences: 7 is not a mapping";
    assert_eq!(read("/metadata/ownerReferences/0", json!(7), line).0, "Pod");
}

#[test]
fn a_long_text_is_cut() {
    let (_, said) = with_unread::<wire::Pod>(&json!({"metadata": {"name": "p"},
        "status": {"podIP": "x".repeat(10_000)}}));
    assert!(said[0].len() < 130, "{said:?}");
}

#[test]
fn without_a_name_nothing_tells_which_object_it_is() {
    for object in [
        json!({"metadata": {}}),
        json!({}),
        json!({"metadata": {"name": ""}}),
        json!({"metadata": {"name": 7}}),
        json!({"metadata": 7}),
        json!(7),
        json!([]),
        Value::Null,
    ] {
        let (read, _) = with_unread::<wire::Node>(&object);
        let error = read.unwrap_err();
        assert!(error.contains("metadata.name"), "{object}: {error}");
    }
}
