//! One object of the Kubernetes API at a time, for commands that run as a Job: `zonemeter remove
//! --await` and `zonemeter networks --config-map`. The agent itself watches, see [`crate`].

use std::{fmt, str::FromStr};

use anyhow::{Context as _, Result};
use http::{Method, Request, header::CONTENT_TYPE};
use kube::{Client, core::Status};
use serde_json::Value;

/// Who changed a field, for server-side apply.
const MANAGER: &str = "zonemeter";

/// An object's name, as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its own name.
    pub name: String,
}

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |part: &str| {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            !part.is_empty() && part.chars().all(fits)
        };
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err("a namespace and a name, like kube-system/zonemeter".to_owned()),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A client with the account of the pod that this runs in, else that of `$KUBECONFIG`.
///
/// # Errors
/// Neither is there, or the file cannot be used.
pub async fn client() -> Result<Client> {
    let client = Client::try_default().await;
    client.context(
        "no credentials for the Kubernetes API: not in a pod, and $KUBECONFIG names no file",
    )
}

/// The DaemonSet as it is.
///
/// # Errors
/// With the right that is missing, or the server's own words.
pub async fn daemon_set(client: &Client, object: &ObjectName) -> Result<Value> {
    let ObjectName { namespace, name } = object;
    let path = format!("/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}");
    let request = Request::get(path).body(Vec::new())?;
    let answer = client.request(request).await;
    answer.map_err(|error| told(error, "get daemonsets.apps", object))
}

/// Makes the ConfigMap hold `text` under `key`; other keys stay.
///
/// # Errors
/// As [`daemon_set`].
pub async fn set_config_map(
    client: &Client,
    object: &ObjectName,
    key: &str,
    text: &str,
) -> Result<()> {
    let ObjectName { namespace, name } = object;
    let map = serde_json::json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "namespace": namespace, "name": name },
        "data": { key: text },
    });
    let path = format!(
        "/api/v1/namespaces/{namespace}/configmaps/{name}?fieldManager={MANAGER}&force=true"
    );
    let request = Request::builder()
        .method(Method::PATCH)
        .uri(path)
        .header(CONTENT_TYPE, "application/apply-patch+yaml")
        .body(serde_json::to_vec(&map)?)?;
    let answer = client.request::<Value>(request).await;
    let refused = |error| told(error, "patch configmaps", object);
    answer.map(drop).map_err(refused)
}

/// A refusal by its right, anything else as it came.
fn told(error: kube::Error, right: &str, object: &ObjectName) -> anyhow::Error {
    match &error {
        kube::Error::Api(status) if Status::is_forbidden(status) => anyhow::anyhow!(
            "missing RBAC: {right} {object}; give it to the account of this pod: {}",
            status.message
        ),
        _ => anyhow::Error::new(error).context(object.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_a_namespace_and_a_name() {
        let object: ObjectName = "kube-system/zonemeter-networks".parse().unwrap();
        assert_eq!(object.to_string(), "kube-system/zonemeter-networks");
        for text in ["zonemeter", "/a", "a/", "a/b/c", "A/b", ""] {
            assert!(text.parse::<ObjectName>().is_err(), "{text}");
        }
    }
}
