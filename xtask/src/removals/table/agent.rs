//! The agent's own: what comes before its name, and restarts.

use super::{super::removal::Removal, edit, test};

const ACCOUNT: &str = "agent/src/account.rs";
const RESOLVE: &str = "agent/src/account/resolve.rs";
const WAITING: &str = "agent/src/account/tests/waiting.rs";

/// The entries.
pub(super) const ENTRIES: &[Removal] = &[
    Removal {
        name: "late-pod",
        handling: "Bytes of a pod that the API has not named yet are held back for it",
        removed: "they are without a pod at once",
        edits: &[edit(RESOLVE, "Some(Awaited::Pod(flow.interface))", "None")],
        tests: &[
            test(
                WAITING,
                "all_that_was_held_goes_to_the_pod_once_it_is_known",
            ),
            test(
                "tests/tests/live.rs",
                "a_server_that_is_away_at_the_start_is_awaited",
            ),
        ],
    },
    Removal {
        name: "late-peer",
        handling: "Bytes to a pod that the API has not named yet are held back for its name",
        removed: "they are the address range's at once",
        edits: &[edit(
            RESOLVE,
            "peer.may_be_pod().then_some(Awaited::Peer(flow.peer))",
            "None",
        )],
        tests: &[test(WAITING, "a_peer_in_private_space_waits_for_its_pod")],
    },
    Removal {
        name: "adoption",
        handling: "The agent is restarted: it takes over the pinned maps that went on counting",
        removed: "it makes maps of its own",
        edits: &[edit(
            "agent/src/kernel/object.rs",
            "loader.map_pin_path(name, pins.map(name));",
            "let _ = pins.map(name);",
        )],
        tests: &[test(
            "tests/tests/restart.rs",
            "what_is_counted_between_two_agents_is_drained_once_with_tcx",
        )],
    },
    Removal {
        name: "drained-once",
        handling: "The agent is killed: a drain that it had added is not added again",
        removed: "a drain is added as often as it is read",
        edits: &[edit(
            "agent/src/account/drains.rs",
            "Some(at) if drain.epoch <= self.last[at].epoch => return false,",
            "Some(at) if drain.epoch < at as u64 && drain.epoch == 0 => return false,",
        )],
        tests: &[
            test("agent/src/account/drains.rs", "each_drain_is_taken_once"),
            test(
                "agent/src/pipeline/once/tests.rs",
                "every_packet_is_counted_once_wherever_agents_are_killed",
            ),
        ],
    },
    Removal {
        name: "retire-after-list",
        handling: "The agent is restarted: no series retires before the pods are listed",
        removed: "pods that are not listed yet are taken for gone",
        edits: &[edit(ACCOUNT, "if !self.pods_awaited {", "{")],
        tests: &[test(
            "agent/src/account/tests/restart.rs",
            "series_of_pods_that_went_meanwhile_retire_once_the_pods_are_listed",
        )],
    },
];
