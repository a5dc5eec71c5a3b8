//! The name that a user would give the controller behind a pod, from the pod alone: ReplicaSets
//! and Jobs are not read.
//!
//! | owner of the pod | workload | how certain |
//! |---|---|---|
//! | ReplicaSet named `<name>-<hash>`, pod labelled `pod-template-hash=<hash>` | Deployment `<name>` | certain: the Deployment controller names and labels so, nobody else sets the label |
//! | ReplicaSet, pod labelled `rollouts-pod-template-hash=<hash>` | Rollout `<name>` | certain, Argo Rollouts does the same with its own label |
//! | any other ReplicaSet | that ReplicaSet | certain |
//! | Job named `<name>-<minutes>` | CronJob `<name>` | see [`cron_job_name`] |
//! | Node, or the pod is a mirror | Pod, its name without the node's | certain: the kubelet names so |
//! | anything else with `controller: true` | that kind and name | certain |
//! | nothing | the Pod itself | certain |

use std::sync::Arc;

use super::{
    strings::Strings,
    wire::{Labels, Metadata, Owner},
};
use crate::model::cluster::Workload;

/// The workload of a pod on `node`.
pub(super) fn workload(pod: &Metadata, node: Option<&str>, strings: &mut Strings) -> Workload {
    let (kind, name) = controller(pod, node);
    Workload {
        kind: strings.get(kind),
        name: workload_name(pod, name, strings),
    }
}

/// A pod on its own would fill the pool with names that nobody shares.
fn workload_name(pod: &Metadata, name: &str, strings: &mut Strings) -> Arc<str> {
    if name == pod.name {
        name.into()
    } else {
        strings.get(name)
    }
}

fn controller<'a>(pod: &'a Metadata, node: Option<&str>) -> (&'a str, &'a str) {
    let owner = pod
        .owner_references
        .iter()
        .flatten()
        .find(|o| o.controller == Some(true));
    let mirror = pod.annotations.as_ref().is_some_and(|a| a.mirror.is_some());
    match owner {
        _ if mirror => ("Pod", static_pod_name(&pod.name, node)),
        None => ("Pod", &pod.name),
        Some(owner) => match owner.kind.as_str() {
            "Node" => ("Pod", static_pod_name(&pod.name, node)),
            "ReplicaSet" => replica_set(owner, pod.labels.as_ref()),
            "Job" => job(owner, pod),
            _ => (&owner.kind, &owner.name),
        },
    }
}

/// The kubelet names a static pod `<name>-<node name in lower case>`.
fn static_pod_name<'a>(pod: &'a str, node: Option<&str>) -> &'a str {
    let suffix = format!("-{}", node.unwrap_or_default().to_lowercase());
    pod.strip_suffix(&suffix)
        .filter(|name| !name.is_empty())
        .unwrap_or(pod)
}

fn replica_set<'a>(owner: &'a Owner, labels: Option<&Labels>) -> (&'a str, &'a str) {
    let owned_by = |hash: Option<&str>| {
        let name = owner.name.strip_suffix(hash?)?.strip_suffix('-')?;
        (!name.is_empty()).then_some(name)
    };
    if let Some(name) = owned_by(labels.and_then(|l| l.deployment_hash.as_deref())) {
        return ("Deployment", name);
    }
    if let Some(name) = owned_by(labels.and_then(|l| l.rollout_hash.as_deref())) {
        return ("Rollout", name);
    }
    ("ReplicaSet", &owner.name)
}

fn job<'a>(owner: &'a Owner, pod: &Metadata) -> (&'a str, &'a str) {
    let created = pod
        .creation_timestamp
        .as_ref()
        .map(|time| time.0.as_second() / 60);
    match created.and_then(|minutes| cron_job_name(&owner.name, minutes)) {
        Some(name) => ("CronJob", name),
        None => ("Job", &owner.name),
    }
}

/// How long after its scheduled minute a Job's pods may still be created: retries, a missed
/// schedule, a queue in front of it.
const LATEST_START_MINUTES: i64 = 7 * 24 * 60;
/// Clocks of two machines may differ.
const EARLIEST_START_MINUTES: i64 = 5;

/// The CronJob controller names a Job `<name>-<scheduled time in minutes since 1970>` (eight
/// digits until the year 2160), and nothing on the pod says so. So a Job whose name ends in such
/// a number counts as a CronJob's when that minute lies within 7 days before the pod's creation.
/// A date (`import-20260131`) read as minutes is in 2008, and a random number of eight digits
/// falls into those days once in 10,000 times; pods that start later than that show as the Job.
fn cron_job_name(job: &str, pod_created_minutes: i64) -> Option<&str> {
    let (name, digits) = job.rsplit_once('-')?;
    let minutes = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let scheduled: i64 = digits.parse().ok().filter(|_| minutes)?;
    let waited = pod_created_minutes - scheduled;
    let likely = (-EARLIEST_START_MINUTES..=LATEST_START_MINUTES).contains(&waited);
    (likely && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests;
