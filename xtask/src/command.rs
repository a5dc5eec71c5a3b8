//! What can be asked of `cargo xtask`.

use anyhow::Result;
use clap::Subcommand;

use crate::{
    bench, demo,
    go::{self, recipes},
    image, kernels, lint, manifests, release, rules, setup, test,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Install what building and testing need and this machine lacks
    Setup,
    /// Check formatting, clippy for the host and for the bpf target, and the project's own rules
    Lint,
    /// Run every test: units, kernel programs on crafted packets, the lab
    Test(test::Args),
    /// Everything that must hold before a change lands: lint, then test
    Ci,
    /// Raise a cluster on this machine, let it talk, and watch what the agents count
    Demo(demo::Args),
    /// Build the container image for every architecture, its digest the same each time
    Image(image::Args),
    /// Make everything that a release publishes, with checksums, in target/release-<version>
    Release(release::Args),
    /// Build the Kubernetes API server that tests talk to, once
    Kubernetes,
    /// Check rules, scrapes and dashboards with Prometheus's own tools
    Rules,
    /// Build Prometheus and promtool for the tests, the demo and `rules`, once
    Prometheus,
    /// Build Helm for the chart's tests and for `manifests`, once
    Helm,
    /// Copy rules and dashboards into the chart and render deploy/kubernetes from it
    Manifests(manifests::Args),
    /// Measure what counting costs per packet
    Bench(bench::Args),
    /// Run the kernel's tests on other kernels, in an emulator
    Kernels(kernels::Args),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Setup => setup::run(),
            Self::Lint => lint::run(),
            Self::Test(args) => test::run(&args),
            Self::Ci => test::ci(),
            Self::Demo(args) => demo::run(&args),
            Self::Image(args) => image::run(&args),
            Self::Release(args) => release::run(&args),
            Self::Kubernetes => go::run(&[recipes::KUBERNETES]),
            Self::Rules => rules::run(),
            Self::Prometheus => go::run(&[recipes::PROMETHEUS]),
            Self::Helm => go::run(&[recipes::OPERATOR, recipes::SECCOMP, recipes::HELM]),
            Self::Manifests(args) => manifests::run(&args),
            Self::Bench(args) => bench::run(&args),
            Self::Kernels(args) => kernels::run(&args),
        }
    }
}
