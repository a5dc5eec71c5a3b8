//! What packages may not depend on, by what Cargo resolves for each alone.

use anyhow::{Result, bail};

use super::violation::Violation;
use crate::exec::{self, Cmd};

/// Packages that decide: each is tested with values only, and compiles with Rust alone.
const PURE: [&str; 5] = [
    "zonemeter-model",
    "zonemeter-naming",
    "zonemeter-account",
    "zonemeter-networks",
    "zonemeter-state",
];
/// What talks to the kernel, to the network or to a cluster.
const WORLD: [&str; 7] = ["aya", "axum", "hyper", "kube", "libc", "rtnetlink", "tokio"];
/// What counts and what attaches: they know no cluster and no server, and what counts no interfaces.
const KERNEL: [(&str, &[&str]); 2] = [
    (
        "zonemeter-datapath",
        &["axum", "hyper", "kube", "rtnetlink"],
    ),
    ("zonemeter-attach", &["axum", "hyper", "kube"]),
];
/// The oracle must not be able to repeat the agent's mistakes.
const LAB: &str = "zonemeter-tests";

/// Fails with a line for each dependency that may not be.
pub(super) fn check() -> Result<()> {
    let mut found = Vec::new();
    let pure = PURE.map(|package| (package, &WORLD[..]));
    for (package, foreign) in pure.into_iter().chain(KERNEL) {
        let all = dependencies(package)?;
        let not_allowed = all.iter().filter(|name| foreign.contains(&name.as_str()));
        found.extend(not_allowed.map(|name| format!("{package} depends on {name}")));
    }
    let all = dependencies(LAB)?;
    let own = all
        .iter()
        .filter(|name| name.starts_with("zonemeter-") && *name != LAB);
    found.extend(
        own.map(|name| format!("{LAB} depends on {name}: it drives the agent from outside")),
    );
    match found.is_empty() {
        true => Ok(()),
        false => bail!("{}", found.join("\n")),
    }
}

/// Names of all packages that `package` is linked with.
fn dependencies(package: &str) -> Result<Vec<String>> {
    let printed = exec::output(
        Cmd::cargo()
            .args(["tree", "--locked", "--package", package])
            .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"]),
    )?;
    let names = printed.lines().filter_map(|line| line.split(' ').next());
    Ok(names.map(str::to_owned).collect())
}

/// A manifest that takes its lints from the workspace.
pub(super) fn inherits(file: &str, content: &str) -> Option<Violation> {
    let remedy = "say `[lints]` with `workspace = true`".to_owned();
    let inherits = content.contains("[lints]\nworkspace = true\n");
    (!inherits).then(|| Violation::new(file, 1, "manifest", remedy))
}
