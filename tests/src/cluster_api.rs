//! The lab's cluster in a real API server: the objects of the cluster file, written one by one as
//! they come and go, and a way to the server for every node's agent.

mod relay;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{control_plane::Lease, node::Node};
use relay::Relay;

/// The account that the project's manifest makes has its rights from here.
const CLUSTER_ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/zonemeter";

/// The way to the API server that a kubelet gives a container.
#[derive(Clone, Debug)]
pub struct Account {
    /// The server's port on the node's loopback.
    pub port: u16,
    /// Certificate of the server's authority, PEM.
    pub authority: String,
    /// The token, bound to the pod.
    pub token: String,
}

/// An API server with the lab's objects in it. [`crate::Lab::api`] has it.
#[derive(Debug)]
pub struct ClusterApi {
    relays: Vec<Relay>,
    written: BTreeMap<String, Value>,
    /// The account's rights are not the manifest's.
    rights_changed: bool,
    lease: Lease,
}

impl ClusterApi {
    /// An empty cluster that agents on `nodes` reach with the rights of the project's manifest.
    pub(crate) fn start(nodes: &[Node]) -> Result<Self> {
        let lease = Lease::take()?;
        let relays = nodes
            .iter()
            .map(|node| Relay::start(node.namespace(), lease.address()))
            .collect::<Result<_>>()?;
        Ok(Self {
            relays,
            written: BTreeMap::new(),
            rights_changed: false,
            lease,
        })
    }

    /// What `--kubeconfig` is given.
    pub fn kubeconfig(&self) -> &Path {
        self.lease.kubeconfig()
    }

    /// A kubeconfig of the administrator, for the machine's root namespace.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn admin_kubeconfig(&self) -> Result<PathBuf> {
        self.lease.plane().admin_kubeconfig()
    }

    /// As [`crate::control_plane::ControlPlane::kubectl`].
    ///
    /// # Errors
    /// kubectl failed: with what it wrote.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.lease.plane().kubectl(arguments)
    }

    /// The way to the server that a kubelet gives a pod with this token.
    ///
    /// # Errors
    /// The server's certificate cannot be read.
    pub fn account(&self, token: &str) -> Result<Account> {
        Ok(Account {
            port: self.lease.address().port(),
            authority: self.lease.plane().authority()?,
            token: token.trim().to_owned(),
        })
    }

    /// The server is away for every agent: what runs ends, nothing new begins.
    pub fn cut(&self) {
        self.relays.iter().for_each(Relay::cut);
    }

    /// The server is there again.
    pub fn mend(&self) {
        self.relays.iter().for_each(Relay::mend);
    }

    /// Makes the agents' account anew: the token in their file is no longer accepted.
    /// [`Self::restore_token`] puts a good one there.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn renew_account(&self) -> Result<()> {
        self.lease.renew_account()
    }

    /// Puts a good token into the agents' file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn restore_token(&self) -> Result<()> {
        self.lease.restore_token()
    }

    /// Gives the agents' account these rules (as in a ClusterRole) and no others.
    ///
    /// # Errors
    /// The server refuses.
    pub fn set_rules(&mut self, rules: &Value) -> Result<()> {
        self.rights_changed = true;
        let role = json!({ "rules": rules });
        self.send("PATCH", CLUSTER_ROLE, Some(&role))
    }

    /// Gives the agents' account the rights of the project's manifest.
    ///
    /// # Errors
    /// kubectl failed.
    pub fn restore_rules(&mut self) -> Result<()> {
        self.lease.apply_manifest()?;
        self.rights_changed = false;
        Ok(())
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
        self.send("POST", collection, Some(&as_written(object)))?;
        self.set_status(path, object)
    }

    fn change(&self, path: &str, object: &Value) -> Result<()> {
        self.send("PATCH", path, Some(&as_written(object)))?;
        self.set_status(path, object)
    }

    /// At once: no kubelet is there to end a pod first.
    fn delete(&self, path: &str) -> Result<()> {
        self.send("DELETE", &format!("{path}?gracePeriodSeconds=0"), None)
    }

    fn set_status(&self, path: &str, object: &Value) -> Result<()> {
        let Some(status) = object.get("status") else {
            return Ok(());
        };
        let status = json!({ "status": status });
        self.send("PATCH", &format!("{path}/status"), Some(&status))
    }

    fn have_namespace(&self, object: &Value) -> Result<()> {
        let Some(namespace) = object["metadata"]["namespace"].as_str() else {
            return Ok(());
        };
        if !self.lease.is_new_namespace(namespace) {
            return Ok(());
        }
        let wanted = json!({ "metadata": { "name": namespace } });
        let proxy = self.lease.proxy();
        match proxy.request("POST", "/api/v1/namespaces", Some(&wanted))? {
            (200..300 | 409, _) => Ok(()),
            (status, answer) => bail!("namespace {namespace}: {status} {}", answer["message"]),
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<()> {
        self.lease.proxy().succeed(method, path, body).map(drop)
    }
}

/// The next lab finds an empty cluster and whole rights. What cannot be undone here fails there,
/// with the server's words.
impl Drop for ClusterApi {
    fn drop(&mut self) {
        for path in self.written.keys() {
            let _ = self.delete(path);
        }
        if self.rights_changed {
            let _ = self.restore_rules();
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
