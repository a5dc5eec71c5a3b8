//! `zonemeter networks`: turns what AWS says of a VPC into a networks file, so that nobody types
//! address ranges.

use std::time::SystemTime;

use anyhow::Result;
use clap::Args;
use zonemeter_cluster::objects::{self, ObjectName};
use zonemeter_inspect::client;
use zonemeter_io::output;
use zonemeter_networks::Written;

use crate::args::complaint;

/// Flags of `zonemeter networks`.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub struct NetworksArgs {
    /// What AWS says.
    #[command(flatten)]
    pub inputs: zonemeter_networks::NetworksArgs,

    /// Write into the file when this ran (asOf), so that agents say when it has become old
    #[arg(long)]
    pub as_of_now: bool,

    /// Write into the key networks.yaml of this ConfigMap, with the account of the pod that this
    /// runs in, in place of the standard output
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub config_map: Option<ObjectName>,
}

/// The key of the ConfigMap.
const KEY: &str = "networks.yaml";

/// Writes the networks file to the standard output, or into a ConfigMap.
///
/// # Errors
/// As [`zonemeter_networks::write`]; the API refuses the ConfigMap.
pub fn run(args: &NetworksArgs) -> Result<()> {
    let Written { mut text, notes } = zonemeter_networks::write(&args.inputs)?;
    for note in &notes {
        complaint::say(note);
    }
    if args.as_of_now {
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        text += &format!("asOf: {now}\n");
    }
    if let Some(map) = &args.config_map {
        return client::run(async {
            objects::set_config_map(&objects::client().await?, map, KEY, &text).await
        });
    }
    output::print(&text)
}
