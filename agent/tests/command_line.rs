//! What the binary says for command lines that cannot work, and where nobody reads what it says.
//! Needs no root.

use std::process::{Command, Output, Stdio};

use zonemeter_lab::closed_pipe;

fn zonemeter(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonemeter"));
    command.args(arguments).output().expect("the binary runs")
}

#[track_caller]
fn refused(arguments: &[&str], line: &str) {
    let output = zonemeter(arguments);
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said, format!("zonemeter: {line}\n"));
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]));
}

#[test]
fn a_wrong_command_line_is_refused_in_one_line() {
    refused(
        &["explain"],
        "WHAT is missing: see `zonemeter explain --help`",
    );
    refused(
        &["netwrks"],
        "\"netwrks\": no such command, is networks meant?: see `zonemeter --help`",
    );
    refused(
        &["top", "--limit", "0"],
        "--limit: \"0\" is not accepted: a whole number from 1 to 10000",
    );
    refused(
        &["agent", "--max-flows", "many"],
        "--max-flows: \"many\" is not accepted: a whole number from 1 to 16777216",
    );
    refused(
        &["explain", "\u{1b}[31m:"],
        "WHAT: \"\\u{1b}[31m:\" is not accepted: an IPv4 or IPv6 address",
    );
}

#[test]
fn without_a_command_the_help_is_shown() {
    let output = zonemeter(&[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Usage: zonemeter <COMMAND>"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

/// As a shell shows a program that SIGPIPE has ended: 128 and the signal's number.
#[test]
fn a_closed_pipe_is_no_error() {
    for arguments in [&["--help"][..], &["check", "--json"], &["agent", "--help"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zonemeter"));
        command
            .args(arguments)
            .stdout(closed_pipe().unwrap())
            .stderr(Stdio::piped());
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), &*said),
            (Some(141), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn an_agent_that_is_not_there_is_named_with_what_to_do() {
    let output = zonemeter(&["top", "--once", "--url", "http://127.0.0.1:1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let beginning = "zonemeter: http://127.0.0.1:1/api/pairs?";
    assert!(said.starts_with(beginning), "{said}");
    assert!(
        said.contains("connection refused") && said.contains("port-forward"),
        "{said}"
    );
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1));
}
