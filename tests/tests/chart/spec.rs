//! From a pod's specification to an OCI runtime configuration.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use zonemeter_lab::{Account, Node};

use super::container::{ENTRY_POINT, host_path, mounts_of_every_container};

/// What containerd leaves a container that drops nothing.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// One container of a pod on a node.
pub(super) struct Spec<'a> {
    node: &'a Node,
    container: &'a Value,
    bundle: &'a Path,
    mounts: Vec<Value>,
    environment: Vec<String>,
}

impl<'a> Spec<'a> {
    pub(super) fn new(
        node: &'a Node,
        pod: &'a Value,
        container: &str,
        bundle: &'a Path,
        config_maps: &[Value],
    ) -> Result<Self> {
        let all = ["initContainers", "containers"].into_iter();
        let mut all = all.flat_map(|kind| pod[kind].as_array().into_iter().flatten());
        let found = all.find(|one| one["name"] == container);
        let mut spec = Self {
            node,
            container: found.with_context(|| format!("no container {container}"))?,
            bundle,
            mounts: mounts_of_every_container(),
            environment: vec!["PATH=/usr/bin:/bin".to_owned()],
        };
        for mount in array(&spec.container["volumeMounts"]) {
            let volumes = array(&pod["volumes"]);
            let volume = volumes
                .iter()
                .find(|volume| volume["name"] == mount["name"]);
            let volume = volume.with_context(|| format!("{mount}: no such volume"))?;
            let source = spec.source(volume, config_maps)?;
            spec.bind(&source, mount)?;
        }
        for variable in array(&spec.container["env"]) {
            let name = variable["name"].as_str().context("a variable's name")?;
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("spec.nodeName") => spec.node.object_name(),
                Some(other) => bail!("fieldRef {other}: not known here"),
                None => variable["value"].as_str().unwrap_or_default().to_owned(),
            };
            spec.environment.push(format!("{name}={value}"));
        }
        Ok(spec)
    }

    /// What a kubelet adds for a pod that talks to the API server.
    pub(super) fn add_account(&mut self, account: &Account, namespace: Option<&str>) -> Result<()> {
        let folder = self.bundle.join("account");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("token"), &account.token)?;
        fs::write(folder.join("ca.crt"), &account.authority)?;
        fs::write(folder.join("namespace"), namespace.unwrap_or("default"))?;
        let mount = json!({ "mountPath": ACCOUNT, "readOnly": true });
        self.bind(&folder, &mount)?;
        let port = account.port;
        self.environment.extend([
            "KUBERNETES_SERVICE_HOST=127.0.0.1".to_owned(),
            format!("KUBERNETES_SERVICE_PORT={port}"),
        ]);
        Ok(())
    }

    fn source(&self, volume: &Value, config_maps: &[Value]) -> Result<PathBuf> {
        if let Some(name) = volume["configMap"]["name"].as_str() {
            let map = config_maps
                .iter()
                .find(|map| map["metadata"]["name"] == name);
            return self.files(map.with_context(|| format!("no ConfigMap {name}"))?);
        }
        let Some(path) = volume["hostPath"]["path"].as_str() else {
            bail!("{volume}: such a volume is not known here");
        };
        let source = host_path(self.node, Path::new(path));
        match volume["hostPath"]["type"].as_str() {
            Some("DirectoryOrCreate") => fs::create_dir_all(&source)?,
            _ => ensure!(
                source.is_dir(),
                "hostPath type check failed: {path} is not a directory"
            ),
        }
        Ok(source)
    }

    fn files(&self, map: &Value) -> Result<PathBuf> {
        let folder = self.bundle.join("config-map");
        fs::create_dir_all(&folder)?;
        for (key, text) in map["data"].as_object().into_iter().flatten() {
            fs::write(folder.join(key), text.as_str().unwrap_or_default())?;
        }
        Ok(folder)
    }

    fn bind(&mut self, source: &Path, mount: &Value) -> Result<()> {
        let propagation = match mount["mountPropagation"].as_str() {
            Some("HostToContainer") => "rslave",
            Some("Bidirectional") => "rshared",
            _ => "rprivate",
        };
        let access = if mount["readOnly"] == true {
            "ro"
        } else {
            "rw"
        };
        self.mounts.push(json!({
            "destination": mount["mountPath"].as_str().context("a mount's path")?,
            "type": "bind",
            "source": source,
            "options": ["rbind", propagation, access],
        }));
        Ok(())
    }

    /// The configuration; the name of the seccomp profile is left in an annotation.
    pub(super) fn config(&self, name: &str) -> Result<Value> {
        let context = &self.container["securityContext"];
        let mut words = vec![ENTRY_POINT];
        words.extend(
            array(&self.container["args"])
                .iter()
                .filter_map(Value::as_str),
        );
        ensure!(
            self.container.get("command").is_none(),
            "a command: not known here"
        );
        let user = |field: &str| context[field].as_u64().unwrap_or_default();
        let held = capabilities(&context["capabilities"]);
        let limit = self.container["resources"]["limits"]["memory"].as_str();
        let limit = bytes(limit.context("a memory limit")?)?;
        let version_2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let own = ["pid", "ipc", "uts", "mount"].into_iter();
        let own = own.chain(version_2.then_some("cgroup"));
        let mut namespaces: Vec<Value> = own.map(|kind| json!({ "type": kind })).collect();
        let network = Path::new("/run/netns").join(self.node.namespace().name());
        namespaces.push(json!({ "type": "network", "path": network }));
        Ok(json!({
            "ociVersion": "1.0.0",
            "process": {
                "user": { "uid": user("runAsUser"), "gid": user("runAsGroup") },
                "args": words,
                "env": self.environment,
                "cwd": "/",
                "capabilities": { "bounding": held, "effective": held, "permitted": held },
                "noNewPrivileges": context["allowPrivilegeEscalation"] == false,
            },
            "root": { "path": "rootfs", "readonly": context["readOnlyRootFilesystem"] == true },
            "mounts": self.mounts,
            "annotations": { "seccomp": context["seccompProfile"]["type"] },
            "linux": {
                "namespaces": namespaces,
                "resources": { "memory": { "limit": limit } },
                "cgroupsPath": format!("/{name}"),
                "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
            },
        }))
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// `drop` before `add`, as a kubelet's runtime does.
fn capabilities(asked: &Value) -> Vec<String> {
    let names = |field: &str| -> Vec<&str> {
        array(&asked[field])
            .iter()
            .filter_map(Value::as_str)
            .collect()
    };
    let dropped = names("drop");
    let kept = DEFAULT_CAPABILITIES.into_iter();
    let kept = kept.filter(|name| !dropped.contains(name) && !dropped.contains(&"ALL"));
    let all = kept.chain(names("add"));
    all.map(|name| format!("CAP_{name}")).collect()
}

/// A quantity as the chart writes it.
fn bytes(quantity: &str) -> Result<u64> {
    let number = quantity
        .strip_suffix("Mi")
        .and_then(|number| number.parse::<u64>().ok());
    Ok(number.with_context(|| format!("{quantity}: not so many Mi"))? << 20)
}
