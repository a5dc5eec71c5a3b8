//! No IO, no async, no clock: what makes a room's tests exact. Time comes in as an argument.

use super::{
    source::{Named, Names},
    violation::Violation,
};

const RULE: &str = "pure";

/// Modules and types of the standard library that talk to the world.
const WORLD: [&str; 14] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::sync::mpsc",
    "std::sync::Condvar",
    "std::future",
    "std::task",
];

/// Clocks: the type, whatever path leads to it, and its function.
const CLOCKS: [&str; 2] = ["Instant", "SystemTime"];

/// Checks what a file of the pure room `room` names. Tests may read the clock: there is no other
/// way to come by an `Instant`.
pub(super) fn check(file: &str, room: &str, names: &Names) -> Vec<Violation> {
    let paths = names
        .paths
        .iter()
        .filter_map(|named| Some((named.line, told(named)?)));
    let methods = names
        .methods
        .iter()
        .filter(|named| !named.in_test && named.segments == ["elapsed"]);
    let methods = methods.map(|named| (named.line, "`.elapsed()` reads the clock".to_owned()));
    let remedy = |what: String| {
        format!("{what}, and `{room}` has no IO and no clock: take the value as an argument")
    };
    paths
        .chain(methods)
        .map(|(line, what)| Violation::new(file, line, RULE, remedy(what)))
        .collect()
}

fn told(named: &Named) -> Option<String> {
    let path = named.segments.join("::");
    if !named.in_test && reads_clock(&named.segments) {
        return Some(format!("`{path}` reads the clock"));
    }
    let world = WORLD.into_iter().find(|world| is_inside(&path, world))?;
    Some(format!("`{path}` is of `{world}`"))
}

fn is_inside(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn reads_clock(segments: &[String]) -> bool {
    matches!(segments, [.., owner, function] if function == "now" && CLOCKS.contains(&owner.as_str()))
}

#[cfg(test)]
mod tests {
    use super::{super::source, *};

    fn told(source: &str) -> Vec<String> {
        let names = source::names(source, &[]).unwrap();
        check("a.rs", "account", &names)
            .into_iter()
            .map(|violation| violation.remedy)
            .collect()
    }

    #[test]
    fn reading_the_clock_is_told_however_it_is_spelt() {
        for source in [
            "std::time::Instant::now()",
            "Instant::now()",
            "SystemTime::now()",
            "a.elapsed()",
        ] {
            let found = told(&format!("fn f() {{ {source}; }}"));
            assert_eq!(found.len(), 1, "{source}: {found:?}");
            assert!(found[0].contains("reads the clock"), "{found:?}");
        }
    }

    #[test]
    fn tests_may_read_the_clock_and_nothing_else() {
        assert!(told("mod tests { fn f() { Instant::now().elapsed(); } }").is_empty());
        assert_eq!(told("mod tests { use std::fs; }").len(), 1);
    }

    #[test]
    fn sockets_and_files_are_told_addresses_are_not() {
        assert_eq!(
            told("use std::{fs::File, net::{IpAddr, UdpSocket}};").len(),
            2
        );
        assert!(told("use std::{net::IpAddr, time::{Duration, Instant}};").is_empty());
    }
}
