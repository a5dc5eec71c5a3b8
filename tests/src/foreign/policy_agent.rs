//! The AWS network policy agent, as far as it touches hooks (aws-network-policy-agent
//! `pkg/ebpf/bpf_client.go`, aws-ebpf-sdk-go `pkg/tc/tc.go`).
//!
//! It knows clsact only: filters at priority 1 with handle 1, protocol all, direct action, added
//! exclusively. Its programs answer OK or SHOT. To detach, it takes the first filter with handle
//! 1, whatever its priority and whoever put it there; where its own place is taken, it does that
//! and tries again. It never removes the qdisc.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::{Hook, Program, Verdict, add_filter, pin, tc};
use crate::{node::Node, pod::Pod};

/// One node's policy agent with one policy for all pods: a UDP port that nobody may reach, neither
/// from a pod nor in a pod.
#[derive(Debug)]
pub struct PolicyAgent {
    pinned: PathBuf,
}

impl PolicyAgent {
    /// Loads its programs; `name` is unique in the lab.
    pub fn start(node: &Node, name: &str, dropped: u16) -> Result<Self> {
        let program = Program::drops_udp(dropped, Verdict::Pass)?;
        Ok(Self {
            pinned: pin(&program, node, name)?,
        })
    }

    /// When a pod comes (called by the CNI), and by its reconciler.
    pub fn attach(&self, pod: &Pod) -> Result<()> {
        if let Err(error) = tc(pod, "qdisc add dev VETH clsact")
            && !error.to_string().contains("Exclusivity flag on")
        {
            return Err(error);
        }
        for hook in Hook::ALL {
            if let Err(error) = self.add(pod, hook) {
                if !error.to_string().contains("exists") {
                    return Err(error);
                }
                detach(pod, hook)?;
                self.add(pod, hook)?;
            }
        }
        Ok(())
    }

    /// When a pod's policies go.
    pub fn detach(&self, pod: &Pod) -> Result<()> {
        Hook::ALL.into_iter().try_for_each(|hook| detach(pod, hook))
    }

    /// Its start with other programs than those before: it cleans every device, then attaches.
    pub fn upgrade<'a>(&self, pods: impl Iterator<Item = &'a Pod> + Clone) -> Result<()> {
        for pod in pods.clone() {
            self.detach(pod)?;
        }
        for pod in pods {
            self.attach(pod)?;
        }
        Ok(())
    }

    /// True while the first filter with handle 1 is its own on both hooks.
    pub fn is_attached(&self, pod: &Pod) -> Result<bool> {
        for hook in Hook::ALL {
            let found = first_with_handle_1(pod, hook)?;
            if !found.is_some_and(|line| line.contains(" pref 1 ")) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add(&self, pod: &Pod, hook: Hook) -> Result<()> {
        add_filter(pod, hook, 1, &self.pinned)
    }
}

fn detach(pod: &Pod, hook: Hook) -> Result<()> {
    let Some(found) = first_with_handle_1(pod, hook)? else {
        return Ok(());
    };
    let mut words = found.split_whitespace().skip_while(|word| *word != "pref");
    let (Some(_), Some(priority), Some(kind)) = (words.next(), words.next(), words.next()) else {
        bail!("a filter that tc shows as {found:?}");
    };
    let line = format!(
        "filter del dev VETH {} pref {priority} handle 0x1 {kind}",
        hook.name()
    );
    tc(pod, &line).map(|_| ())
}

/// The line that `tc` shows for it: `filter protocol all pref 1 bpf chain 0 handle 0x1 …`.
fn first_with_handle_1(pod: &Pod, hook: Hook) -> Result<Option<String>> {
    let shown = tc(pod, &format!("filter show dev VETH {}", hook.name()))?;
    let mut lines = shown.lines();
    let found = lines.find(|line| line.split_whitespace().any(|word| word == "0x1"));
    Ok(found.map(str::to_owned))
}
