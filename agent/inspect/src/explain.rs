//! `zonemeter explain ADDRESS`: why an address gets its scope, as an agent of the node sees it.

use std::{fmt::Write as _, net::IpAddr};

use anyhow::Result;
use clap::Args;
use zonemeter_io::output;
use zonemeter_model::{
    address::{self, ADDRESS},
    text::visible,
};

use crate::{
    client::AgentAt,
    debug::answer::{End, Evidence, Explained},
};

/// Flags of `zonemeter explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// Address to explain
    #[arg(value_name = "ADDRESS", value_parser = address)]
    pub address: IpAddr,

    /// The agent to ask.
    #[command(flatten)]
    pub agent: AgentAt,
}

fn address(text: &str) -> Result<IpAddr, String> {
    address::address(text).ok_or_else(|| ADDRESS.to_owned())
}

/// Asks the agent and prints its answer.
///
/// # Errors
/// As [`Client::get`].
pub async fn run(args: &ExplainArgs) -> Result<()> {
    let path = format!("/api/explain?address={}", args.address);
    let explained: Explained = args.agent.url.get(&path).await?;
    output::print(&text(&explained))
}

/// The answer first, then what it stands on; `*` marks what decides.
fn text(explained: &Explained) -> String {
    let via = match &*explained.via {
        "" => String::new(),
        via => format!(" via {via}"),
    };
    let mut text = format!("{}  {}{via}\n", explained.holder.address, explained.scope);
    for (label, value) in facts(&explained.holder) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {label:<9} {}", visible(&value));
    }
    text.push_str("because (* decides)\n");
    for Evidence {
        source,
        says,
        age_seconds,
        decides,
    } in &explained.evidence
    {
        let mark = if *decides { '*' } else { ' ' };
        let age = age_seconds.map_or("built in".to_owned(), |age| format!("{age:.0} s old"));
        let _ = writeln!(text, "{mark} {source:<14} {} ({age})", visible(says));
    }
    text
}

/// What is known of the holder, by name.
fn facts(holder: &End) -> impl Iterator<Item = (&'static str, String)> {
    let workload = match holder.workload.is_empty() {
        true => String::new(),
        false => format!("{} {}", holder.workload_kind, holder.workload),
    };
    let facts = [
        ("namespace", holder.namespace.clone()),
        ("pod", holder.pod.clone()),
        ("workload", workload),
        ("node", holder.node.clone()),
        ("zone", holder.zone.clone()),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_who_and_why() {
        let evidence = |source: &str, says: &str, age_seconds, decides| Evidence {
            source: source.to_owned(),
            says: says.to_owned(),
            age_seconds,
            decides,
        };
        let explained = Explained {
            scope: "internet".to_owned(),
            via: "nat".to_owned(),
            holder: End {
                namespace: "data".to_owned(),
                pod: "db-0".to_owned(),
                workload: "db".to_owned(),
                workload_kind: "StatefulSet".to_owned(),
                zone: "us-east-2b".to_owned(),
                address: "10.0.2.2".to_owned(),
                ..End::default()
            },
            evidence: vec![
                evidence("Pod", "data/db-0 on node-b", Some(90.2), true),
                evidence("networks_file", "a\u{1b}[2J\nb", None, false),
                evidence("special_range", "10.0.0.0/8 private", None, false),
            ],
        };
        let expected = "\
10.0.2.2  internet via nat
  namespace data
  pod       db-0
  workload  StatefulSet db
  zone      us-east-2b
because (* decides)
* Pod            data/db-0 on node-b (90 s old)
  networks_file  a\\u{1b}[2J\\nb (built in)
  special_range  10.0.0.0/8 private (built in)
";
        assert_eq!(text(&explained), expected);
    }
}
