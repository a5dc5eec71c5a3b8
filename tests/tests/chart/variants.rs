//! What Helm and an API server with the operator's schemas say of the chart's values.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use zonemeter_lab::{agent_binary, chart, control_plane::ControlPlane};

/// Values of the chart by a name; every value of the schema is in at least one.
fn variants() -> serde_json::Map<String, Value> {
    serde_json::from_str(include_str!("variants.json")).unwrap()
}

/// Values, and what the refusal names.
const REFUSED: [(&str, &str); 13] = [
    ("{mapMemmory: 1Gi}", "mapMemmory"),
    ("{mapMemory: much}", "mapMemory"),
    ("{maxSeries: 5}", "maxSeries"),
    ("{detail: all}", "detail"),
    (
        "{resources: {limits: {memory: 64Mi}}}",
        "less than mapMemory 64Mi",
    ),
    (
        "{networks: {refresh: {enabled: true}}}",
        "networks.refresh.vpcId",
    ),
    (
        "{networks: {refresh: {enabled: true, vpcId: vpc-1, region: us-east-2}}}",
        "networks.refresh.image",
    ),
    (
        "{networks: {existingConfigMap: a, content: {vpc: [10.0.0.0/8]}}}",
        "networks.content and networks.existingConfigMap",
    ),
    (
        "{prices: {rows: [{scope: cross_zone}]}}",
        "dollarsPerGigabyte",
    ),
    ("{podMonitor: {enabled: maybe}}", "podMonitor"),
    ("{stateDir: /state}", "stateDir"),
    ("{serve: {enabled: true}}", "serve.prometheus"),
    (
        "{serve: {enabled: true, prometheus: prometheus:9090}}",
        "serve.prometheus",
    ),
];

fn values(folder: &Path, yaml: &str) -> String {
    let file = folder.join("values.yaml");
    fs::write(&file, yaml).unwrap();
    file.to_str().unwrap().to_owned()
}

fn template(folder: &Path, yaml: &str) -> anyhow::Result<String> {
    let file = values(folder, yaml);
    chart::helm(
        folder,
        None,
        &[
            "template",
            "zonemeter",
            ".",
            "--namespace=kube-system",
            "--values",
            &file,
        ],
    )
}

#[test]
fn lint_is_content_with_every_variant() {
    let folder = tempfile::tempdir().unwrap();
    for (name, variant) in variants() {
        let file = values(folder.path(), &variant.to_string());
        let said = chart::helm(
            folder.path(),
            None,
            &["lint", "--strict", ".", "--values", &file],
        );
        let said = said.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        assert!(said.contains("0 chart(s) failed"), "{name}: {said}");
    }
}

/// What a new value needs beside its place in the schema.
#[test]
fn every_value_of_the_schema_is_in_a_variant() {
    let schema = fs::read(chart::folder().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let mut leaves = Vec::new();
    collect_leaves(&schema, "", &mut leaves);
    assert!(leaves.len() > 50, "{leaves:?}");
    let variants = variants();
    let is_set = |path: &String| {
        let mut values = variants.values().map(|variant| variant.pointer(path));
        values.any(|value| value.is_some())
    };
    // Helm's own, of charts within charts.
    leaves.retain(|path| path != "/global" && !is_set(path));
    assert!(leaves.is_empty(), "in no variant: {leaves:?}");
}

fn collect_leaves(schema: &Value, path: &str, leaves: &mut Vec<String>) {
    match schema["properties"].as_object() {
        None => leaves.push(path.to_owned()),
        Some(properties) => {
            for (name, below) in properties {
                collect_leaves(below, &format!("{path}/{name}"), leaves);
            }
        }
    }
}

#[test]
fn values_that_make_no_sense_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (yaml, named) in REFUSED {
        let error = template(folder.path(), yaml).expect_err(yaml);
        let text = format!("{error:#}");
        let found = text.contains(named) || text.contains(&named.replace('.', "/"));
        assert!(found, "{yaml}: {text}");
    }
}

/// On a cluster that holds nothing but the operator's schemas.
#[test]
fn an_api_server_takes_every_variant_and_the_plain_manifests() {
    let plane = ControlPlane::start(&[]).unwrap();
    let apply = |file: &str| plane.kubectl(&["apply", "--dry-run=server", "--filename", file]);
    let plain = chart::folder().join("../../kubernetes");
    for name in ["zonemeter.yaml", "remove.yaml"] {
        let said = apply(plain.join(name).to_str().unwrap()).unwrap();
        assert!(said.contains("daemonset.apps/zonemeter"), "{said}");
    }
    for file in chart::operator_schemas().unwrap() {
        // Too long for the annotation of a client-side apply.
        plane.kubectl(&["create", "--filename", &file]).unwrap();
    }
    let established = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=30s",
    ];
    plane.kubectl(&established).unwrap();
    for (name, variant) in variants() {
        let rendered = template(plane.folder(), &variant.to_string()).unwrap();
        let file = plane.folder().join("rendered.yaml");
        fs::write(&file, rendered).unwrap();
        let strict = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--filename",
        ];
        let arguments = [&strict[..], &[file.to_str().unwrap()]].concat();
        let said = plane.kubectl(&arguments);
        said.unwrap_or_else(|error| panic!("{name}: {error:#}"));
    }
    auto_finds_the_operator(&plane);
    the_refresh_writes_its_config_map(&plane);
}

/// `auto` renders them where the server has the kinds, and they hold the project's rules.
fn auto_finds_the_operator(plane: &ControlPlane) {
    let kubeconfig = plane.admin_kubeconfig().unwrap();
    let install = ["install", "zonemeter", ".", "--namespace=kube-system"];
    chart::helm(plane.folder(), Some(&kubeconfig), &install).unwrap();
    let get = |what: &str| -> Value {
        let all = ["get", what, "--all-namespaces", "--output=json"];
        serde_json::from_str(&plane.kubectl(&all).unwrap()).unwrap()
    };
    let monitors = get("podmonitors");
    let endpoint = &monitors["items"][0]["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["honorLabels"], true, "{monitors}");
    let rules = get("prometheusrules").to_string();
    let there = [
        "zonemeter_transfer_dollars",
        "ZonemeterAgentDown",
        "zonemeter:price:dollars_per_gigabyte",
        "vector(1000)",
    ];
    for expected in there {
        assert!(rules.contains(expected), "no {expected}");
    }
    assert_eq!(rules.matches("\"zonemeter:gigabyte:bytes\"").count(), 1);
}

/// With the rights that the chart gives its account, and no others.
fn the_refresh_writes_its_config_map(plane: &ControlPlane) {
    let admin = plane.admin_kubeconfig().unwrap();
    let file = values(plane.folder(), &variants()["refresh"].to_string());
    let upgrade = [
        "upgrade",
        "zonemeter",
        ".",
        "--namespace=kube-system",
        "--values",
        &file,
    ];
    chart::helm(plane.folder(), Some(&admin), &upgrade).unwrap();
    let token = [
        "--namespace=kube-system",
        "create",
        "token",
        "zonemeter-networks",
    ];
    let token = plane.kubectl(&token).unwrap();
    let token_file = plane.folder().join("networks.token");
    fs::write(&token_file, token.trim()).unwrap();
    let account = plane
        .kubeconfig("networks", plane.address(), &token_file)
        .unwrap();
    let vpcs = plane.folder().join("vpcs.json");
    let block = json!({ "CidrBlock": "10.0.0.0/16", "CidrBlockState": { "State": "associated" } });
    let vpc = json!({ "VpcId": "vpc-1", "CidrBlockAssociationSet": [block] });
    fs::write(&vpcs, json!({ "Vpcs": [vpc] }).to_string()).unwrap();
    let write = |map: &str| {
        let mut command = Command::new(agent_binary().unwrap());
        command
            .env("KUBECONFIG", &account)
            .arg("networks")
            .arg("--vpcs")
            .arg(&vpcs);
        command.args(["--config-map", map]).output().unwrap()
    };
    let done = write("kube-system/zonemeter-networks");
    assert!(done.status.success(), "{done:?}");
    let get = [
        "--namespace=kube-system",
        "get",
        "configmap",
        "zonemeter-networks",
        "--output=json",
    ];
    let map: Value = serde_json::from_str(&plane.kubectl(&get).unwrap()).unwrap();
    let text = map["data"]["networks.yaml"].as_str().unwrap_or_default();
    assert!(text.contains("10.0.0.0/16"), "{map}");
    let refused = write("kube-system/another");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        said.contains("missing RBAC: patch configmaps kube-system/another"),
        "{said}"
    );
    // What the job wrote is not the chart's: an upgrade leaves it.
    chart::helm(plane.folder(), Some(&admin), &upgrade).unwrap();
    assert!(plane.kubectl(&get).unwrap().contains("10.0.0.0/16"));
}
