//! What is in force, by flag: `/api/config`.

use std::path::Path;

use serde_json::{Value, json};

use super::{AgentArgs, PinDir};
use crate::config::DEFAULT_INTERFACES;

/// Every flag of `agent` without its dashes, and its value after environment and defaults; `null`
/// where there is none. `max_flows` is what follows from `--map-memory` where it is not given.
pub fn by_flag(args: &AgentArgs, node_name: &str, max_flows: u32) -> Value {
    let AgentArgs {
        node_name: _,
        kubeconfig,
        cluster_file,
        networks_file,
        networks_max_age,
        source_nat,
        prices_file,
        interfaces,
        uplinks,
        cgroup_dir,
        listen,
        debug_listen,
        interval,
        attach,
        pins: PinDir { pin_dir },
        cni_dir,
        state_dir,
        map_memory,
        max_flows: _,
        max_series,
        detail,
        flow_ports,
        name_backends_by,
    } = args;
    let mut interfaces: Vec<&str> = interfaces.iter().map(|pattern| pattern.as_str()).collect();
    if interfaces.is_empty() {
        interfaces.extend(DEFAULT_INTERFACES);
    }
    let methods: Vec<String> = name_backends_by.iter().map(value_name).collect();
    json!({
        "node-name": node_name,
        "kubeconfig": path(kubeconfig.as_deref()),
        "cluster-file": path(cluster_file.as_deref()),
        "networks-file": path(networks_file.as_deref()),
        "networks-max-age": humantime::format_duration(*networks_max_age).to_string(),
        "source-nat": value_name(source_nat),
        "prices-file": path(prices_file.as_deref()),
        "interface": interfaces,
        "uplink": uplinks.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>(),
        "cgroup-dir": path(Some(cgroup_dir)),
        "listen": listen.to_string(),
        "debug-listen": debug_listen.to_string(),
        "interval": humantime::format_duration(*interval).to_string(),
        "attach": value_name(attach),
        "pin-dir": path(Some(pin_dir)),
        "cni-dir": path(Some(cni_dir)),
        "state-dir": path(state_dir.as_deref()),
        "map-memory": map_memory.to_string(),
        "max-flows": max_flows,
        "max-series": max_series,
        "detail": value_name(detail),
        "flow-ports": value_name(flow_ports),
        "name-backends-by": methods,
    })
}

fn path(path: Option<&Path>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

/// As it is typed.
fn value_name(value: &impl clap::ValueEnum) -> String {
    let shown = value.to_possible_value();
    shown.map_or(String::new(), |shown| shown.get_name().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn every_command_can_be_read() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_is_there_as_it_was_given() {
        let line = [
            "zonemeter",
            "agent",
            "--interval",
            "250ms",
            "--attach",
            "tc",
        ];
        let Command::Agent(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not the agent")
        };
        let shown = by_flag(&args, "node-1", 65_536);
        let command = Cli::command();
        let agent = command.find_subcommand("agent").unwrap();
        let flags = agent
            .get_arguments()
            .filter_map(|argument| argument.get_long());
        for flag in flags.filter(|flag| !["help", "version"].contains(flag)) {
            assert!(shown.get(flag).is_some(), "{flag}");
        }
        assert_eq!(shown["node-name"], "node-1");
        assert_eq!(shown["interval"], "250ms");
        assert_eq!(shown["attach"], "tc");
        assert_eq!(shown["max-flows"], 65_536);
        assert_eq!(shown["map-memory"], "64MiB");
        assert_eq!(shown["cluster-file"], Value::Null);
        assert_eq!(shown["name-backends-by"][1], "conntrack-table");
    }
}
