//! The command line as it is typed: every flag of the contract, each value checked by itself.
//! What values mean together is [`crate::config`]'s business.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{NonEmptyStringValueParser, OsStringValueParser, TypedValueParser as _},
};
use glob::Pattern;
use serde::Serialize;
use zonemeter_datapath::memory::{MOST_FLOWS, Size};
use zonemeter_inspect::{explain::ExplainArgs, top::TopArgs};
use zonemeter_io::number;
use zonemeter_networks::prices::PricesArgs;

use crate::{
    commands::{networks::NetworksArgs, remove::RemoveArgs, serve::ServeArgs},
    listen::Address,
};

pub mod complaint;
pub mod in_force;

/// Counts, exactly, which workload sends how many bytes across zones, inside the node, inside
/// the zone and to the internet.
#[derive(Debug, Parser)]
#[command(name = "zonemeter", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Attach, count, resolve, serve: the process of the DaemonSet
    Agent(Box<AgentArgs>),
    /// Show who speaks with whom and what it costs, live
    Top(Box<TopArgs>),
    /// Serve the page and its JSON for the whole cluster, out of Prometheus
    Serve(Box<ServeArgs>),
    /// Say why an address, a name or a Service gets its scope, and what a GB costs
    Explain(ExplainArgs),
    /// Write a networks file from what AWS says of the VPC
    Networks(NetworksArgs),
    /// Write a rules file of prices out of AWS's price list
    Prices(PricesArgs),
    /// Say whether the agent would work on this node, and what it lacks
    Check(Box<CheckArgs>),
    /// Detach the programs and remove the pinned maps that a stopped agent left on this node
    Remove(RemoveArgs),
}

impl Command {
    /// Whether lines of a log may be written: they would lie across the table of `top`.
    pub fn has_log(&self) -> bool {
        !matches!(self, Self::Top(_))
    }
}

/// Flags of `zonemeter check`: those of the agent, because they decide what it needs.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// What the agent would be started with.
    #[command(flatten)]
    pub agent: AgentArgs,

    /// Print JSON in place of a table
    #[arg(long)]
    pub json: bool,
}

/// Flags of `zonemeter agent`; each is also read from `ZONEMETER_<FLAG>`. Written as JSON
/// ([`in_force`]) each has its flag's name and its value as it may be typed.
#[derive(Clone, Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AgentArgs {
    /// Node object this agent runs on [default: $NODE_NAME]
    #[arg(long, env = "ZONEMETER_NODE_NAME", value_parser = NonEmptyStringValueParser::new())]
    #[serde(skip)]
    pub node_name: Option<String>,

    /// How to reach the Kubernetes API [default: in-cluster account, else $KUBECONFIG]
    #[arg(long, env = "ZONEMETER_KUBECONFIG", value_name = "PATH")]
    #[serde(serialize_with = "in_force::path_if_given")]
    pub kubeconfig: Option<PathBuf>,

    /// Kubernetes List of nodes, pods, services and endpointslices to use in place of the API
    #[arg(long, env = "ZONEMETER_CLUSTER_FILE", value_name = "PATH")]
    #[serde(serialize_with = "in_force::path_if_given")]
    pub cluster_file: Option<PathBuf>,

    /// Names, zones and scopes of address ranges that are not pods: subnets, peered networks, AWS services
    #[arg(long, env = "ZONEMETER_NETWORKS_FILE", value_name = "PATH")]
    #[serde(serialize_with = "in_force::path_if_given")]
    pub networks_file: Option<PathBuf>,

    /// How old the networks file may be, by its own asOf, before the agent says so
    #[arg(long, env = "ZONEMETER_NETWORKS_MAX_AGE", value_name = "DURATION",
          default_value = "1day", value_parser = age)]
    #[serde(serialize_with = "in_force::duration")]
    pub networks_max_age: Duration,
    /// What a gigabyte costs: a rules file like deploy/prometheus/zonemeter.prices.yaml, for the
    /// dollars of the page and of top [default: none, no dollars]
    #[arg(long, env = "ZONEMETER_PRICES_FILE", value_name = "PATH")]
    #[serde(serialize_with = "in_force::path_if_given")]
    pub prices_file: Option<PathBuf>,

    /// With whose address IPv4 packets of pods leave the VPC, for the label via; auto: as the pod
    /// aws-node of this node says, and with the node's where there is none
    #[arg(long, env = "ZONEMETER_SOURCE_NAT", value_enum, default_value = "auto")]
    #[serde(serialize_with = "in_force::choice")]
    pub source_nat: SourceNat,

    /// Host-side interfaces to count on, repeatable [default: pod veths of the AWS VPC CNI]
    #[arg(
        long = "interface",
        env = "ZONEMETER_INTERFACE",
        value_name = "GLOB",
        value_delimiter = ',',
        value_parser = pattern
    )]
    #[serde(rename = "interface", serialize_with = "in_force::patterns")]
    pub interfaces: Vec<Pattern>,

    /// Interfaces by which packets leave the node, repeatable [default: its network cards]
    #[arg(
        long = "uplink",
        env = "ZONEMETER_UPLINK",
        value_name = "GLOB",
        value_delimiter = ',',
        value_parser = pattern
    )]
    #[serde(rename = "uplink", serialize_with = "in_force::patterns")]
    pub uplinks: Vec<Pattern>,

    /// Where the node's cgroups are, by which its own sockets are named
    #[arg(
        long,
        env = "ZONEMETER_CGROUP_DIR",
        value_name = "PATH",
        default_value = "/sys/fs/cgroup",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    #[serde(serialize_with = "in_force::path")]
    pub cgroup_dir: PathBuf,

    /// Serves /metrics, /livez and /readyz: an address and port ([::] is IPv4 too), or
    /// unix:/path
    #[arg(
        long,
        env = "ZONEMETER_LISTEN",
        value_name = "ADDR",
        default_value = "[::]:9464"
    )]
    #[serde(serialize_with = "in_force::text")]
    pub listen: Address,

    /// Serves the debug page and its JSON; loopback only
    #[arg(long, env = "ZONEMETER_DEBUG_LISTEN", value_name = "ADDR",
          default_value = "127.0.0.1:9465", value_parser = loopback)]
    pub debug_listen: SocketAddr,

    /// How often kernel maps are drained
    #[arg(long, env = "ZONEMETER_INTERVAL", value_name = "DURATION", default_value = "5s",
          value_parser = interval)]
    #[serde(serialize_with = "in_force::duration")]
    pub interval: Duration,

    /// How to attach; auto takes TCX where the kernel has it
    #[arg(long, env = "ZONEMETER_ATTACH", value_enum, default_value = "auto")]
    #[serde(serialize_with = "in_force::choice")]
    pub attach: Attach,

    /// Where links and maps are pinned.
    #[command(flatten)]
    #[serde(flatten)]
    pub pins: PinDir,

    /// Where the CNI's chain is configured: clsact is added to no interface while the bandwidth
    /// plugin is in it
    #[arg(
        long,
        env = "ZONEMETER_CNI_DIR",
        value_name = "PATH",
        default_value = "/etc/cni/net.d",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    #[serde(serialize_with = "in_force::path")]
    pub cni_dir: PathBuf,

    /// Where totals are kept over restarts [default: none, counters start at 0]
    #[arg(long, env = "ZONEMETER_STATE_DIR", value_name = "PATH")]
    #[serde(serialize_with = "in_force::path_if_given")]
    pub state_dir: Option<PathBuf>,

    /// Budget of all kernel maps together, whatever the number of CPUs
    #[arg(long, env = "ZONEMETER_MAP_MEMORY", value_name = "SIZE", default_value = "64MiB",
          value_parser = size)]
    #[serde(serialize_with = "in_force::text")]
    pub map_memory: Size,

    /// Flow map capacity [default: from --map-memory]
    #[arg(long, env = "ZONEMETER_MAX_FLOWS", value_name = "N",
          value_parser = number::<u32>(1, u64::from(MOST_FLOWS)))]
    #[serde(skip)]
    pub max_flows: Option<u32>,

    /// Ceiling of traffic series this agent exposes
    #[arg(long, env = "ZONEMETER_MAX_SERIES", value_name = "N", default_value = "20000",
          value_parser = number::<u32>(100, 10_000_000))]
    pub max_series: u32,

    /// Which traffic has series of its own: full, workloads, pods or node
    #[arg(
        long,
        env = "ZONEMETER_DETAIL",
        value_enum,
        default_value = "full",
        hide_possible_values = true
    )]
    #[serde(serialize_with = "in_force::choice")]
    pub detail: Detail,

    /// service folds a connection's ephemeral port and shows one of a pair's ports, full keeps both
    /// ports of each connection
    #[arg(
        long,
        env = "ZONEMETER_FLOW_PORTS",
        value_enum,
        default_value = "service"
    )]
    #[serde(serialize_with = "in_force::choice")]
    pub flow_ports: FlowPorts,

    /// Ways to name the backend behind a Service, tried in this order: packet, conntrack-table,
    /// endpoint-slices
    #[arg(
        long,
        env = "ZONEMETER_NAME_BACKENDS_BY",
        value_enum,
        value_delimiter = ',',
        default_value = "packet,conntrack-table,endpoint-slices",
        hide_possible_values = true
    )]
    #[serde(serialize_with = "in_force::choices")]
    pub name_backends_by: Vec<NameBackendsBy>,
}

/// `--name-backends-by`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NameBackendsBy {
    /// The connection that packets to the pod carry.
    Packet,
    /// Questions to the kernel's connection table.
    ConntrackTable,
    /// Ready endpoints that all lie in one zone.
    EndpointSlices,
}

/// `--pin-dir`, which `agent` and `remove` must agree on.
#[derive(Clone, Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PinDir {
    /// Where links and maps are pinned; empty pins nothing
    #[arg(
        long,
        env = "ZONEMETER_PIN_DIR",
        value_name = "PATH",
        default_value = "/sys/fs/bpf/zonemeter",
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    #[serde(serialize_with = "in_force::path")]
    pub pin_dir: PathBuf,
}

/// `--attach`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attach {
    /// TCX where the kernel has it, clsact otherwise.
    Auto,
    /// TCX links only: Linux 6.6 and newer.
    Tcx,
    /// Filters of the clsact qdisc.
    Tc,
}

/// `--source-nat`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SourceNat {
    /// As the VPC CNI's own pod says.
    Auto,
    /// With the node's.
    Node,
    /// With their own.
    Pod,
}

/// `--detail`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Detail {
    /// The pod family and the workload family.
    Full,
    /// The workload family; pods together.
    Workloads,
    /// The pod family.
    Pods,
    /// The node as a whole, by scope and zone.
    Node,
}

/// `--flow-ports`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FlowPorts {
    /// The server's port is shown, the first where a pair has several; the ephemeral one is folded.
    Service,
    /// Both ports are kept.
    Full,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let accepted = "a loopback address and port, like 127.0.0.1:9465 or [::1]:9465";
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        _ => Err(accepted.to_owned()),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let accepted = "a duration from 100ms to 10m, like 5s";
    match humantime::parse_duration(text) {
        Ok(interval)
            if (Duration::from_millis(100)..=Duration::from_secs(600)).contains(&interval) =>
        {
            Ok(interval)
        }
        _ => Err(accepted.to_owned()),
    }
}

fn age(text: &str) -> Result<Duration, String> {
    let age = humantime::parse_duration(text).ok();
    age.filter(|age| *age >= Duration::from_secs(60))
        .ok_or_else(|| "a duration of a minute or more, like 1day".to_owned())
}

fn size(text: &str) -> Result<Size, String> {
    let accepted = "a size from 1MiB to 1TiB, like 64MiB, 128Mi, 1GiB or 67108864";
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "Ki" | "KiB" => 10,
        "Mi" | "MiB" => 20,
        "Gi" | "GiB" => 30,
        _ => return Err(accepted.to_owned()),
    };
    let bytes = digits.parse::<u64>().ok();
    bytes
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| (1 << 20..=1 << 40).contains(bytes))
        .map(Size)
        .ok_or_else(|| accepted.to_owned())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    match Pattern::new(text) {
        Ok(pattern) if !text.is_empty() => Ok(pattern),
        _ => Err("a pattern of interface names, like eni* or eni[0-9a-f]*".to_owned()),
    }
}
