//! Where the numbers come from.

use std::fs;

use anyhow::{Context, Result};

/// `Linux 6.18.5, 2 CPUs, Intel Xeon …`
pub(super) fn describe() -> Result<String> {
    let release =
        fs::read_to_string("/proc/sys/kernel/osrelease").context("reading the kernel's release")?;
    let cpus = fs::read_to_string("/proc/cpuinfo").context("reading /proc/cpuinfo")?;
    Ok(format!("Linux {}, {}", release.trim(), processors(&cpus)))
}

fn processors(cpuinfo: &str) -> String {
    let field = |name: &'static str| {
        cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(move |(key, _)| key.trim() == name)
    };
    let count = field("processor").count();
    let model = field("model name")
        .map(|(_, model)| model.trim().to_owned())
        .next();
    format!(
        "{count} CPUs, {}",
        model.unwrap_or_else(|| "model unknown".to_owned())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_and_named() {
        let text = "processor\t: 0\nmodel name\t: X 1\n\nprocessor\t: 1\nmodel name\t: X 1\n";
        assert_eq!(processors(text), "2 CPUs, X 1");
    }
}
