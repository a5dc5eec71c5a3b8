//! The hooks of veths, on which programs take turns: with TCX by one link that changes its program,
//! with tc by a filter that is replaced.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{Node, Pod};

use super::programs::{Both, Mode, Programs, bpf, bpf_call};

/// Commands of bpf(2) and attach types (`include/uapi/linux/bpf.h`).
const BPF_OBJ_PIN: libc::c_long = 6;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_UPDATE: libc::c_long = 29;
const BPF_CGROUP_INET_INGRESS: u32 = 0;
const BPF_TCX: [u32; 2] = [46, 47];
/// The hooks of a veth's end on the node: what comes from the pod, and what goes to it.
const HOOKS: [&str; 2] = ["ingress", "egress"];
const PINS: &str = "/sys/fs/bpf";

/// The first fields of `union bpf_attr` for [`BPF_LINK_CREATE`].
#[repr(C)]
struct CreateLink {
    program: RawFd,
    target: u32,
    attach_type: u32,
    flags: u32,
}

/// How programs are attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Tcx,
    Tc,
}

/// Hooks of some pods' veths; nothing is left on them when dropped.
pub(super) struct Hooks<'a> {
    node: Node,
    pods: &'a [Pod],
    programs: &'a Programs,
    way: Way,
    links: Vec<OwnedFd>,
    pins: Vec<PathBuf>,
}

impl<'a> Hooks<'a> {
    pub(super) fn of(pods: &'a [Pod], programs: &'a Programs, way: Way) -> Result<Self> {
        let node = pods.first().context("no pod to measure at")?.node().clone();
        let mut hooks = Self {
            node,
            pods,
            programs,
            way,
            links: Vec::new(),
            pins: Vec::new(),
        };
        if way == Way::Tc {
            for pod in pods {
                hooks.tc(&["qdisc", "replace", "dev", pod.veth(), "clsact"])?;
            }
            for mode in [Mode::Empty, Mode::Pairs, Mode::Agent] {
                hooks.pin(mode)?;
            }
        }
        Ok(hooks)
    }

    /// Puts the programs of a mode on, in place of what was there.
    pub(super) fn switch(&mut self, mode: Mode) -> Result<()> {
        match (self.way, self.programs.of(mode)) {
            (Way::Tcx, None) => self.links.clear(),
            (Way::Tcx, Some(both)) if self.links.is_empty() => self.links = self.link(both)?,
            (Way::Tcx, Some(both)) => {
                for (index, link) in self.links.iter().enumerate() {
                    let program = both[index % 2].as_raw_fd();
                    bpf_call(BPF_LINK_UPDATE, &[link.as_raw_fd(), program, 0, 0])
                        .context("changing the program of a link")?;
                }
            }
            (Way::Tc, None) => {
                for (pod, hook) in self.each_hook() {
                    self.tc(&["filter", "del", "dev", pod, hook])?;
                }
            }
            (Way::Tc, Some(_)) => {
                for (number, (pod, hook)) in self.each_hook().enumerate() {
                    let pin = pin(mode, number % 2);
                    let filter = [
                        "filter", "replace", "dev", pod, hook, "prio", "1", "handle", "1",
                    ];
                    let program = ["bpf", "da", "object-pinned", &pin.to_string_lossy()];
                    self.tc(&[&filter[..], &program].concat())?;
                }
            }
        }
        Ok(())
    }

    fn each_hook(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let pods = self.pods.iter();
        pods.flat_map(|pod| HOOKS.map(|hook| (pod.veth(), hook)))
    }

    fn link(&self, both: &Both) -> Result<Vec<OwnedFd>> {
        let mut links = Vec::new();
        for pod in self.pods {
            let create = || -> Result<[OwnedFd; 2]> {
                let interface = interface_index(pod.veth())?;
                let [transmit, receive] = [0, 1].map(|way| tcx(&both[way], interface, way));
                Ok([transmit?, receive?])
            };
            links.extend(self.node.namespace().run(create)??);
        }
        Ok(links)
    }

    fn tc(&self, arguments: &[&str]) -> Result<()> {
        let mut tc = self.node.namespace().command("tc");
        let done = tc.args(arguments).output().context("starting tc")?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "tc {}: {said}", arguments.join(" "));
        Ok(())
    }

    /// Where `tc` finds the programs of a mode.
    fn pin(&mut self, mode: Mode) -> Result<()> {
        let both = self.programs.of(mode).context("no programs")?;
        for (way, program) in both.iter().enumerate() {
            let pin = pin(mode, way);
            // A killed run may have left it.
            let _ = std::fs::remove_file(&pin);
            let path = CString::new(pin.to_string_lossy().as_bytes()).context("a path")?;
            let descriptor = program.as_raw_fd() as u64;
            bpf_call(BPF_OBJ_PIN, &[path.as_ptr() as u64, descriptor])
                .with_context(|| format!("pinning {}", pin.display()))?;
            self.pins.push(pin);
        }
        Ok(())
    }
}

impl Drop for Hooks<'_> {
    fn drop(&mut self) {
        if self.way == Way::Tc {
            for pod in self.pods {
                // The lab's end takes it, too.
                let _ = self.tc(&["qdisc", "del", "dev", pod.veth(), "clsact"]);
            }
        }
        for pin in &self.pins {
            let _ = std::fs::remove_file(pin);
        }
    }
}

fn pin(mode: Mode, way: usize) -> PathBuf {
    PathBuf::from(format!("{PINS}/zonemeter-bench-{mode:?}-{way}"))
}

/// Attaches a program behind all others.
pub(super) fn tcx(program: &OwnedFd, interface: u32, way: usize) -> Result<OwnedFd> {
    create(program, interface, BPF_TCX[way]).context("attaching by TCX (Linux 6.6 or newer)")
}

/// Attaches a program to the ingress of a cgroup, beside all others.
pub(super) fn to_cgroup(program: &OwnedFd, cgroup: &OwnedFd) -> Result<OwnedFd> {
    let target = cgroup.as_raw_fd() as u32;
    create(program, target, BPF_CGROUP_INET_INGRESS).context("attaching to a cgroup")
}

fn create(program: &OwnedFd, target: u32, attach_type: u32) -> io::Result<OwnedFd> {
    let attributes = CreateLink {
        program: program.as_raw_fd(),
        target,
        attach_type,
        flags: 0,
    };
    bpf(BPF_LINK_CREATE, &attributes)
}

/// In the calling thread's network namespace.
pub(super) fn interface_index(name: &str) -> Result<u32> {
    let text = CString::new(name).context("an interface's name")?;
    // SAFETY: the pointer leads to a NUL-terminated string that outlives the call.
    let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
    let error = io::Error::last_os_error();
    ensure!(index != 0, "no interface {name}: {error}");
    Ok(index)
}
