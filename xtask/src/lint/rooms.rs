//! Who may import what inside `agent/src`. A room depends on the world it talks to and on the
//! vocabulary, never on another room: so each can be tested with only its own world faked.

use super::{
    purity,
    source::{self, Named, Names},
    violation::Violation,
};

const RULE: &str = "room";
const SOURCES: &str = "agent/src/";

/// One row of the table.
struct Room {
    /// The module: `agent/src/NAME.rs` and `agent/src/NAME/`.
    name: &'static str,
    /// Crates that it may name, `x_*` for a family; the standard library needs no mention.
    crates: &'static [&'static str],
    /// No IO, no async, no clock.
    pure: bool,
}

/// Modules that every room may import: the vocabulary, reading files, once or when they change,
/// which knows nothing of what is in them, and the words for text that is no JSON or YAML.
const SHARED: [&str; 4] = ["model", "files", "reread", "syntax"];

/// The table. What stands in no row is wiring and may import everything.
const ROOMS: [Room; 6] = [
    Room {
        name: "model",
        crates: &["ipnet", "zonemeter_common"],
        pure: true,
    },
    Room {
        name: "kernel",
        crates: &[
            "anyhow",
            "aya",
            "aya_log",
            "aya_obj",
            "futures",
            "glob",
            "libc",
            "log",
            "netlink_*",
            "rtnetlink",
            "tokio",
            "tracing",
            "zonemeter_common",
        ],
        pure: false,
    },
    Room {
        name: "cluster",
        crates: &[
            "anyhow",
            "futures",
            "http",
            "http_body_util",
            "hyper",
            "k8s_openapi",
            "kube",
            "serde",
            "serde_json",
            "serde_saphyr",
            "tokio",
            "tower",
            "tracing",
            "zonemeter_common",
        ],
        pure: false,
    },
    Room {
        name: "account",
        crates: &[
            "ipnet",
            "prefix_trie",
            "serde",
            "serde_saphyr",
            "sha1",
            "zonemeter_common",
        ],
        pure: true,
    },
    Room {
        name: "state",
        crates: &["anyhow", "crc32fast", "postcard", "serde", "tracing"],
        pure: false,
    },
    Room {
        name: "expose",
        crates: &[
            "anyhow",
            "axum",
            "crc32fast",
            "flate2",
            "futures",
            "http",
            "http_body",
            "prometheus_client",
            "serde",
            "serde_json",
            "tokio",
            "tracing",
            "zonemeter_common",
        ],
        pure: false,
    },
];

/// Checks one file; files outside the agent have no rooms. `crates` are the agent's dependencies.
pub(super) fn check(file: &str, content: &str, crates: &[String]) -> Vec<Violation> {
    let Some(in_src) = file.strip_prefix(SOURCES) else {
        return Vec::new();
    };
    let module = source::module_of(in_src);
    let Some(room) = ROOMS
        .iter()
        .find(|room| module.get(1).is_some_and(|name| name == room.name))
    else {
        return Vec::new();
    };
    match source::names(content, &module) {
        Ok(names) => check_room(file, room, &names, crates),
        Err((line, reason)) => vec![Violation::new(file, line, "syntax", reason)],
    }
}

fn check_room(file: &str, room: &Room, names: &Names, crates: &[String]) -> Vec<Violation> {
    let imports = names
        .paths
        .iter()
        .filter_map(|named| check_import(file, room, named, crates));
    let mut found: Vec<Violation> = imports.collect();
    if room.pure {
        found.extend(purity::check(file, room.name, names));
    }
    found.sort();
    found.dedup();
    found
}

fn check_import(file: &str, room: &Room, named: &Named, crates: &[String]) -> Option<Violation> {
    let remedy = match named.segments.as_slice() {
        [first, other, ..] if first == "crate" => foreign_module(room, other)?,
        // What tests are made with is theirs to choose.
        [first, ..] if !named.in_test && crates.contains(first) => foreign_crate(room, first)?,
        _ => return None,
    };
    Some(Violation::new(file, named.line, RULE, remedy))
}

fn foreign_module(room: &Room, other: &str) -> Option<String> {
    if other == room.name || SHARED.contains(&other) {
        return None;
    }
    Some(format!(
        "`{}` names `crate::{other}`; rooms meet only in pipeline.rs, what must cross belongs in `crate::model`",
        room.name
    ))
}

fn foreign_crate(room: &Room, name: &str) -> Option<String> {
    let is_named = |allowed: &&str| match allowed.strip_suffix('*') {
        Some(family) => name.starts_with(family),
        None => name == *allowed,
    };
    if room.crates.iter().any(is_named) {
        return None;
    }
    Some(format!(
        "`{}` names the crate `{name}`, it may name {}; put this line into the room that talks to that world",
        room.name,
        room.crates.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, source: &str) -> Vec<String> {
        let crates = [
            "netlink_sys",
            "aya",
            "axum",
            "kube",
            "tokio",
            "zonemeter_common",
        ]
        .map(str::to_owned);
        check(file, source, &crates)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_vocabulary_and_the_own_room_are_free() {
        let source = "use crate::{account::book::Book, model::traffic::Flow};\nuse super::ledger;";
        assert_eq!(found("agent/src/account/scope.rs", source), [""; 0]);
    }

    #[test]
    fn another_room_is_told_with_its_line() {
        let found = found(
            "agent/src/expose/page.rs",
            "\nuse super::super::account::Ledger;",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0]
                .starts_with("agent/src/expose/page.rs:2: room: `expose` names `crate::account`")
        );
    }

    #[test]
    fn a_room_does_not_reach_into_the_wiring() {
        assert_eq!(
            found(
                "agent/src/kernel/drain.rs",
                "use crate::{model, pipeline::Pipeline};"
            )
            .len(),
            1
        );
    }

    #[test]
    fn a_foreign_crate_is_told_also_without_a_use() {
        let found = found(
            "agent/src/cluster/file.rs",
            "fn f() { aya::Ebpf::load(&[]); }",
        );
        assert!(
            found[0].contains("`cluster` names the crate `aya`"),
            "{found:?}"
        );
        assert!(self::found("agent/src/kernel.rs", "use aya::Ebpf;").is_empty());
    }

    #[test]
    fn a_family_of_crates_is_named_once() {
        assert!(found("agent/src/kernel.rs", "use netlink_sys::Socket;").is_empty());
        assert_eq!(
            found("agent/src/cluster.rs", "use netlink_sys::Socket;").len(),
            1
        );
    }

    #[test]
    fn wiring_and_other_packages_are_free() {
        assert!(
            found(
                "agent/src/pipeline.rs",
                "use crate::{kernel, account}; use axum::Router;"
            )
            .is_empty()
        );
        assert!(found("xtask/src/account.rs", "use aya::Ebpf;").is_empty());
    }

    #[test]
    fn the_pure_room_has_no_clock_and_no_io() {
        let found = found(
            "agent/src/account.rs",
            "fn f() { let _ = std::fs::read(\"x\"); }",
        );
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn what_does_not_parse_is_told() {
        assert!(
            found("agent/src/kernel.rs", "fn f( {")
                .first()
                .is_some_and(|line| line.contains("syntax"))
        );
    }
}
