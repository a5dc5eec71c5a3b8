//! `zonemeter check`: would the agent work on this node? Each requirement with what was found,
//! what is needed, and what to do. Nothing is attached, pinned or left behind.

use std::process::ExitCode;

use anyhow::Result;
use tokio::runtime::Builder;
use zonemeter_io::output;

use crate::{
    args::{CheckArgs, complaint},
    config::{self, Config},
};

mod cluster;
mod cni;
mod hooks;
mod kernel;
pub(crate) mod node;
mod report;

use report::{Report, Requirement};

/// Stands in for the name that is missing, so that the rest can be looked at.
const NAMELESS: &str = "(none)";

/// The command. Ends with 0 when the agent would work, with [`complaint::FAILED`] when it would
/// not, with [`complaint::EXIT_CODE`] for a wrong command line.
pub fn run(args: CheckArgs) -> ExitCode {
    match check(&args).and_then(|report| print(&report, args.json).map(|()| report.works())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(complaint::FAILED),
        Err(error) => complaint::input(Err(error)),
    }
}

fn check(args: &CheckArgs) -> Result<Report> {
    let mut agent = args.agent.clone();
    let name = config::node_name(agent.node_name.take().as_deref());
    agent.node_name = Some(name.as_deref().unwrap_or(NAMELESS).to_owned());
    let config = Config::new(agent)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut requirements = vec![
        node::version(),
        node::capabilities(),
        node::pins(&config.kernel),
    ];
    requirements.extend(runtime.block_on(of_kernel(&config)));
    requirements.push(node::ports(&config.kernel));
    requirements.push(node::listeners(&config));
    requirements.push(cluster::networks_file(config.networks_file.as_deref()));
    requirements.extend(match name {
        Ok(_) => runtime.block_on(cluster::conditions(&config)),
        Err(error) => vec![node::nameless(&format!("{error:#}"))],
    });
    // What hangs in a file or a mount is left behind.
    runtime.shutdown_background();
    Ok(Report { requirements })
}

async fn of_kernel(config: &Config) -> Vec<Requirement> {
    let memory = kernel::memory(&config.kernel.plan, config.max_series);
    let (programs, mode) = kernel::programs(&config.kernel, config.attach);
    let mut found = vec![
        memory,
        programs,
        kernel::attach(mode.as_ref(), config.attach),
    ];
    found.push(kernel::connections(config.kernel.methods));
    found.push(kernel::grace_period());
    let mode = mode.ok();
    found.extend(hooks::on_interfaces(config.names.clone(), mode).await);
    found.push(kernel::cgroups(&config.cgroups));
    found.push(cni::bandwidth(&config.cni, mode));
    found
}

fn print(report: &Report, json: bool) -> Result<()> {
    let text = if json { report.json()? } else { report.table() };
    output::print(&text)
}
