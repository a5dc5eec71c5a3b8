//! The project's own commands. Each has a file of its own, named as the command.

use std::process::ExitCode;

use clap::Parser;

mod bench;
mod command;
mod demo;
mod exec;
mod go;
mod image;
mod kernels;
mod lint;
mod manifests;
mod privilege;
mod progress;
mod python;
mod release;
mod repository;
mod rules;
mod setup;
mod test;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "zonemeter's own commands", version)]
struct Cli {
    #[command(subcommand)]
    command: command::Command,
}

fn main() -> ExitCode {
    match Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::fail(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
