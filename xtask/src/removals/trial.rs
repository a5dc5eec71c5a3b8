//! Builds and runs the tests of an entry, and tells a test that fails from one that never ran.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use anyhow::{Context, Result, bail};

use super::{
    removal::{Program, TestAt},
    tree::Tree,
};
use crate::{
    exec::{self, Cmd},
    privilege::Privilege,
    test::{self, BUILD_AGENT, Executable, Others},
};

/// Seconds after which a test that has not ended hangs; the tests' own deadlines are shorter.
const DEADLINE: &str = "600";
/// Characters of a message that are shown.
const SHOWN: usize = 150;

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It ran to its end.
    Passed,
    /// It failed, with these words.
    Failed(String),
    /// Neither: it did not compile, crashed or hung.
    Neither(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Failed(message) => write!(f, "failed: {message}"),
            Self::Neither(why) => write!(f, "no verdict: {why}"),
        }
    }
}

/// Builds what these tests need and runs them, in their order.
pub(super) fn run(tree: &Tree, tests: &[TestAt]) -> Result<Vec<Verdict>> {
    let mut programs = BTreeMap::new();
    for test in tests {
        let program = test.program()?;
        if let Entry::Vacant(vacant) = programs.entry(program) {
            vacant.insert(build(tree, program)?);
        }
    }
    let run = |test: &TestAt| match &programs[&test.program()?] {
        Some(executable) => run_one(test, executable),
        None => Ok(Verdict::Neither("it does not compile".to_owned())),
    };
    tests.iter().map(run).collect()
}

/// The test program; `None` where it does not compile, and cargo has said why.
fn build(tree: &Tree, program: Program) -> Result<Option<Executable>> {
    if program.package == "zonemeter-tests"
        && exec::run(tree.cargo().args(BUILD_AGENT).arg("--quiet")).is_err()
    {
        return Ok(None);
    }
    let command = tree
        .cargo()
        .args([
            "test",
            "--locked",
            "--quiet",
            "--no-run",
            "--package",
            program.package,
        ])
        .args(match program.scenario {
            Some(scenario) => vec!["--test", scenario],
            None => vec!["--lib"],
        })
        .args(["--message-format", "json-render-diagnostics"]);
    Ok(match test::build_with(command)? {
        (built, true) => built.into_iter().next(),
        (_, false) => None,
    })
}

fn run_one(test: &TestAt, executable: &Executable) -> Result<Verdict> {
    let listed = executable.list()?;
    let name = listed
        .iter()
        .find(|listed| test.is(listed))
        .with_context(|| format!("{} does not list {}", executable.name, test.function))?;
    let mut command = as_whom(executable)?
        .args(["--foreground", "--kill-after=10", DEADLINE])
        .arg(&executable.file)
        .args([name.as_str(), "--exact", "--test-threads=1"])
        .current_dir(executable.folder())
        .env("CARGO_MANIFEST_DIR", executable.folder());
    if let Some((variable, folder)) = Others::default().wait_for(&executable.name)? {
        command = command.env(variable, folder);
    }
    let shown = command.shown();
    let done = command.into_inner().output();
    let done = done.with_context(|| format!("starting `{shown}`"))?;
    Ok(read(name, &String::from_utf8_lossy(&done.stdout)))
}

/// `timeout`, as whoever runs such tests.
fn as_whom(executable: &Executable) -> Result<Cmd> {
    if !executable.runs_as_root() {
        return Ok(Cmd::new("timeout"));
    }
    match Privilege::find() {
        Privilege::Absent => bail!("{} needs root or passwordless sudo", executable.name),
        privilege => Ok(privilege.command("timeout")),
    }
}

/// What the test program printed about one test.
fn read(name: &str, printed: &str) -> Verdict {
    let result = printed
        .lines()
        .find_map(|line| line.split_once("test result: "));
    match result.map(|(_, result)| result) {
        Some(result) if result.starts_with("ok. 1 passed") => Verdict::Passed,
        Some(result) if result.contains(" 1 failed") => Verdict::Failed(message(name, printed)),
        Some(result) => Verdict::Neither(result.to_owned()),
        None => Verdict::Neither("the test program ended before its test".to_owned()),
    }
}

/// The first line of the test's own panic; where that only says that two values differ, they
/// follow.
fn message(name: &str, printed: &str) -> String {
    let own = printed.split_once(&format!("---- {name} stdout ----"));
    let own = own.map_or(printed, |(_, own)| own);
    let after = own
        .split_once(" panicked at ")
        .map_or("", |(_, after)| after);
    let mut lines = after.lines().skip(1).map(str::trim);
    let mut message = lines.next().unwrap_or_default().to_owned();
    if message.starts_with("assertion `left") {
        let values =
            lines.take_while(|line| line.starts_with("left:") || line.starts_with("right:"));
        for value in values {
            message = format!("{message}; {value}");
        }
    }
    match message.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "
running 1 test
test a::b ... FAILED

failures:

---- a::b stdout ----

thread 'a::b' (77) panicked at agent/src/a.rs:5:9:
assertion `left == right` failed
  left: [1]
 right: [2]
note: run with `RUST_BACKTRACE=1`


failures:
    a::b

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.0s
";

    #[test]
    fn a_failure_is_told_by_its_message() {
        let message = "assertion `left == right` failed; left: [1]; right: [2]".to_owned();
        assert_eq!(read("a::b", PRINTED), Verdict::Failed(message));
    }

    #[test]
    fn what_did_not_run_is_no_failure() {
        let passed = "test a::b ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored;";
        assert_eq!(read("a::b", passed), Verdict::Passed);
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored;";
        assert!(matches!(read("a::b", none), Verdict::Neither(_)));
        assert!(matches!(
            read("a::b", "test a::b ... "),
            Verdict::Neither(_)
        ));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = PRINTED.replace("[1]", &"ü".repeat(500));
        let Verdict::Failed(message) = read("a::b", &long) else {
            panic!("no failure")
        };
        assert_eq!(message.chars().count(), SHOWN + 1);
    }
}
