//! What the command line means: checked as a whole, in the terms of the packages.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use glob::Pattern;
use zonemeter_account::Detail;
use zonemeter_attach::{cgroups::Hierarchy, links::InterfaceNames};
use zonemeter_cluster::Source;
use zonemeter_datapath::{
    memory::{Machine, Plan},
    translate::Methods,
};
use zonemeter_model::{cluster, traffic::AttachMode};

use crate::{
    args::{self, AgentArgs, Attach, FlowPorts, NameBackendsBy, SourceNat, in_force},
    cni::Chain,
    listen::Address,
};

/// Where the kernel keeps the range of ephemeral ports, as `lowest<tab>highest`
/// (`Documentation/networking/ip-sysctl.rst`).
const EPHEMERAL_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Pod veths of the AWS VPC CNI: `eni` (or `vlan` for security groups for pods) and 11 hex digits
/// of a hash (amazon-vpc-cni-k8s, pkg/networkutils/names.go). Not `vlan.eth.<id>`, which carries
/// the same bytes once more.
pub const DEFAULT_INTERFACES: [&str; 2] = [
    "eni[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]",
    "vlan[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]",
];

/// Where they lead to the same pods as those: IPv4 of a pod of an IPv6 cluster, or the other way
/// round (cmd/egress-cni-plugin there; the name is containernetworking's, pkg/ip.RandomVethName).
const EGRESS_INTERFACES: &str =
    "veth[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]";

/// Everything that the agent was told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of this agent's Node object.
    pub node_name: Arc<str>,
    /// Where the cluster's objects come from.
    pub cluster: Source,
    /// `--networks-file`
    pub networks_file: Option<PathBuf>,
    /// `--source-nat`; `None`: as the CNI says.
    pub source_nat: Option<cluster::SourceNat>,
    /// `--networks-max-age`
    pub networks_max_age: Duration,
    /// `--prices-file`
    pub prices_file: Option<PathBuf>,
    /// Interfaces to count on.
    pub names: InterfaceNames,
    /// `--listen`
    pub listen: Address,
    /// `--debug-listen`
    pub debug_listen: Address,
    /// `--interval`
    pub interval: Duration,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
    /// `--max-series`
    pub max_series: usize,
    /// `--detail`
    pub detail: Detail,
    /// Take a Service's zone from its endpoints where its backend is not known.
    pub place_services: bool,
    /// What `--cni-dir` says of the bandwidth plugin.
    pub cni: Chain,
    /// What cgroups `--cgroup-dir` has.
    pub cgroups: Hierarchy,
    /// `--attach`; `None` takes TCX where the kernel has it.
    pub attach: Option<AttachMode>,
    /// What the kernel programs are loaded with.
    pub kernel: zonemeter_datapath::Settings,
    /// All of it by flag, as `/api/config` shows it.
    pub by_flag: serde_json::Value,
}

impl Config {
    /// Checks what flags mean together.
    ///
    /// # Errors
    /// One line that names the flag, the value and what is accepted.
    pub fn new(args: AgentArgs) -> Result<Self> {
        let node_name = node_name(args.node_name.as_deref())?;
        let cni = Chain::read(&args.cni_dir);
        let cgroups = Hierarchy::find(&args.cgroup_dir);
        let plan = Plan::new(args.map_memory, args.max_flows, Machine::this()?)?;
        Ok(Self {
            by_flag: in_force::by_flag(&args, &node_name, plan.capacity.flows())?,
            cluster: cluster_source(args.cluster_file, args.kubeconfig, &node_name)?,
            node_name,
            networks_file: args.networks_file,
            networks_max_age: args.networks_max_age,
            source_nat: source_nat(args.source_nat),
            names: names(args.interfaces)?.with_uplinks(args.uplinks),
            prices_file: args.prices_file,
            listen: args.listen,
            debug_listen: Address::Tcp(args.debug_listen),
            interval: args.interval,
            state_dir: args.state_dir,
            max_series: args.max_series as usize,
            detail: detail(args.detail),
            place_services: args
                .name_backends_by
                .contains(&NameBackendsBy::EndpointSlices),
            attach: match args.attach {
                Attach::Auto => None,
                Attach::Tcx => Some(AttachMode::Tcx),
                Attach::Tc => Some(AttachMode::Tc),
            },
            kernel: zonemeter_datapath::Settings {
                plan,
                fold_ports: args.flow_ports == FlowPorts::Service,
                ephemeral_ports: ephemeral_ports(Path::new(EPHEMERAL_PORTS))?,
                methods: Methods {
                    packet: args.name_backends_by.contains(&NameBackendsBy::Packet),
                    table: args
                        .name_backends_by
                        .contains(&NameBackendsBy::ConntrackTable),
                },
                has_cgroup2: cgroups.root().is_some(),
                pin_dir: Some(args.pins.pin_dir).filter(|path| !path.as_os_str().is_empty()),
            },
            cgroups,
            cni,
        })
    }
}

pub(crate) fn node_name(flag: Option<&str>) -> Result<Arc<str>> {
    flag.map(str::to_owned)
        .or_else(|| env::var("NODE_NAME").ok())
        .filter(|name| !name.is_empty())
        .map(Arc::from)
        .context("--node-name: not given and $NODE_NAME is empty: give the name of the Node object")
}

fn source_nat(flag: SourceNat) -> Option<cluster::SourceNat> {
    let fixed = |external| cluster::SourceNat {
        external,
        excluded: Vec::new(),
    };
    match flag {
        SourceNat::Auto => None,
        SourceNat::Node => Some(fixed(false)),
        SourceNat::Pod => Some(fixed(true)),
    }
}

fn detail(flag: args::Detail) -> Detail {
    Detail {
        pods: matches!(flag, args::Detail::Full | args::Detail::Pods),
        workloads: matches!(flag, args::Detail::Full | args::Detail::Workloads),
    }
}

fn cluster_source(
    file: Option<PathBuf>,
    kubeconfig: Option<PathBuf>,
    node_name: &str,
) -> Result<Source> {
    let node = node_name.to_owned();
    match (file, kubeconfig) {
        (Some(file), Some(kubeconfig)) => bail!(
            "--cluster-file: {} cannot be used together with --kubeconfig {}: give one of them",
            file.display(),
            kubeconfig.display()
        ),
        (Some(file), None) => Ok(Source::File(file)),
        (None, kubeconfig) => Ok(Source::Api { kubeconfig, node }),
    }
}

fn names(patterns: Vec<Pattern>) -> Result<InterfaceNames> {
    if !patterns.is_empty() {
        return Ok(InterfaceNames::new(patterns, Vec::new()));
    }
    let defaults = DEFAULT_INTERFACES.map(Pattern::new);
    let egress = Pattern::new(EGRESS_INTERFACES)?;
    Ok(InterfaceNames::new(
        defaults.into_iter().collect::<Result<_, _>>()?,
        vec![egress],
    ))
}

fn ephemeral_ports(path: &Path) -> Result<[u16; 2]> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let ports: Vec<u16> = text.split_whitespace().flat_map(str::parse).collect();
    match ports[..] {
        [low, high] => Ok([low, high]),
        _ => bail!("{}: {text:?} is not a range of two ports", path.display()),
    }
}
