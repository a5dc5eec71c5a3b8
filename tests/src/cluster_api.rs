//! The lab's cluster in a real API server: the objects of the cluster file, written one by one as
//! they come and go, and a way to the server for every node's agent.

mod relay;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    control_plane::{ControlPlane, Proxy},
    node::Node,
};
use relay::Relay;

/// The lab's Services, beside the range that is the control plane's own.
const SERVICE_RANGE: &str = "--service-cluster-ip-range=10.100.0.0/16,fd5a:6f6e:ffff::/108";

/// A control plane with the lab's objects in it.
#[derive(Debug)]
pub(crate) struct ClusterApi {
    // In the order of dropping: who uses the server before the server.
    _relays: Vec<Relay>,
    proxy: Proxy,
    kubeconfig: PathBuf,
    written: BTreeMap<String, Value>,
    plane: ControlPlane,
}

impl ClusterApi {
    /// Starts a control plane that agents on `nodes` reach with the rights of the project's
    /// manifest.
    pub(crate) fn start(nodes: &[Node]) -> Result<Self> {
        let plane = ControlPlane::start(&[SERVICE_RANGE])?;
        let relays = nodes
            .iter()
            .map(|node| Relay::start(node.namespace(), plane.address()))
            .collect::<Result<_>>()?;
        Ok(Self {
            _relays: relays,
            proxy: plane.proxy()?,
            kubeconfig: agent_account(&plane)?,
            written: BTreeMap::new(),
            plane,
        })
    }

    /// What `--kubeconfig` is given.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The control plane itself.
    pub(crate) fn plane(&mut self) -> &mut ControlPlane {
        &mut self.plane
    }

    /// Makes the API hold exactly the objects of this `List`, as far as this writer wrote them.
    pub(crate) fn hold(&mut self, list: &Value) -> Result<()> {
        let items = list["items"].as_array().context("a List without items")?;
        let mut wanted = BTreeMap::new();
        for item in items {
            wanted.insert(path(item)?, item.clone());
        }
        let gone = self
            .written
            .keys()
            .filter(|path| !wanted.contains_key(*path));
        for path in gone {
            self.delete(path)?;
        }
        for item in items {
            let path = path(item)?;
            match self.written.get(&path) {
                Some(held) if held == item => {}
                Some(_) => self.change(&path, item)?,
                None => self.create(&path, item)?,
            }
        }
        self.written = wanted;
        Ok(())
    }

    fn create(&self, path: &str, object: &Value) -> Result<()> {
        let (collection, _) = path.rsplit_once('/').context("a path without a name")?;
        self.have_namespace(object)?;
        self.proxy
            .succeed("POST", collection, Some(&as_written(object)))?;
        self.set_status(path, object)
    }

    fn change(&self, path: &str, object: &Value) -> Result<()> {
        self.proxy
            .succeed("PATCH", path, Some(&as_written(object)))?;
        self.set_status(path, object)
    }

    /// At once: no kubelet is there to end a pod first.
    fn delete(&self, path: &str) -> Result<()> {
        let path = format!("{path}?gracePeriodSeconds=0");
        self.proxy.succeed("DELETE", &path, None).map(drop)
    }

    fn set_status(&self, path: &str, object: &Value) -> Result<()> {
        let Some(status) = object.get("status") else {
            return Ok(());
        };
        let (path, status) = (format!("{path}/status"), json!({ "status": status }));
        self.proxy.succeed("PATCH", &path, Some(&status)).map(drop)
    }

    fn have_namespace(&self, object: &Value) -> Result<()> {
        let Some(namespace) = object["metadata"]["namespace"].as_str() else {
            return Ok(());
        };
        let wanted = json!({ "metadata": { "name": namespace } });
        match self
            .proxy
            .request("POST", "/api/v1/namespaces", Some(&wanted))?
        {
            (200..300 | 409, _) => Ok(()),
            (status, answer) => bail!("namespace {namespace}: {status} {}", answer["message"]),
        }
    }
}

/// What the server sets by itself does not belong into what it is sent.
fn as_written(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["creationTimestamp", "resourceVersion", "uid"] {
            metadata.remove(field);
        }
    }
    object
}

/// Where the API server has the object.
fn path(object: &Value) -> Result<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kind = text(&object["kind"]).context("an object without a kind")?;
    let version = text(&object["apiVersion"]).context("an object without a version")?;
    let name = text(&object["metadata"]["name"]).context("an object without a name")?;
    let group = match version.contains('/') {
        true => format!("/apis/{version}"),
        false => format!("/api/{version}"),
    };
    let namespace = text(&object["metadata"]["namespace"]);
    let namespace = namespace.map_or(String::new(), |name| format!("/namespaces/{name}"));
    Ok(format!(
        "{group}{namespace}/{}s/{name}",
        kind.to_lowercase()
    ))
}

/// A kubeconfig of the account that the manifest makes, with a token of the server's.
fn agent_account(plane: &ControlPlane) -> Result<PathBuf> {
    let manifest =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes/zonemeter.yaml");
    let manifest = manifest.to_str().context("a path that is no text")?;
    plane.kubectl(&["apply", "--filename", manifest])?;
    let token = plane.kubectl(&["--namespace=zonemeter", "create", "token", "zonemeter"])?;
    let file = plane.folder().join("agent.token");
    std::fs::write(&file, token.trim())?;
    plane.kubeconfig("agent", plane.address(), &file)
}
