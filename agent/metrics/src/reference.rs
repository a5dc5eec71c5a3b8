//! `docs/metrics.md`, written from the [`catalogue`](super::catalogue).

#[cfg(test)]
mod tests {
    use std::{env, fmt::Write as _, fs};

    use crate::catalogue::{ALL, Metric};

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    /// Set to any value, the test writes the file instead of comparing it.
    const UPDATE: &str = "ZONEMETER_UPDATE_DOCS";

    #[test]
    fn the_reference_is_what_the_catalogue_says() {
        let expected = reference();
        if env::var_os(UPDATE).is_some() {
            fs::write(PATH, &expected).unwrap();
        }
        let found = fs::read_to_string(PATH).unwrap_or_default();
        assert!(
            found == expected,
            "docs/metrics.md differs from the catalogue: \
             {UPDATE}=1 cargo test -p zonemeter-metrics reference"
        );
    }

    fn reference() -> String {
        let mut text = include_str!("reference/head.md").to_owned();
        text.push_str("\n| metric | type | labels | meaning | |\n|---|---|---|---|---|\n");
        for metric in ALL {
            let Metric { name, help, .. } = metric;
            let labels: Vec<_> = metric
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let labels = labels.join(", ");
            let (kind, stability) = (metric.kind.name(), metric.stability.name());
            writeln!(
                text,
                "| `{name}` | {kind} | {labels} | {help} | {stability} |"
            )
            .unwrap();
        }
        text
    }
}
