use serde_json::json;

use super::*;

fn listed(text: &str) -> Result<Listed, String> {
    read(text.as_bytes(), &mut Strings::default()).map_err(|error| format!("{error:#}"))
}

fn names(listed: &Listed, kind: Kind) -> Vec<String> {
    let of = |object: &Object| object.name();
    listed
        .objects(kind)
        .iter()
        .map(of)
        .map(|n| format!("{}/{}", n.namespace, n.name))
        .collect()
}

fn item(api: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "a"}})
}

/// Keys in the order of `kubectl`: `items` comes before `kind`.
fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {}}).to_string()
}

#[test]
fn sorts_items_by_kind_and_counts_the_rest() {
    let text = list(&[
        item("v1", "Pod", "p2"),
        item("v1", "Pod", "p1"),
        item("apps/v1", "Deployment", "d"),
        item("v1", "Service", "s"),
        item("serving.knative.dev/v1", "Service", "not-ours"),
        item("discovery.k8s.io/v1", "EndpointSlice", "e"),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}),
        item("apps/v1", "Deployment", "d2"),
    ]);
    let listed = listed(&text).unwrap();
    assert_eq!(names(&listed, Kind::Pod), ["a/p2", "a/p1"]);
    assert_eq!(names(&listed, Kind::Node), ["/n"]);
    assert_eq!(names(&listed, Kind::Service), ["a/s"]);
    assert_eq!(names(&listed, Kind::EndpointSlice), ["a/e"]);
    let ignored: Vec<_> = listed
        .ignored
        .iter()
        .map(|(kind, n)| (kind.as_str(), *n))
        .collect();
    assert_eq!(
        ignored,
        [
            ("apps/v1 Deployment", 2),
            ("serving.knative.dev/v1 Service", 1)
        ]
    );
}

const YAML: &str = r#"apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata:
    annotations:
      prometheus.io/port: "9090"
    creationTimestamp: "2026-08-20T13:00:01Z"
    labels:
      pod-template-hash: "7989597457"
    name: web-7989597457-x2x4q
    namespace: a
    ownerReferences:
    - apiVersion: apps/v1
      controller: true
      kind: ReplicaSet
      name: web-7989597457
  spec:
    nodeName: "no"
    containers:
    - image: nginx
      command: ["sh", "-c", "echo: |"]
  status:
    podIPs:
    - ip: 10.0.0.7
kind: List
"#;

#[test]
fn yaml_means_the_same_as_json() {
    let yaml = listed(YAML).unwrap();
    let json = list(&[json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-7989597457-x2x4q", "namespace": "a",
            "labels": {"pod-template-hash": "7989597457"}, "ownerReferences":
            [{"kind": "ReplicaSet", "name": "web-7989597457", "controller": true}]},
        "spec": {"nodeName": "no"}, "status": {"podIPs": [{"ip": "10.0.0.7"}]}})]);
    assert_eq!(yaml.objects, listed(&json).unwrap().objects);
    assert_eq!(yaml.objects(Kind::Pod).len(), 1);
}

/// More nodes than a YAML reader takes from strangers (250,000).
#[test]
fn a_large_yaml_list_is_no_attack() {
    let many = "1,".repeat(250_000);
    let text = format!("kind: List\nitems:\n- {{apiVersion: b/v1, kind: Big, s: [{many}]}}\n");
    assert_eq!(listed(&text).unwrap().ignored["b/v1 Big"], 1);
}

#[test]
fn a_half_written_file_is_refused_with_its_place() {
    let whole = serde_json::to_string_pretty(&json!({"items": [item("v1", "Pod", "p")],
        "kind": "List"}))
    .unwrap();
    for cut in 1..whole.len() {
        assert!(listed(&whole[..cut]).is_err(), "{}", &whole[..cut]);
    }
    let error = listed(&whole[..whole.len() / 2]).unwrap_err();
    assert!(
        error.contains("EOF") && error.contains(" at line "),
        "{error}"
    );
    let error = listed(&YAML[..YAML.len() / 2]).unwrap_err();
    assert!(error.contains("line ") && !error.contains('\n'), "{error}");
}

#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let error = listed(text).unwrap_err();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn errors_name_the_item() {
    let mut bad = item("v1", "Pod", "p");
    bad["status"] = json!({"podIP": "10.0.0"});
    let first = item("v1", "Pod", "first");
    refused(
        &list(&[first.clone(), bad]),
        &[
            "item 1 (Pod a/p)",
            r#"status.podIP: "10.0.0" is not an IP address"#,
            "line 1 column",
        ],
    );
    let mut wrong = item("v1", "Pod", "p");
    wrong["spec"] = json!({"hostNetwork": "yes"});
    refused(&list(&[wrong]), &["item 0 (Pod a/p)", "yes", "boolean"]);
    refused(
        &list(&[first.clone(), first]),
        &["item 1 (Pod a/first)", "twice"],
    );
    refused(
        &list(&[json!({"kind": "Pod", "metadata": {"name": "p"}})]),
        &["item 0", "apiVersion"],
    );
}

#[test]
fn what_is_no_list_is_refused() {
    refused("", &["empty"]);
    refused(" \n\t", &["empty"]);
    refused("{}", &["no kind"]);
    refused("hello", &["mapping", "line 1"]);
    refused(r#"{"kind": "List"}"#, &["no items"]);
    refused(
        r#"{"kind": "PodList", "items": []}"#,
        &["PodList", "\"List\""],
    );
    refused(r#"{"kind": "List", "items": []} {}"#, &["trailing"]);
    refused(r#"{"kind": "List", "items": {}}"#, &["items of a List"]);
}
