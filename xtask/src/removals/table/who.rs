//! Whose address it is, and by which name: lists, reuse, moves, owners.

use super::{
    super::removal::{Removal, TestAt},
    edit, test,
};

const ACCOUNT: &str = "agent/src/account.rs";
const BOOK: &str = "agent/src/account/book.rs";
const PODS: &str = "agent/src/cluster/pods.rs";
const TENURE: &str = "agent/src/account/book/tenure.rs";
const TRIM: &str = "agent/src/cluster/trim.rs";
const WORKLOAD: &str = "agent/src/cluster/workload.rs";

const fn naming(function: &'static str) -> TestAt {
    test("agent/src/account/tests/naming.rs", function)
}

const fn pods(function: &'static str) -> TestAt {
    test("agent/src/cluster/pods/tests.rs", function)
}

/// The entries.
pub(super) const ENTRIES: &[Removal] = &[
    Removal {
        name: "relist-replaces",
        handling: "A list replaces everything: what it does not hold is gone",
        removed: "the end of a list drops nothing",
        edits: &[edit(
            "agent/src/account/book/listed.rs",
            "missing.map(|(key, _)| key.clone()).collect()",
            "missing.map(|(key, _)| key.clone()).take(0).collect()",
        )],
        tests: &[
            naming("what_a_list_does_not_hold_is_gone"),
            naming("a_list_of_nodes_and_services_replaces_them"),
        ],
    },
    Removal {
        name: "relist-own-pods",
        handling: "A list of this node's pods replaces them, beside the list of all others",
        removed: "pods stay listed when a new list begins",
        edits: &[edit(
            PODS,
            "self.own.values_mut().for_each(|own| own.listed = false)",
            "()",
        )],
        tests: &[pods(
            "a_new_list_of_own_pods_drops_what_vanished_and_nothing_else",
        )],
    },
    Removal {
        name: "reuse",
        handling: "An address that is used again 30 s later: its earlier flows stay the earlier pod's",
        removed: "an address has always been its present owner's",
        edits: &[edit(
            TENURE,
            "let Some(former) = self.former.get(&address) else {",
            "let Some(former) = self.former.get(&address).filter(|_| false) else {",
        )],
        tests: &[
            test(
                TENURE,
                "an_interval_belongs_to_who_had_the_address_longest_during_it",
            ),
            naming("a_reused_address_belongs_to_who_had_it_during_the_drains_interval"),
        ],
    },
    Removal {
        name: "interval",
        handling: "A drained flow belongs to who had the address during its interval",
        removed: "it belongs to who has the address when the interval ends",
        edits: &[edit(
            "agent/src/account/pending.rs",
            "            from: drain.from,\n",
            "            from: drain.until,\n",
        )],
        tests: &[naming(
            "a_reused_address_belongs_to_who_had_it_during_the_drains_interval",
        )],
    },
    Removal {
        name: "finished",
        handling: "A finished pod (a Job's) has given its address up",
        removed: "it keeps the address until its object is deleted",
        edits: &[edit(
            BOOK,
            "if pod.host_network || pod.finished {",
            "if pod.host_network {",
        )],
        tests: &[naming(
            "a_finished_pod_has_no_address_whenever_it_is_told_of",
        )],
    },
    Removal {
        name: "finished-phase",
        handling: "A pod is finished by its phase, Succeeded or Failed",
        removed: "no phase finishes a pod",
        edits: &[edit(
            TRIM,
            "finished: matches!(self.status.phase.as_deref(), Some(\"Succeeded\" | \"Failed\")),",
            "finished: false,",
        )],
        tests: &[test(
            "agent/src/cluster/trim/tests.rs",
            "pod_is_finished_by_its_phase_only",
        )],
    },
    Removal {
        name: "terminating",
        handling: "A terminating pod still sends and keeps its address",
        removed: "a pod is finished once its deletion is asked for",
        edits: &[
            edit(
                "agent/src/cluster/wire.rs",
                "    pub(super) creation_timestamp: Option<Time>,\n",
                "    pub(super) creation_timestamp: Option<Time>,\n    \
                 pub(super) deletion_timestamp: Option<Time>,\n",
            ),
            edit(
                TRIM,
                "finished: matches!(",
                "finished: self.metadata.deletion_timestamp.is_some() || matches!(",
            ),
        ],
        tests: &[test(
            "agent/src/cluster/trim/tests.rs",
            "terminating_pod_is_not_finished",
        )],
    },
    Removal {
        name: "moved-pod",
        handling: "A pod of the same name on another node is another pod",
        removed: "a name is one pod, wherever it is",
        edits: &[edit(
            BOOK,
            "before.uid == after.uid && (before.node == after.node || before.node.is_none())",
            "before.name == after.name",
        )],
        tests: &[naming("a_namesake_with_the_same_address_is_another_pod")],
    },
    Removal {
        name: "moved-pod-here",
        handling: "A pod that comes to this node, or leaves it, passes from one watch to the other",
        removed: "what the watch of all other pods deletes is gone, whoever has it",
        edits: &[edit(
            PODS,
            ".is_some_and(|own| own.version >= version)",
            ".is_some_and(|own| own.version == u64::MAX && own.version > version)",
        )],
        tests: &[
            pods("a_pod_that_is_scheduled_here_stays_in_either_order"),
            pods("a_namesake_that_comes_here_takes_over_in_either_order"),
        ],
    },
    Removal {
        name: "moved-pod-away",
        handling: "A pod of the same name that came later elsewhere takes over",
        removed: "what this node's watch has stays",
        edits: &[edit(
            PODS,
            ".is_some_and(|own| own.version > version)",
            ".is_some_and(|own| own.version > 0 || version > 0)",
        )],
        tests: &[pods("a_namesake_elsewhere_takes_over_in_either_order")],
    },
    Removal {
        name: "host-network",
        handling: "The peer behind a hostNetwork pod's address is the Node",
        removed: "a hostNetwork pod owns its node's address",
        edits: &[edit(
            BOOK,
            "if pod.host_network || pod.finished {",
            "if pod.finished {",
        )],
        tests: &[test(
            "agent/src/account/tests/scopes.rs",
            "peers_are_shown_by_what_they_are",
        )],
    },
    Removal {
        name: "host-network-veth",
        handling: "A hostNetwork pod is behind no veth",
        removed: "every pod of this node may be",
        edits: &[edit(ACCOUNT, " && !object.host_network {", " {")],
        tests: &[naming(
            "only_pods_of_this_node_with_an_own_address_are_behind_veths",
        )],
    },
    Removal {
        name: "still-claimed",
        handling: "An address goes back to a pod that still claims it",
        removed: "an address that is given up is nobody's",
        edits: &[edit(
            BOOK,
            "self.claimant(*address, gone)\n",
            "self.claimant(*address, gone).filter(|_| false)\n",
        )],
        tests: &[naming(
            "an_address_goes_back_to_the_pod_that_still_claims_it",
        )],
    },
    Removal {
        name: "zone-label",
        handling: "A zone label that is corrected holds for what comes from then on",
        removed: "what a peer was classified as stays",
        edits: &[edit(
            ACCOUNT,
            "            self.pending.known(Awaited::Node);\n            self.forget_classes();\n",
            "            self.pending.known(Awaited::Node);\n",
        )],
        tests: &[test(
            "agent/src/account/tests/scopes.rs",
            "a_zone_that_changes_changes_new_increments_only",
        )],
    },
    Removal {
        name: "deployment",
        handling: "A ReplicaSet's pods are shown as the Deployment's",
        removed: "as the ReplicaSet's",
        edits: &[edit(
            WORKLOAD,
            "return (\"Deployment\", name);",
            "return (\"ReplicaSet\", name).max((\"ReplicaSet\", &owner.name));",
        )],
        tests: &[test(
            "agent/src/cluster/workload/tests.rs",
            "replica_set_of_a_deployment_is_the_deployment",
        )],
    },
    Removal {
        name: "cron-job",
        handling: "A Job's pods are shown as the CronJob's",
        removed: "as the Job's",
        edits: &[edit(
            WORKLOAD,
            "Some(name) => (\"CronJob\", name),",
            "Some(_) => (\"Job\", &owner.name),",
        )],
        tests: &[test(
            "agent/src/cluster/workload/tests.rs",
            "job_of_a_cron_job_is_the_cron_job",
        )],
    },
];
