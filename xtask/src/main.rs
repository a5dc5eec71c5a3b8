//! The project's own commands. Each has a file of its own, named as the command.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod bench;
mod ci;
mod demo;
mod exec;
mod go;
mod kernels;
mod kubernetes;
mod lint;
mod privilege;
mod progress;
mod prometheus;
mod python;
mod removals;
mod repository;
mod rules;
mod setup;
mod test;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "zonemeter's own commands", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
    /// Build the Kubernetes API server that tests talk to, once
    Kubernetes,
    /// Check rules, scrapes and dashboards with Prometheus's own tools
    Rules,
    /// Build Prometheus and promtool for the tests, the demo and `rules`, once
    Prometheus,
    /// Measure what counting costs per packet
    Bench(bench::Args),
    /// Run the kernel's tests on other kernels, in an emulator
    Kernels(kernels::Args),
    /// Show that tests fail when what they test is taken out
    Removals(removals::Args),
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::fail(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Setup => setup::run(),
        Command::Lint => lint::run(),
        Command::Test(args) => test::run(&args),
        Command::Ci => ci::run(),
        Command::Demo(args) => demo::run(&args),
        Command::Kubernetes => kubernetes::run(),
        Command::Rules => rules::run(),
        Command::Prometheus => prometheus::run(),
        Command::Bench(args) => bench::run(&args),
        Command::Kernels(args) => kernels::run(&args),
        Command::Removals(args) => removals::run(&args),
    }
}
