//! The table, in the terminal and in `docs/live-cluster.md`.

use std::path::Path;

use crate::{agent::Measured, populate::Size};

const HEAD: [&str; 11] = [
    "pods / nodes",
    "lists",
    "bytes per pod",
    "from the API server",
    "ready after the start",
    "ready after the lists",
    "peak RSS",
    "steady RSS",
    "of it heap and stacks",
    "of it executable and flow tables",
    "reads from etcd",
];

/// The table stands between these lines of the document.
const BEGIN: &str = "<!-- sizes: begin -->\n";
const END: &str = "<!-- sizes: end -->\n";

/// One measured cluster as a line of the table.
pub(crate) fn row(
    size: Size,
    lists: &str,
    pod_bytes: usize,
    measured: &Measured,
    reads: u64,
) -> String {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let memory = &measured.memory;
    line(&[
        format!("{} / {}", size.pods, size.nodes),
        lists.to_owned(),
        pod_bytes.to_string(),
        megabytes(measured.received),
        format!("{:.1} s", measured.ready.as_secs_f64()),
        format!("{:.1} s", measured.ready_after_lists.as_secs_f64()),
        megabytes(memory.highest),
        megabytes(memory.resident),
        megabytes(memory.anonymous),
        megabytes(memory.file),
        reads.to_string(),
    ])
}

/// Markdown.
pub(crate) fn table(rows: &[String]) -> String {
    let head = [
        line(&HEAD.map(str::to_owned)),
        line(&HEAD.map(|_| "---".to_owned())),
    ];
    head.iter().chain(rows).map(String::as_str).collect()
}

/// Puts the table into the document.
pub(crate) fn write(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/live-cluster.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let text = format!("{before}{BEGIN}{table}{END}{after}");
    std::fs::write(&path, text).unwrap();
}

fn line(cells: &[String; HEAD.len()]) -> String {
    format!("| {} |\n", cells.join(" | "))
}
