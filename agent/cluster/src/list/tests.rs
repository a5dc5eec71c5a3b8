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
        error.contains("ends in the middle") && error.starts_with("line "),
        "{error}"
    );
    let error = listed(&YAML[..YAML.len() / 2]).unwrap_err();
    assert!(error.contains("line ") && !error.contains('\n'), "{error}");
}

/// The names of the pods, and what is said of the others.
#[track_caller]
fn with_unread(items: &[Value], pods: &[&str], said: &[&str]) {
    let listed = listed(&list(items)).unwrap();
    assert_eq!(names(&listed, Kind::Pod), pods);
    let lines = listed.unread.iter().flat_map(|item| {
        let line = |line| format!("{} {}: {line}", item.kind.name(), item.object);
        item.lines.iter().map(line)
    });
    assert_eq!(lines.collect::<Vec<_>>(), said);
}

#[test]
fn an_item_that_cannot_be_read_costs_itself_only() {
    let first = item("v1", "Pod", "first");
    let mut bad = item("v1", "Pod", "p");
    bad["status"] = json!({"podIP": "10.0.0"});
    bad["spec"] = json!({"hostNetwork": "yes"});
    let said = [
        r#"Pod a/p (item 1): spec.hostNetwork: "yes" is not true or false"#,
        r#"Pod a/p (item 1): status.podIP: "10.0.0" is not an IP address"#,
    ];
    with_unread(&[first.clone(), bad], &["a/first", "a/p"], &said);
    let nameless = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 7}});
    let said = [
        "Pod  (item 0): metadata.name: 7 is not a text",
        "Pod  (item 0): without metadata.name nothing tells which object it is: it is passed over",
    ];
    with_unread(&[nameless, first.clone()], &["a/first"], &said);
    let said = ["Pod a/first (item 1): the list has it twice: the first one holds"];
    with_unread(&[first.clone(), first], &["a/first"], &said);
}

#[test]
fn what_is_no_object_is_passed_over_and_counted() {
    let unknown = [
        json!({"kind": "Pod", "metadata": {"name": "p"}}),
        json!({"apiVersion": 1, "kind": "Pod"}),
        Value::Null,
        json!("Pod"),
        json!([]),
    ];
    let mut items = unknown.to_vec();
    items.push(item("v1", "Pod", "p"));
    let listed = listed(&list(&items)).unwrap();
    assert_eq!(names(&listed, Kind::Pod), ["a/p"]);
    assert_eq!(listed.ignored["without apiVersion or kind"], unknown.len());
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let text = list(&[item("v1", "Pod", "p")]);
    for text in [format!("\u{feff}{text}"), format!("\u{feff}{YAML}")] {
        assert_eq!(listed(&text).unwrap().objects(Kind::Pod).len(), 1);
    }
}

#[test]
fn what_is_no_list_is_refused() {
    for (text, line) in [
        ("", "the file is empty"),
        (" \n\t", "the file is empty"),
        (
            "{}",
            "line 1 column 2: it has no kind, where \"List\" was expected",
        ),
        ("hello", "a mapping belongs here"),
        ("[]", "a mapping belongs here"),
        (
            r#"{"kind": "List"}"#,
            "line 1 column 16: the List has no items",
        ),
        (
            r#"{"kind": "PodList", "items": []}"#,
            "line 1 column 32: its kind is \"PodList\", not \"List\"",
        ),
        (
            r#"{"kind": "List", "items": []} {}"#,
            "line 1 column 31: more text follows where the end belongs",
        ),
        (
            r#"{"kind": "List", "items": {}}"#,
            "line 1 column 27: a mapping stands where a list of items belongs",
        ),
        (
            "kind: List\nitems: []\n---\nkind: List\nitems: []\n",
            "a second document begins here, and one is read: remove the line --- or the rest",
        ),
        (
            "kind: List\nitems: []\nkind: List\n",
            "\"kind\" is there twice: remove one",
        ),
        ("kind: List\nitems: [\n", "this is not YAML"),
    ] {
        let error = listed(text).unwrap_err();
        assert!(error.contains(line), "{text:?}: {error:?}");
        for word in [
            "serde",
            "struct",
            "invalid type",
            "Option",
            "expected one of",
        ] {
            assert!(!error.contains(word), "{text:?}: {error:?}");
        }
    }
}
