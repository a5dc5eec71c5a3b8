//! `cargo xtask bench sizing`: what a cluster of a size takes, in `docs/sizing.md`, out of what the
//! other measurements and the arithmetic of the maps wrote into documents of their own.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::lab_test;
use crate::{
    exec::{self, Cmd},
    go::{self, recipes},
    progress, repository,
};

const DOCUMENT: &str = "docs/sizing.md";
const MAPS: &str = "docs/map-memory.md";
const SERIES: &str = "docs/series.md";
const CLUSTER: &str = "docs/live-cluster.md";
const VALUES: &str = "deploy/helm/zonemeter/values.yaml";
/// What stands between these lines is written by [`run`].
const BEGIN: &str = "<!-- sizing: begin -->\n";
const END: &str = "<!-- sizing: end -->\n";
/// Sizes of `mapMemory` in MiB that the document of the maps has columns of.
const MAP_MEMORY: [(&str, u64); 3] = [
    (" by default", 64),
    ("with 128MiB", 128),
    ("with 512MiB", 512),
];

/// Measures everything anew where `measure` says so, as root; then writes the document.
pub(super) fn run(measure: bool) -> Result<()> {
    if measure {
        go::ensure(recipes::PROMETHEUS)?;
        go::ensure(recipes::KUBERNETES)?;
        let maps = Cmd::cargo().env("ZONEMETER_UPDATE_DOCS", "1").args([
            "test",
            "--package",
            "zonemeter-datapath",
            "--lib",
            "memory::",
        ]);
        exec::run(maps)?;
        lab_test::run("cardinality", true)?;
        let cluster = [
            "bench",
            "--package",
            "zonemeter-agent",
            "--bench",
            "cluster",
        ];
        exec::run(Cmd::cargo().args(cluster).args(["--", "--write"]))?;
    }
    let written = document(&read(DOCUMENT)?, &tables()?)?;
    fs::write(repository::root().join(DOCUMENT), written)
        .with_context(|| format!("writing {DOCUMENT}"))?;
    progress::say(&format!("written to {DOCUMENT}"));
    Ok(())
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(repository::root().join(name)).with_context(|| format!("reading {name}"))
}

/// `text` with the tables in place of those that it has.
fn document(text: &str, tables: &str) -> Result<String> {
    let parts = text
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| format!("{DOCUMENT}: no line {BEGIN}"))?;
    Ok(format!("{before}{BEGIN}{tables}{END}{after}"))
}

/// All three, one behind another.
fn tables() -> Result<String> {
    let process = process_memory(&read(VALUES)?)?;
    Ok([
        maps(&read(MAPS)?, process)?,
        series(&read(SERIES)?)?,
        cluster(&read(CLUSTER)?)?,
    ]
    .join("\n"))
}

/// The chart's default of `processMemory`, in MiB.
fn process_memory(values: &str) -> Result<u64> {
    let line = values
        .lines()
        .find_map(|line| line.strip_prefix("processMemory: "));
    let size = line.and_then(|size| size.trim().strip_suffix("Mi")?.parse().ok());
    size.with_context(|| format!("{VALUES}: no processMemory in Mi"))
}

/// vCPUs, and what has room within which limit.
fn maps(text: &str, process: u64) -> Result<String> {
    let mut columns = vec!["vCPUs"];
    columns.extend(MAP_MEMORY.map(|(column, _)| column));
    let (titles, found) = rows(MAPS, text, &columns)?;
    let room = titles[1].trim_end_matches(" by default");
    let mut head = vec!["vCPUs".to_owned()];
    head.extend(MAP_MEMORY.map(|(_, size)| {
        let limit = size + process;
        format!("{room} with `mapMemory` {size}Mi, limit {limit}Mi")
    }));
    Ok(markdown(&head, &found))
}

/// Pods and pairs, and what they take in the agent and in Prometheus.
fn series(text: &str) -> Result<String> {
    let columns = [
        "pairs",
        "series",
        "agent, resident",
        "OpenMetrics, gzip",
        "in Prometheus",
    ];
    let head = [
        "pods on a node × peers of each",
        "series of the agent",
        "its process, mapped flow tables in it",
        "a scrape, compressed",
        "series and memory of a Prometheus that scrapes nothing else, rules included",
    ];
    let (_, mut found) = rows(SERIES, text, &columns)?;
    for row in &mut found {
        // How long it takes stands before its size.
        let size = row[3].rsplit(", ").next().unwrap_or_default().to_owned();
        row[3] = size;
    }
    Ok(markdown(&head.map(str::to_owned), &found))
}

/// Pods and nodes, and what the API server sends.
fn cluster(text: &str) -> Result<String> {
    let columns = [
        "pods / nodes",
        "lists",
        "bytes per pod",
        "from the API server",
        "peak RSS",
        "steady RSS",
    ];
    let head = [
        "pods / nodes",
        "one agent that starts",
        "all agents that start at once",
        "a changed pod, to all agents",
        "an agent's process, mapped flow tables in it: peak, then",
    ];
    let mut found = Vec::new();
    for row in rows(CLUSTER, text, &columns)?.1 {
        let [size, lists, bytes, received, peak, steady] = &row[..] else {
            bail!("{CLUSTER}: a row of {} columns", row.len());
        };
        if lists != "streamed" {
            continue;
        }
        let nodes: f64 = number(size.rsplit(' ').next().unwrap_or_default())?;
        found.push(vec![
            size.clone(),
            received.clone(),
            format!("{:.1} GB", number(received)? * nodes / 1e3),
            format!("{:.1} MB", number(bytes)? * nodes / 1e6),
            format!("{peak}, {steady}"),
        ]);
    }
    Ok(markdown(&head.map(str::to_owned), &found))
}

/// The number at the beginning.
fn number(text: &str) -> Result<f64> {
    let digits = text.split(' ').next().unwrap_or_default();
    digits
        .parse()
        .with_context(|| format!("{text:?} begins with no number"))
}

/// Of the first table that has columns whose titles end so: their titles, and their cells by row.
fn rows(name: &str, text: &str, columns: &[&str]) -> Result<(Vec<String>, Vec<Vec<String>>)> {
    let cells = |line: &str| -> Vec<String> {
        let inside = line.trim().trim_start_matches('|').trim_end_matches('|');
        let cells = inside.split('|').map(|cell| cell.trim().to_owned());
        cells.collect()
    };
    let mut lines = text.lines();
    let found = lines.find_map(|line| {
        let head = cells(line);
        let place = |column: &&str| head.iter().position(|cell| cell.ends_with(column));
        let places: Vec<usize> = columns.iter().map(place).collect::<Option<_>>()?;
        Some((head, places))
    });
    let (head, places) = found.with_context(|| format!("{name}: no table with {columns:?}"))?;
    let chosen = |cells: &[String]| -> Option<Vec<String>> {
        let of = |place: &usize| cells.get(*place).cloned();
        places.iter().map(of).collect()
    };
    let body = lines.skip(1).take_while(|line| line.starts_with('|'));
    let row = |line: &str| chosen(&cells(line)).with_context(|| format!("{name}: {line}"));
    let titles = chosen(&head).unwrap_or_default();
    Ok((titles, body.map(row).collect::<Result<_>>()?))
}

fn markdown(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = vec!["---".to_owned(); head.len()];
    let body: String = rows.iter().map(|row| line(row)).collect();
    [line(head), line(&rule), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo xtask bench sizing` writes it.
    #[test]
    fn the_document_has_what_the_measurements_say() {
        let found = read(DOCUMENT).unwrap();
        assert_eq!(found, document(&found, &tables().unwrap()).unwrap());
    }

    #[test]
    fn what_a_cluster_costs_is_worked_out_for_all_agents() {
        let text = "| pods / nodes | lists | bytes per pod | from the API server | peak RSS | steady RSS |\n\
                    | --- | --- | --- | --- | --- | --- |\n\
                    | 10000 / 200 | streamed | 11000 | 117.0 MB | 38.0 MB | 25.0 MB |\n\
                    | 10000 / 200 | watch cache | 11000 | 1 MB | 1 MB | 1 MB |\n";
        let said = cluster(text).unwrap();
        let row = "| 10000 / 200 | 117.0 MB | 23.4 GB | 2.2 MB | 38.0 MB, 25.0 MB |\n";
        assert!(said.ends_with(row), "{said}");
        assert_eq!(said.lines().count(), 3, "{said}");
    }

    #[test]
    fn a_table_without_a_column_is_an_error() {
        let error = maps("| vCPUs |\n|---|\n| 2 |\n", 192)
            .unwrap_err()
            .to_string();
        assert!(error.contains("docs/map-memory.md"), "{error}");
    }
}
