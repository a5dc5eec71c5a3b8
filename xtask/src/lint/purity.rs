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

/// Checks what a file of the pure room `room` names.
pub(super) fn check(file: &str, room: &str, names: &Names) -> Vec<Violation> {
    let paths = names
        .paths
        .iter()
        .filter_map(|named| Some((named.line, told(named)?)));
    let methods = names.methods.iter().filter(|(name, _)| name == "elapsed");
    let methods = methods.map(|(_, line)| (*line, "`.elapsed()` reads the clock".to_owned()));
    paths
        .chain(methods)
        .map(|(line, what)| {
            let remedy = format!(
                "{what}, and `{room}` has no IO and no clock: take the value as an argument"
            );
            Violation::new(file, line, RULE, remedy)
        })
        .collect()
}

fn told(named: &Named) -> Option<String> {
    let path = named.segments.join("::");
    if reads_clock(&named.segments) {
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
    fn sockets_and_files_are_told_addresses_are_not() {
        assert_eq!(
            told("use std::{fs::File, net::{IpAddr, UdpSocket}};").len(),
            2
        );
        assert!(told("use std::{net::IpAddr, time::{Duration, Instant}};").is_empty());
    }
}
