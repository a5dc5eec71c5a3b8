//! systemd itself, beside whatever runs this machine: in namespaces of its own, on a node of the lab,
//! with a tree of cgroups as all that it sees of them.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};

use crate::{host_groups::HostGroups, node::Node, patience::until, process::Process, tool};

const PATIENCE: Duration = Duration::from_secs(20);
/// The target that wants all units.
const TARGET: &str = "lab.target";
/// Joins the cgroup whose file is named first; what it starts then sees that one as the root.
const ENTER: &str = "echo $$ > \"$0\" && exec \"$@\"";
/// Nothing of the machine's but its files: no units, no processes, no kernel parameters to change.
const START: &str = r#"
set -e
mount -t tmpfs tmpfs /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs tmpfs /etc/systemd
mkdir /etc/systemd/system
cp "$0"/* /etc/systemd/system
mount -t tmpfs tmpfs /run
export container=lab
exec /lib/systemd/systemd --system --unit=lab.target
"#;

/// A running systemd; dropped, it is gone with all its services.
#[derive(Debug)]
pub struct Systemd {
    _unshare: Process,
    /// Of systemd, in this machine's numbers.
    pid: String,
}

impl Systemd {
    /// Starts it with these units, each a name and the text of its file, and waits until they are
    /// active. Needs Debian's package `systemd`.
    pub fn start(node: &Node, groups: &HostGroups, units: &[(&str, String)]) -> Result<Self> {
        let folder = node.directory().join("units");
        fs::create_dir_all(&folder)?;
        let mut wants = "[Unit]\nDefaultDependencies=no\n".to_owned();
        for (name, text) in units {
            fs::write(folder.join(name), text)?;
            wants.push_str(&format!("Wants={name}\n"));
        }
        fs::write(folder.join(TARGET), wants)?;
        let mut command = node.namespace().command("sh");
        command.args(["-c", ENTER]).arg(groups.processes(""));
        command.args(["unshare", "--mount", "--pid", "--fork", "--kill-child"]);
        command.args(["--cgroup", "--uts", "--ipc", "--propagation", "private"]);
        command.args(["sh", "-c", START]).arg(&folder);
        let log = node.directory().join("systemd.log");
        let unshare = Process::start(command, &log)?;
        let started = Self {
            pid: until(PATIENCE, "systemd's process", || child_of(unshare.pid()))?,
            _unshare: unshare,
        };
        let names = units.iter().map(|(name, _)| *name);
        let is_active: Vec<&str> = ["is-active"].into_iter().chain(names).collect();
        let active = until(PATIENCE, "systemd's units", || {
            started.systemctl(&is_active).ok()
        });
        active.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(started)
    }

    /// A property of a unit that is a number, such as `IPEgressBytes`.
    pub fn number(&self, unit: &str, property: &str) -> Result<u64> {
        let property = format!("--property={property}");
        let shown = self.systemctl(&["show", "--value", &property, unit])?;
        let shown = shown.trim();
        shown
            .parse()
            .with_context(|| format!("{unit}: {property}: {shown}"))
    }

    fn systemctl(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid, "--mount", "--pid", "systemctl"]);
        tool::output(command.args(arguments))
    }
}

fn child_of(pid: u32) -> Option<String> {
    let children = Path::new("/proc").join(format!("{pid}/task/{pid}/children"));
    let children = fs::read_to_string(children).ok()?;
    children.split_whitespace().next().map(str::to_owned)
}
