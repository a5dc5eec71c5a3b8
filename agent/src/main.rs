//! `zonemeter`: one binary, its commands in [`zonemeter::args`].

use std::process::ExitCode;

use clap::Parser as _;
use zonemeter::{
    app::App,
    args::{AgentArgs, Cli, Command, complaint},
    commands::{check, networks, prices, remove, serve},
    logging,
};
use zonemeter_inspect::{client, explain, top};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return complaint::of_command_line(&error),
    };
    if cli.command.has_log() {
        logging::start();
    }
    match cli.command {
        Command::Agent(args) => agent(*args),
        Command::Top(args) => complaint::ended(client::run(top::run(&args))),
        Command::Serve(args) => serve::run(&args),
        Command::Explain(args) => complaint::ended(client::run(explain::run(&args))),
        Command::Check(args) => check::run(*args),
        Command::Remove(args) => complaint::input(remove::run(&args)),
        Command::Networks(args) => complaint::input(networks::run(&args)),
        Command::Prices(args) => complaint::input(prices::run(&args)),
    }
}

fn agent(args: AgentArgs) -> ExitCode {
    match App::start(args) {
        Ok(app) => complaint::ended(app.run()),
        Err(error) => complaint::refuse(&format!("{error:#}")),
    }
}
