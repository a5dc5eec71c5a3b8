//! Two watches of pods, this node's and all others', as one stream of changes.
//!
//! The pods of this node have a watch of their own so that a cluster of thousands never delays
//! them. The two watches know nothing of each other's progress, and a name can pass from one to
//! the other: a pod that is scheduled to this node leaves "all others", a StatefulSet's pod comes
//! back elsewhere. What is newer by resource version wins.

use std::collections::BTreeMap;

use zonemeter_model::cluster::{Change, Kind, Name, Object, Pod};

/// What a watch of pods says; the number is the resource version.
#[derive(Clone, Debug)]
pub(super) enum PodEvent {
    ListStarted,
    Applied(Pod, u64),
    Deleted(Name, u64),
    ListDone,
}

/// Joins the two watches. Holds the pods of this node only.
#[derive(Debug, Default)]
pub(super) struct Pods {
    own: BTreeMap<Name, Own>,
    own_listed: bool,
    /// The others are listed, and the list is done as soon as this node's pods are, too.
    others_wait: bool,
}

#[derive(Debug)]
struct Own {
    pod: Pod,
    version: u64,
    listed: bool,
}

impl Pods {
    /// An event of the watch of this node's pods.
    pub(super) fn own(&mut self, event: PodEvent, out: &mut Vec<Change>) {
        match event {
            PodEvent::ListStarted => self.own.values_mut().for_each(|own| own.listed = false),
            PodEvent::Applied(pod, version) => {
                out.push(applied(&pod));
                self.own.insert(
                    pod.name.clone(),
                    Own {
                        pod,
                        version,
                        listed: true,
                    },
                );
            }
            // Not ours any more: a namesake elsewhere has taken over.
            PodEvent::Deleted(name, _) => {
                if self.own.remove(&name).is_some() {
                    out.push(Change::Deleted(Kind::Pod, name));
                }
            }
            PodEvent::ListDone => self.own_list_done(out),
        }
    }

    fn own_list_done(&mut self, out: &mut Vec<Change>) {
        let vanished = self.own.extract_if(.., |_, own| !own.listed);
        out.extend(vanished.map(|(name, _)| Change::Deleted(Kind::Pod, name)));
        self.own_listed = true;
        if std::mem::take(&mut self.others_wait) {
            out.push(Change::ListDone(Kind::Pod));
        }
    }

    /// An event of the watch of all other pods.
    pub(super) fn others(&mut self, event: PodEvent, out: &mut Vec<Change>) {
        match event {
            PodEvent::ListStarted => {
                self.others_wait = false;
                out.push(Change::ListStarted(Kind::Pod));
                out.extend(self.own.values().map(|own| applied(&own.pod)));
            }
            PodEvent::Applied(pod, version) => {
                if self
                    .own
                    .get(&pod.name)
                    .is_some_and(|own| own.version > version)
                {
                    return;
                }
                self.own.remove(&pod.name);
                out.push(applied(&pod));
            }
            // Leaving "all others" for this node is a deletion with the version of the arrival.
            PodEvent::Deleted(name, version) => {
                if self
                    .own
                    .get(&name)
                    .is_some_and(|own| own.version >= version)
                {
                    return;
                }
                self.own.remove(&name);
                out.push(Change::Deleted(Kind::Pod, name));
            }
            PodEvent::ListDone if self.own_listed => out.push(Change::ListDone(Kind::Pod)),
            PodEvent::ListDone => self.others_wait = true,
        }
    }
}

fn applied(pod: &Pod) -> Change {
    Change::Applied(Object::Pod(pod.clone()))
}

#[cfg(test)]
mod tests;
