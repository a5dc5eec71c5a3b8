//! `zonemeter`: one binary, its commands in [`zonemeter::args`].

use std::process::ExitCode;

use clap::Parser as _;
use zonemeter::{
    app,
    args::{Cli, Command, complaint},
    config::Config,
    logging,
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    logging::start();
    let result = match cli.command {
        Command::Agent(args) => Config::new(args).and_then(app::run),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complaint::exit(&format!("{error:#}")),
    }
}

fn refuse(error: &clap::Error) -> ExitCode {
    match complaint::line(error) {
        Some(line) => complaint::exit(&line),
        None => complaint::print(error),
    }
}
