//! The name that a user would give the controller behind a pod, from the pod alone: ReplicaSets
//! and Jobs are not read.
//!
//! | owner of the pod | workload | how certain |
//! |---|---|---|
//! | ReplicaSet named `<name>-<hash>`, pod labelled `pod-template-hash=<hash>` | Deployment `<name>` | certain: the Deployment controller names and labels so, nobody else sets the label |
//! | ReplicaSet, pod labelled `rollouts-pod-template-hash=<hash>` | Rollout `<name>` | certain, Argo Rollouts does the same with its own label |
//! | any other ReplicaSet | that ReplicaSet | certain |
//! | ReplicationController named `<config>-<number>`, pod annotated `openshift.io/deployment-config.name=<config>` | DeploymentConfig `<config>` | certain: OpenShift names and annotates so |
//! | Job named `<name>-<minutes>` | CronJob `<name>` | see [`scheduled_by`] |
//! | Workflow (Argo) named `<name>-<seconds>` | CronWorkflow `<name>` | see [`scheduled_by`] |
//! | Node, or the pod is a mirror | Pod, its name without the node's | certain: the kubelet names so |
//! | anything else with `controller: true` | that kind and name | certain |
//! | nothing | the Pod itself | certain |

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use zonemeter_model::cluster::Workload;
use zonemeter_model::strings::Strings;

use super::{
    field::{Field, Unread, quoted},
    trim,
    wire::{Labels, Metadata},
};

/// The workload of the pod `name` on `node`.
pub(super) fn workload(
    name: &str,
    metadata: Option<&Metadata>,
    node: Option<&str>,
    strings: &mut Strings,
    unread: &mut Unread,
) -> Workload {
    let found = Pod {
        name,
        metadata,
        node,
    };
    let (kind, of) = found.controller(unread);
    Workload {
        kind: strings.get(kind),
        // A pod on its own would fill the pool with names that nobody shares.
        name: match of == name {
            true => Arc::from(of),
            false => strings.get(of),
        },
    }
}

struct Pod<'a> {
    name: &'a str,
    metadata: Option<&'a Metadata>,
    node: Option<&'a str>,
}

impl<'a> Pod<'a> {
    fn controller(&self, unread: &mut Unread) -> (&'a str, &'a str) {
        let annotations = self
            .metadata
            .and_then(|metadata| metadata.annotations.read("metadata.annotations", unread));
        let is_mirror = annotations
            .and_then(|all| all.mirror.read("kubernetes.io/config.mirror", unread))
            .is_some();
        match self.owner(unread) {
            _ if is_mirror => ("Pod", self.static_pod()),
            None => ("Pod", self.name),
            Some(("Node", _)) => ("Pod", self.static_pod()),
            Some(("ReplicaSet", owner)) => replica_set(owner, self.metadata, unread),
            Some(("ReplicationController", owner)) => {
                let config = annotations.and_then(|all| {
                    let field = "openshift.io/deployment-config.name";
                    all.deployment_config.text(field, unread)
                });
                replication_controller(owner, config)
            }
            Some(("Job", owner)) => {
                let minute = |seconds| seconds / 60;
                let name = self.created(unread).map(minute);
                let name = name.and_then(|created| scheduled_by(owner, created, &MINUTES));
                name.map_or(("Job", owner), |name| ("CronJob", name))
            }
            Some(("Workflow", owner)) => {
                let name = self.created(unread);
                let name = name.and_then(|created| scheduled_by(owner, created, &SECONDS));
                name.map_or(("Workflow", owner), |name| ("CronWorkflow", name))
            }
            Some(other) => other,
        }
    }

    /// Kind and name of the owner that controls it.
    fn owner(&self, unread: &mut Unread) -> Option<(&'a str, &'a str)> {
        let field = "metadata.ownerReferences";
        let owners = self.metadata?.owner_references.each(field, unread);
        let mut controls = owners.into_iter().filter(|owner| {
            let controller = owner.controller.read(field, unread);
            controller == Some(&true)
        });
        let owner = controls.next()?;
        drop(controls);
        Some((
            owner.kind.text(field, unread)?,
            owner.name.text(field, unread)?,
        ))
    }

    /// The kubelet names a static pod `<name>-<node name in lower case>`.
    fn static_pod(&self) -> &'a str {
        let suffix = format!("-{}", self.node.unwrap_or_default().to_lowercase());
        let name = self.name.strip_suffix(&suffix);
        name.filter(|name| !name.is_empty()).unwrap_or(self.name)
    }

    /// When it was created, in seconds since 1970.
    fn created(&self, unread: &mut Unread) -> Option<i64> {
        let field = "metadata.creationTimestamp";
        let text = self.metadata?.creation_timestamp.text(field, unread)?;
        let time: Option<Timestamp> = text.parse().ok();
        if time.is_none() {
            unread.note(field, &quoted(text), "a time like 2026-01-31T09:00:00Z");
        }
        time.map(|time| time.as_second())
    }
}

fn replica_set<'a>(
    owner: &'a str,
    metadata: Option<&'a Metadata>,
    unread: &mut Unread,
) -> (&'a str, &'a str) {
    let labels = trim::labels(metadata, unread);
    let mut owned_by = |hash: fn(&Labels) -> &Field<String>, label| {
        let hash = labels.and_then(|labels| hash(labels).text(label, unread))?;
        let name = owner.strip_suffix(hash)?.strip_suffix('-')?;
        (!name.is_empty()).then_some(name)
    };
    if let Some(name) = owned_by(|labels| &labels.deployment_hash, "pod-template-hash") {
        return ("Deployment", name);
    }
    if let Some(name) = owned_by(|labels| &labels.rollout_hash, "rollouts-pod-template-hash") {
        return ("Rollout", name);
    }
    ("ReplicaSet", owner)
}

/// OpenShift names the controller `<config>-<number of the deployment>`.
fn replication_controller<'a>(owner: &'a str, config: Option<&'a str>) -> (&'a str, &'a str) {
    let number = config.and_then(|config| owner.strip_prefix(config)?.strip_prefix('-'));
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match config.filter(|_| number.filter(is_number).is_some()) {
        Some(config) => ("DeploymentConfig", config),
        None => ("ReplicationController", owner),
    }
}

/// How a schedule numbers what it starts.
struct Unit {
    /// Digits that times of today have at least.
    digits: usize,
    per_minute: i64,
}

const MINUTES: Unit = Unit {
    digits: 8,
    per_minute: 1,
};
const SECONDS: Unit = Unit {
    digits: 10,
    per_minute: 60,
};

/// How long after its scheduled minute a Job's pods may still be created: retries, a missed
/// schedule, a queue in front of it.
const LATEST_START_MINUTES: i64 = 7 * 24 * 60;
/// Clocks of two machines may differ.
const EARLIEST_START_MINUTES: i64 = 5;

/// The CronJob controller names a Job `<name>-<scheduled time in minutes since 1970>` (eight
/// digits until the year 2160), Argo's CronWorkflows name a Workflow `<name>-<seconds since 1970>`,
/// and nothing on the pod says so. So what ends in such a number counts as the schedule's when that
/// time lies within 7 days before the pod's creation. A date (`import-20260131`) read as minutes is
/// in 2008, and a random number of eight digits falls into those days once in 10,000 times; pods
/// that start later than that show as the Job or the Workflow.
fn scheduled_by<'a>(name: &'a str, pod_created: i64, unit: &Unit) -> Option<&'a str> {
    let (schedule, digits) = name.rsplit_once('-')?;
    let is_time = digits.len() >= unit.digits && digits.bytes().all(|byte| byte.is_ascii_digit());
    let scheduled: i64 = digits.parse().ok().filter(|_| is_time)?;
    let waited = pod_created - scheduled;
    let latest = LATEST_START_MINUTES * unit.per_minute;
    let likely = (-EARLIEST_START_MINUTES * unit.per_minute..=latest).contains(&waited);
    (likely && !schedule.is_empty()).then_some(schedule)
}

#[cfg(test)]
mod tests;
