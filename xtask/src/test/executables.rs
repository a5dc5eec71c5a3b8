//! Compiles the tests and learns from cargo which programs that made.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    exec::{self, Cmd},
    image::arch::Arch,
    repository,
    setup::toolchain,
};

/// Who runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// Whoever calls; tests in parallel.
    Unit,
    /// Root; one test at a time.
    Root,
}

/// One compiled test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executable {
    /// `package: target`, for people.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// The package's folder, where cargo starts its tests.
    pub(super) folder: PathBuf,
    pub(super) tier: Tier,
}

/// Programs of the lab whose tests measure time, fill the machine, or read counters of its one
/// kernel, or move their whole process into a cgroup: theirs run one at a time.
const ALONE: [&str; 12] = [
    "tests: capacity",
    "tests: cardinality",
    "tests: chart",
    "tests: churn",
    "tests: host",
    "tests: http",
    "tests: late",
    "tests: neighbours",
    "tests: page",
    "tests: prometheus",
    "tests: services",
    "tests: whole_cluster",
];

impl Executable {
    /// Whether its tests for root run one at a time and beside nothing else. Those of the lab and of
    /// the live cluster have namespaces or a control plane each. Tests of kernel programs share one
    /// kernel.
    pub(super) fn is_alone(&self) -> bool {
        self.tier == Tier::Unit || ALONE.contains(&self.name.as_str())
    }

    /// Names of the tests that it would run with `arguments`.
    pub(super) fn list(&self, arguments: &[String]) -> Result<Vec<String>> {
        let list = Cmd::new(&self.file).current_dir(&self.folder);
        let printed = exec::output(list.words("--list --format=terse").args(arguments))?;
        let names = printed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"));
        Ok(names.map(str::to_owned).collect())
    }

    /// The program called `name` that has tests whose names start with `tests`: a package's
    /// library and its program share a name.
    pub(crate) fn with_test<'a>(all: &'a [Self], name: &str, tests: &str) -> Result<&'a Self> {
        for executable in all.iter().filter(|executable| executable.name == name) {
            let names = executable.list(&[])?;
            if names.iter().any(|test| test.starts_with(tests)) {
                return Ok(executable);
            }
        }
        bail!("no test program {name} has tests of the name {tests}")
    }
}

/// Compiles every test of the workspace; the kernel programs have none of their own.
pub(crate) fn build() -> Result<Vec<Executable>> {
    build_with(Cmd::cargo().words("test --workspace --exclude zonemeter-ebpf"))
}

/// Compiles for another architecture, static, what runs in an emulator, and tells the agent's
/// folder.
pub(crate) fn build_for(arch: Arch) -> Result<(PathBuf, Vec<Executable>)> {
    let folder = repository::root().join("target").join(arch.name());
    let command = toolchain::pinned_cargo()
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env(&arch.linker_variable(), arch.tool("gcc"))
        .args(["test", "--target", &arch.target(), "--target-dir"])
        .arg(&folder)
        .words("--package zonemeter-agent --package zonemeter-datapath --package zonemeter-tests")
        // A package's tests bring its executable with them: the agent comes with this one.
        .words("--lib --test live_cluster --test attach --test privilege");
    Ok((
        folder.join(arch.target()).join("debug"),
        build_with(command)?,
    ))
}

/// The test programs that a `cargo test` makes, by name.
fn build_with(command: Cmd) -> Result<Vec<Executable>> {
    let command = command.words("--locked --no-run --message-format json-render-diagnostics");
    let (shown, mut child) = exec::start_piped(command)?;
    let mut found = Vec::new();
    for line in BufReader::new(child.stdout.take().context("cargo's output")?).lines() {
        found.extend(parse(&line.context("reading cargo's messages")?));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(child.wait()?.success(), "`{shown}` failed");
    Ok(found)
}

/// One of cargo's messages, when it tells of a test program
/// (the Cargo book, "External tools", artifact messages).
fn parse(line: &str) -> Option<Executable> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let folder = Path::new(message["manifest_path"].as_str()?)
        .parent()?
        .to_owned();
    let is_root = message["target"]["kind"]
        .as_array()?
        .iter()
        .any(|kind| kind == "test");
    let package = folder.file_name()?.to_string_lossy().into_owned();
    Some(Executable {
        name: format!("{package}: {}", message["target"]["name"].as_str()?),
        file: PathBuf::from(message["executable"].as_str()?),
        folder,
        tier: if is_root { Tier::Root } else { Tier::Unit },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, is_test: bool) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/r/agent/Cargo.toml",
            "target":{{"kind":["{kind}"],"name":"zonemeter"}},"profile":{{"test":{is_test}}},
            "executable":"/r/target/debug/deps/zonemeter-1"}}"#
        )
    }

    #[test]
    fn the_kind_of_target_decides_the_tier() {
        let unit = parse(&message("lib", true)).unwrap();
        assert_eq!(
            (unit.name.as_str(), unit.tier),
            ("agent: zonemeter", Tier::Unit)
        );
        assert_eq!(unit.folder, Path::new("/r/agent"));
        assert_eq!(parse(&message("test", true)).unwrap().tier, Tier::Root);
    }

    #[test]
    fn what_measures_runs_alone() {
        let of = |name: &str| Executable {
            name: name.to_owned(),
            ..parse(&message("test", true)).unwrap()
        };
        assert!(of("tests: churn").is_alone());
        assert!(!of("tests: debug").is_alone());
        assert!(parse(&message("lib", true)).unwrap().is_alone());
    }

    #[test]
    fn what_is_no_test_program_is_passed_over() {
        assert_eq!(parse(&message("bin", false)), None);
        assert_eq!(parse(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
