//! A container of a pod as a kubelet and containerd start it on a node of the lab: from the object
//! that the API server holds, by a real OCI runtime (crun), with its command, environment,
//! capabilities, seccomp profile, read-only root, mounts and memory limit.
//!
//! What a node has below `/` is in [`host_path`]; its `/sys/fs/bpf` is the lab's pin directory.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use zonemeter_lab::{Account, IMAGE_ROOT, Node, go_tools::SECCOMP, output, pipe};

use super::spec::Spec;

/// The image's entry point.
pub(crate) const ENTRY_POINT: &str = "/usr/bin/zonemeter";
/// What runs crun: on machines with both versions of cgroups it takes the first only when it does
/// not see the second. Whatever has the name already is what a killed test left.
const RUN: &str = r#"
for mount in $(awk '$3 == "cgroup2" && $2 ~ "^/sys/fs/cgroup/" { print $2 }' /proc/mounts); do
    umount "$mount"
done
crun --cgroup-manager=cgroupfs delete --force "$1" > /dev/null 2>&1
[ -z "$2" ] || exec crun --cgroup-manager=cgroupfs run --bundle "$2" "$1"
"#;

/// What a kubelet takes from the API server for a pod.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    /// The pod's account, where it has one.
    pub(crate) account: Option<Account>,
    /// ConfigMaps that it mounts.
    pub(crate) config_maps: Vec<Value>,
}

/// A container that is ready to start; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Container {
    name: String,
    bundle: PathBuf,
}

impl Container {
    /// Makes the bundle of `container` of a workload's pod template (a DaemonSet's or a Job's) for
    /// `node`, from the image with `binary` in place of its executable.
    ///
    /// # Errors
    /// What a kubelet or a runtime would refuse too: a host path that is not there, a mount
    /// without its volume. No image is named.
    pub(crate) fn new(
        node: &Node,
        workload: &Value,
        container: &str,
        binary: &Path,
        cluster: &Cluster,
    ) -> Result<Self> {
        let (lab, name) = (
            node.namespace().name(),
            workload["metadata"]["name"].as_str(),
        );
        let name = format!("{lab}-{}-{container}", name.context("a workload's name")?);
        let bundle = node.directory().join("containers").join(&name);
        let made = Self { name, bundle };
        made.end()?;
        fs::create_dir_all(&made.bundle)?;
        root_file_system(&made.bundle.join("rootfs"), binary)?;
        let pod = &workload["spec"]["template"]["spec"];
        let mut spec = Spec::new(node, pod, container, &made.bundle, &cluster.config_maps)?;
        if let Some(account) = &cluster.account {
            spec.add_account(account, workload["metadata"]["namespace"].as_str())?;
        }
        let spec = with_runtime_default(spec.config(&made.name)?)?;
        fs::write(made.bundle.join("config.json"), spec)?;
        Ok(made)
    }

    /// What starts it, and ends when it ends, with its exit code.
    pub(crate) fn command(&self) -> Vec<String> {
        let bundle = self.bundle.display().to_string();
        let words = [
            "unshare",
            "--mount",
            "--propagation",
            "slave",
            "sh",
            "-c",
            RUN,
            "sh",
        ];
        let words = words
            .into_iter()
            .chain([self.name.as_str(), bundle.as_str()]);
        words.map(str::to_owned).collect()
    }

    /// Runs it to its end; what it wrote.
    ///
    /// # Errors
    /// It ended badly: with what it wrote.
    pub(crate) fn run(&self) -> Result<String> {
        let words = self.command();
        let mut command = Command::new(&words[0]);
        let done = command.args(&words[1..]).stdin(Stdio::null()).output()?;
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(
            done.status.success(),
            "{}: {}: {said}",
            self.name,
            done.status
        );
        Ok(said)
    }

    fn end(&self) -> Result<()> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", RUN, "sh", &self.name, ""]);
        // There is no such container, as a rule.
        command.status().context("cannot start unshare").map(drop)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Fails when it has ended, which is what is wanted.
        let _ = self.end();
    }
}

/// Where the lab has what the node has at `path`.
pub(crate) fn host_path(node: &Node, path: &Path) -> PathBuf {
    match path.strip_prefix("/sys/fs/bpf") {
        Ok(below) => node.pin_directory().join(below),
        Err(_) => {
            let below = path.strip_prefix("/").unwrap_or(path);
            node.directory().join("host").join(below)
        }
    }
}

/// The image's root file system, with `binary` in place of its executable.
fn root_file_system(root: &Path, binary: &Path) -> Result<()> {
    let image = image_root()?;
    let mut copy = Command::new("cp");
    output(
        copy.args(["--archive", "--"])
            .arg(image.join("."))
            .arg(root),
    )?;
    let executable = root.join(ENTRY_POINT.trim_start_matches('/'));
    fs::copy(binary, &executable).with_context(|| format!("copy {}", binary.display()))?;
    Ok(())
}

fn image_root() -> Result<PathBuf> {
    let root = env::var_os(IMAGE_ROOT).map(PathBuf::from);
    root.with_context(|| {
        format!("no image to start: run `cargo xtask test`, or set {IMAGE_ROOT} to the root file system that `cargo xtask image --dev` makes")
    })
}

/// The executable of the image that is to be tested.
///
/// # Errors
/// No image is named, or it has none.
pub(crate) fn image_binary() -> Result<PathBuf> {
    let binary = image_root()?.join(ENTRY_POINT.trim_start_matches('/'));
    ensure!(binary.is_file(), "{} is missing", binary.display());
    Ok(binary)
}

/// The configuration with the seccomp profile that containerd gives such a container, where the
/// object asks for that one.
fn with_runtime_default(config: Value) -> Result<Vec<u8>> {
    let profile = config["annotations"]["seccomp"].as_str();
    match profile {
        Some("RuntimeDefault") => {}
        other => bail!("a seccomp profile {other:?}: only RuntimeDefault is known here"),
    }
    let program = SECCOMP.find()?.join("runtime-default");
    pipe(&mut Command::new(program), &serde_json::to_vec(&config)?)
}

/// Mounts that a runtime gives every container (containerd, pkg/oci/mounts.go).
pub(super) fn mounts_of_every_container() -> Vec<Value> {
    let mount = |at: &str, kind: &str, options: &[&str]| json!({ "destination": at, "type": kind, "source": kind, "options": options });
    vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount(
            "/dev",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount(
            "/sys/fs/cgroup",
            "cgroup",
            &["nosuid", "noexec", "nodev", "relatime", "ro"],
        ),
    ]
}
