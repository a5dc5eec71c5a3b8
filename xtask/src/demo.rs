//! `cargo xtask demo`: the whole line on one machine. It raises an EKS-shaped lab, lets
//! workloads talk, and shows for twenty seconds what the agents' `/metrics` say of it.

use std::{
    env,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use zonemeter_lab::{
    Agent, HostGroups, Lab, METRICS_PORT, Metrics, Namespace, agent_binary, interrupt,
};

use crate::{privilege, progress, setup, test};

mod flows;
mod part;
mod prometheus;
mod readme;
mod scene;
mod screen;
mod table;
mod totals;
mod units;
mod verdict;
mod zones;

use screen::Screen;
use totals::Totals;
use verdict::Verdict;

/// The lab's name: what `--end` removes.
const LAB: &str = "demo";
/// How often the table is drawn anew where a person looks on.
const REDRAW_EVERY: Duration = Duration::from_secs(1);
/// How often it is printed where nobody does.
const PRINT_EVERY: Duration = Duration::from_secs(5);

/// Another one for the check of the README, which leaves a kept demo alone.
const README_LAB: &str = "demo-readme";
/// Enough that every flow of the scene has bytes.
const README_SECONDS: u64 = 4;

/// How long, and what stays.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// How long to watch, in seconds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=3600))]
    seconds: u64,
    /// Leave the lab, its agents and its traffic standing afterwards
    #[arg(long, conflicts_with = "end")]
    keep: bool,
    /// Remove what an earlier `--keep` left standing
    #[arg(long)]
    end: bool,
    /// Let a Prometheus scrape the agents, and check that every rule and every query of every
    /// dashboard has data
    #[arg(long, conflicts_with = "end")]
    prometheus: bool,
    /// Draw the dashboards' queries into docs/pictures: drawings of the data, not Grafana
    #[arg(long, requires = "prometheus")]
    draw: bool,
    /// Fail where README.md shows another output; the agent must be built. For `cargo xtask test`
    #[arg(long, hide = true, conflicts_with_all = ["keep", "end", "prometheus"])]
    readme: bool,
    /// One of the demo's own programs, inside a pod; not for people
    #[arg(long, hide = true, value_enum, requires_all = ["namespace", "port"])]
    part: Option<part::Part>,
    #[arg(long, hide = true)]
    namespace: Option<String>,
    #[arg(long, hide = true)]
    port: Option<u16>,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    if let (Some(part), Some(namespace), Some(port)) = (args.part, &args.namespace, args.port) {
        return part.run(namespace, port);
    }
    if args.end {
        return privilege::as_root(&["demo", "--end"], end);
    }
    ensure!(
        !args.prometheus || args.seconds >= prometheus::LEAST_SECONDS,
        "--prometheus needs --seconds {} or more: rates and comparisons need samples",
        prometheus::LEAST_SECONDS
    );
    setup::ensure()?;
    if args.prometheus {
        prometheus::prepare()?;
    }
    if !args.readme {
        progress::step("building the agent", test::build_agent)?;
    }
    privilege::as_root(&again(args), || show(args))
}

/// A short demo with the agent that is built; fails where README.md shows another output.
///
/// # Errors
/// As [`run`].
pub(crate) fn check_readme() -> Result<()> {
    run(&Args {
        seconds: README_SECONDS,
        readme: true,
        ..Args::default()
    })
}

fn end() -> Result<()> {
    progress::step("removing the demo's lab", || {
        zonemeter_lab::remove(LAB)?;
        // Whose value goes removes it.
        scene::groups(LAB).map(drop)
    })
}

/// The arguments with which root is asked to do the same.
fn again(args: &Args) -> Vec<String> {
    let mut again = vec![
        "demo".to_owned(),
        "--seconds".to_owned(),
        args.seconds.to_string(),
    ];
    let flags = [
        ("--keep", args.keep),
        ("--prometheus", args.prometheus),
        ("--draw", args.draw),
        ("--readme", args.readme),
    ];
    let given = flags.into_iter().filter(|(_, given)| *given);
    again.extend(given.map(|(flag, _)| flag.to_owned()));
    again
}

fn show(args: &Args) -> Result<()> {
    interrupt::watch()?;
    let mut lab = progress::quiet_step("raising the lab: 3 nodes in 2 zones, an internet", || {
        let name = if args.readme { README_LAB } else { LAB };
        let mut lab = Lab::raise(scene::plan(name))?;
        scene::add_service(&mut lab)?;
        Ok(lab)
    })?;
    let groups = scene::groups(&lab.name())?;
    let result = perform(&lab, &groups, args);
    let interrupted = interrupt::interrupted();
    if args.keep && !interrupted && result.is_ok() {
        lab.keep();
        groups.keep();
        return say_what_stays(&lab);
    }
    progress::quiet_step("removing the lab", || lab.end())?;
    match result {
        Err(_) | Ok(()) if interrupted => {
            progress::say("interrupted; nothing was left behind");
            std::process::exit(130)
        }
        other => other,
    }
}

/// Agents, traffic, the table, the totals.
fn perform(lab: &Lab, groups: &HostGroups, args: &Args) -> Result<()> {
    scene::name_networks(lab)?;
    let mut agents =
        progress::quiet_step("starting one agent on each node", || start(lab, groups))?;
    for agent in &agents {
        progress::say(&format!(
            "    {} in {}: curl {}",
            agent.node().name(),
            agent.node().zone().name(),
            agent.url()
        ));
    }
    let prometheus = match args.prometheus {
        true => Some(prometheus::Watching::start(lab, &agents)?),
        false => None,
    };
    let mut traffic = scene::Traffic::start(lab, groups)?;
    let (verdict, mut shown) = watch(&agents, Duration::from_secs(args.seconds))?;
    if interrupt::interrupted() {
        return Ok(());
    }
    if let Some(mut prometheus) = prometheus {
        prometheus.check(lab, args.seconds, args.draw)?;
        if args.keep {
            prometheus.keep();
        }
    }
    // Sums can be compared only while nothing moves.
    traffic.stop()?;
    shown.extend(report(lab, &mut agents, &verdict)?);
    if args.readme {
        readme::compare(&shown)?;
    }
    if args.keep {
        scene::Traffic::start(lab, groups)?.keep();
        agents.iter_mut().for_each(Agent::keep);
    }
    Ok(())
}

fn start(lab: &Lab, groups: &HostGroups) -> Result<Vec<Agent>> {
    lab.nodes()
        .iter()
        .map(|node| {
            let mut plan = lab.agent(node.name())?.flag("--interval", "500ms");
            if node.name() == scene::PULLING {
                // The lab's network cards are none.
                plan = plan.flag("--uplink", "eth*");
                plan = plan.flag("--cgroup-dir", groups.directory());
            }
            plan.start_ready()
                .with_context(|| format!("the agent of node {}", node.name()))
        })
        .collect()
}

/// Shows the table until the time is over; what the time cost, and the last table.
fn watch(agents: &[Agent], duration: Duration) -> Result<(Verdict, Vec<String>)> {
    let every = if progress::is_terminal() {
        REDRAW_EVERY
    } else {
        PRINT_EVERY
    };
    let mut screen = Screen::new(progress::is_terminal());
    let mut rates = flows::Rates::default();
    let started = Instant::now();
    let mut next = started;
    let mut first = None;
    loop {
        let scrapes = scrape(agents)?;
        let (now, charged) = (started.elapsed(), verdict::charged(&scrapes));
        let (since, before) = first.get_or_insert_with(|| (now, charged.clone()));
        let rows = rates.next(flows::read(&scrapes), now);
        let table = table::render(&rows, now, duration);
        screen.draw(&table);
        if started.elapsed() >= duration || interrupt::interrupted() {
            let verdict = Verdict::new(before, charged, now - *since, rows);
            return Ok((verdict, table));
        }
        next += every;
        wait_until(next.min(started + duration));
    }
}

/// Each scrape is checked: the sums of the contract hold, or the demo ends with an error.
fn scrape(agents: &[Agent]) -> Result<Vec<Metrics>> {
    agents.iter().map(Agent::scrape).collect()
}

fn wait_until(time: Instant) {
    while Instant::now() < time && !interrupt::interrupted() {
        thread::sleep(Duration::from_millis(50));
    }
}

/// Says what it adds up to; what was said.
fn report(lab: &Lab, agents: &mut [Agent], verdict: &Verdict) -> Result<Vec<String>> {
    let settle = || {
        agents
            .iter_mut()
            .map(Agent::settled)
            .collect::<Result<Vec<_>>>()
    };
    let scrapes = progress::quiet_step("draining what is left", settle)?;
    let totals = Totals::read(&scrapes, &scene::wire_truth(lab)?);
    let mut lines = totals.render();
    lines.extend(verdict.render());
    lines.iter().for_each(|line| progress::say(line));
    Ok(lines)
}

/// Every line that is a command can be pasted.
fn say_what_stays(lab: &Lab) -> Result<()> {
    progress::say("\nthe lab, its agents and its traffic stay; as root, try:");
    for line in commands(lab)? {
        progress::say(&format!("  {line}"));
    }
    progress::say("enter a node or a pod (not by `ip netns exec`, which mounts another /sys):");
    let nodes = lab.nodes().iter().map(|node| {
        let name = format!("node {}", node.name());
        (node.namespace(), name)
    });
    let pods = lab
        .pods()
        .iter()
        .map(|pod| (pod.namespace(), pod.address().to_string()));
    for (namespace, name) in nodes.chain(pods) {
        progress::say(&format!("  {} # {name}", enter(namespace)));
    }
    progress::say(&format!("files: {}", lab.directory().display()));
    progress::say("end it with: cargo xtask demo --end");
    Ok(())
}

/// Metrics of every node; page, `top` and `explain` of the first one.
fn commands(lab: &Lab) -> Result<Vec<String>> {
    let (agent, here) = (agent_binary()?, env::current_dir()?);
    let agent = agent.strip_prefix(here).unwrap_or(&agent).display();
    let mut lines: Vec<String> = lab
        .nodes()
        .iter()
        .map(|node| {
            let address = SocketAddr::new(node.management_address(), METRICS_PORT);
            format!("curl http://{address}/metrics # node {}", node.name())
        })
        .collect();
    let node = lab.nodes().first().context("a lab without nodes")?;
    let pods = lab.pods();
    let elsewhere = pods.iter().find(|pod| pod.node().zone() != node.zone());
    let address = elsewhere
        .context("a lab without a pod in another zone")?
        .address();
    let inside = enter(node.namespace());
    let page = part::forward_page(node.namespace())?;
    lines.push(format!(
        "curl http://{page}/ # the page of node {}: open it in a browser here",
        node.name()
    ));
    lines.push(format!("{inside} {agent} top"));
    lines.push(format!("{inside} {agent} explain {address}"));
    Ok(lines)
}

fn enter(namespace: &Namespace) -> String {
    format!("nsenter --net=/run/netns/{}", namespace.name())
}
