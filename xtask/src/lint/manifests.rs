//! What every `Cargo.toml` of the workspace has in common.

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::violation::Violation;

const RULE: &str = "manifest";
const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Crates whose dependencies say what they are, and all that they may have.
const CLOSED: [(&str, &[&str]); 2] = [
    ("agent-common/Cargo.toml", &["aya"]),
    (
        "agent-ebpf/Cargo.toml",
        &["aya-ebpf", "aya-log-ebpf", "zonemeter-common"],
    ),
];
/// The oracle must not be able to repeat the agent's mistakes.
const APART: (&str, &str) = ("tests/Cargo.toml", "zonemeter-agent");

/// The crates that `manifest` depends on at run time, as Rust code names them.
pub(super) fn dependencies(manifest: &str) -> Result<Vec<String>> {
    let table: Table = manifest.parse().context("agent/Cargo.toml")?;
    Ok(section(&table, "dependencies")
        .map(|(name, _)| name.replace('-', "_"))
        .collect())
}

/// Checks one manifest.
pub(super) fn check(file: &str, content: &str) -> Vec<Violation> {
    let told = |remedy: String| Violation::new(file, 1, RULE, remedy);
    let table: Table = match content.parse() {
        Ok(table) => table,
        Err(error) => return vec![told(format!("does not parse: {error}"))],
    };
    let mut found = Vec::new();
    if table.contains_key("package") && !inherits(table.get("lints")) {
        found.push(told("say `[lints]` with `workspace = true`".to_owned()));
    }
    for name in SECTIONS
        .iter()
        .flat_map(|name| section(&table, name))
        .filter_map(not_shared)
    {
        let remedy = format!(
            "`{name}` is declared here; declare it in [workspace.dependencies] and inherit it"
        );
        found.push(Violation::new(file, line_of(content, name), RULE, remedy));
    }
    found.extend(check_closed(file, content, &table));
    found
}

fn check_closed(file: &str, content: &str, table: &Table) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, _) in section(table, "dependencies") {
        let closed = CLOSED.iter().find(|(manifest, _)| *manifest == file);
        let remedy = match closed {
            Some((_, allowed)) if !allowed.contains(&name) => {
                format!(
                    "`{name}` may not be here: this crate depends on {} only",
                    allowed.join(", ")
                )
            }
            None if APART == (file, name) => {
                format!(
                    "`{name}` may not be here: tests drive the agent as a program, the oracle is apart from it"
                )
            }
            Some(_) | None => continue,
        };
        found.push(Violation::new(file, line_of(content, name), RULE, remedy));
    }
    found
}

fn section<'a>(
    table: &'a Table,
    name: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    let entries = table
        .get(name)
        .and_then(Value::as_table)
        .into_iter()
        .flatten();
    entries.map(|(name, value)| (name.as_str(), value))
}

fn not_shared<'a>((name, value): (&'a str, &Value)) -> Option<&'a str> {
    (!inherits(Some(value))).then_some(name)
}

fn inherits(value: Option<&Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

fn line_of(content: &str, name: &str) -> usize {
    let starts = |line: &str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
    };
    content
        .lines()
        .position(starts)
        .map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"x\"\n[dependencies]\naya = { workspace = true }\n[lints]\nworkspace = true\n";

    #[test]
    fn a_manifest_that_inherits_is_clean() {
        assert_eq!(check("agent-common/Cargo.toml", GOOD), []);
        assert_eq!(dependencies(GOOD).unwrap(), ["aya"]);
    }

    #[test]
    fn lints_must_be_inherited() {
        let found = check("x/Cargo.toml", "[package]\nname = \"x\"\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(check("Cargo.toml", "[workspace]\n"), []);
    }

    #[test]
    fn a_version_of_its_own_is_told_with_its_line() {
        let found = check(
            "x/Cargo.toml",
            &GOOD.replace("{ workspace = true }", "\"0.14\""),
        );
        assert_eq!((found.len(), found[0].line), (1, 4), "{found:?}");
    }

    #[test]
    fn closed_crates_stay_closed() {
        let found = check("agent-ebpf/Cargo.toml", GOOD);
        assert!(
            found[0].remedy.contains("`aya` may not be here"),
            "{found:?}"
        );
        let tests = GOOD.replace("aya", "zonemeter-agent");
        assert_eq!(check("tests/Cargo.toml", &tests).len(), 1);
    }
}
