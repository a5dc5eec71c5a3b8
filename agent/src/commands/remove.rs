//! `zonemeter remove`: takes off this node what agents leave there so that counting goes on without
//! them. Others' programs and the clsact qdisc stay.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use zonemeter_attach::remove;
use zonemeter_cluster::objects::ObjectName;
use zonemeter_datapath::pins::{InUse, Pinned, Pins};
use zonemeter_inspect::client;
use zonemeter_io::output;
use zonemeter_state::StateDir;

use crate::{args::PinDir, commands::check::node};

mod everywhere;

/// How often a lock is tried.
const RETRY: Duration = Duration::from_millis(200);

/// Flags of `zonemeter remove`.
#[derive(Clone, Debug, Args)]
pub struct RemoveArgs {
    /// What agents on this node were started with.
    #[command(flatten)]
    pub pins: PinDir,

    /// Remove the totals that agents kept there, too, and the directory if it is empty then
    #[arg(long, value_name = "PATH")]
    pub state_dir: Option<PathBuf>,

    /// How long to wait for an agent that still runs, or with --await for the nodes
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = patience)]
    pub patience: Duration,

    /// Remove nothing and run until SIGTERM: what the container of a DaemonSet has to do once its
    /// init container has removed
    #[arg(long, conflicts_with_all = ["state_dir", "patience", "wait_for"])]
    pub idle: bool,

    /// Remove nothing here and wait until the pods of this DaemonSet are ready on every node
    #[arg(
        long = "await",
        value_name = "NAMESPACE/NAME",
        conflicts_with = "state_dir"
    )]
    pub wait_for: Option<ObjectName>,
}

/// The command.
///
/// # Errors
/// One line where an agent still runs, or something cannot be removed.
pub fn run(args: &RemoveArgs) -> Result<()> {
    if args.idle {
        return client::run(async {
            signal(SignalKind::terminate())?.recv().await;
            Ok(())
        });
    }
    if let Some(daemon_set) = &args.wait_for {
        return client::run(everywhere::wait(daemon_set, args.patience));
    }
    let deadline = Instant::now() + args.patience;
    // Filters of clsact are not pinned: the lock keeps us from taking those of a running agent.
    let pins = once_free(deadline, || pins(&args.pins.pin_dir))?;
    let state = once_free(deadline, || state(args.state_dir.as_deref()))?;
    let control_maps = pins.as_ref().map(Pins::control_maps).transpose()?;
    let filters = remove::filters(&control_maps.unwrap_or_default())?;
    let Pinned { links, maps } = match pins {
        Some(pins) => pins.remove()?,
        None => Pinned::default(),
    };
    let files = state.map_or(Ok(0), StateDir::remove)?;
    let kept = match args.state_dir {
        Some(_) => format!(", {files} files"),
        None => String::new(),
    };
    output::print(&match links + maps + filters + files {
        0 => nothing(&args.pins.pin_dir),
        _ => format!("removed {links} links, {maps} maps, {filters} filters{kept}\n"),
    })
}

/// Asks until the answer is no longer that an agent runs, or time is over.
fn once_free<T>(deadline: Instant, ask: impl Fn() -> Result<Locked<T>>) -> Result<Option<T>> {
    loop {
        match ask()? {
            Locked::Mine(it) => return Ok(Some(it)),
            Locked::Absent => return Ok(None),
            Locked::Busy(line) if Instant::now() >= deadline => bail!(line),
            Locked::Busy(_) => thread::sleep(RETRY),
        }
    }
}

/// What became of the attempt to lock a directory.
enum Locked<T> {
    Mine(T),
    Absent,
    /// An agent has it: a line about that.
    Busy(String),
}

fn nothing(pin_dir: &Path) -> String {
    let pins = match pin_dir.as_os_str().is_empty() {
        true => String::new(),
        false => format!("nothing is pinned at {}, ", pin_dir.display()),
    };
    format!("nothing to remove: {pins}no filter is attached\n")
}

/// That nothing is there means something only where the agent would have pinned it: `ip netns exec`
/// mounts /sys anew, and the bpf file system of the node is hidden behind that.
fn check_file_system(directory: &Path) -> Result<()> {
    let found = node::file_system(directory)?;
    ensure!(
        found.kind == "bpf",
        "--pin-dir: {} is {} here and no bpf file system, so what an agent pinned cannot be seen: \
         in a network namespace run `nsenter --net=/run/netns/NAME zonemeter remove` (`ip netns \
         exec` mounts /sys anew), or give an empty --pin-dir to remove filters alone",
        found.folder.display(),
        found.kind
    );
    Ok(())
}

fn pins(directory: &Path) -> Result<Locked<Pins>> {
    let shown = directory.display();
    if directory.as_os_str().is_empty() {
        return Ok(Locked::Absent);
    }
    let exists = directory.try_exists();
    let exists = exists.with_context(|| format!("--pin-dir: {shown}"))?;
    check_file_system(directory)?;
    if !exists {
        return Ok(Locked::Absent);
    }
    Ok(match Pins::lock(directory)? {
        Ok(pins) => Locked::Mine(pins),
        Err(InUse) => Locked::Busy(format!(
            "--pin-dir: an agent uses {shown}: stop it first, it would go on"
        )),
    })
}

fn state(directory: Option<&Path>) -> Result<Locked<StateDir>> {
    let Some(directory) = directory else {
        return Ok(Locked::Absent);
    };
    let shown = directory.display();
    let is_there = directory.try_exists();
    if !is_there.with_context(|| format!("--state-dir: {shown}"))? {
        return Ok(Locked::Absent);
    }
    let state = StateDir::open(directory)?;
    Ok(match state.try_lock()? {
        true => Locked::Mine(state),
        false => Locked::Busy(format!("--state-dir: an agent uses {shown}: stop it first")),
    })
}

fn patience(text: &str) -> Result<Duration, String> {
    let accepted = "a duration up to 1h, like 30s or 5m";
    let given = humantime::parse_duration(text).ok();
    let given = given.filter(|patience| *patience <= Duration::from_secs(3600));
    given.ok_or_else(|| accepted.to_owned())
}
