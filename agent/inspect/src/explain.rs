//! `zonemeter explain WHAT`: why an address, pod, workload, Service, node, network, unit or host name
//! gets its scope, as an agent of the node sees it.

use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use zonemeter_io::output;
use zonemeter_model::{
    address::{self, ADDRESS},
    text::visible,
};

use crate::{
    client::{AgentAt, Client},
    debug::answer::{End, Evidence, Explained, Explanations, GigabytePrice, Match},
};

/// Addresses of a host name that are explained.
const MOST_ADDRESSES: usize = 10;

/// Flags of `zonemeter explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// An address, a pod, workload or Service like shop/web or web, a node, a unit of the node like
    /// containerd.service, a network of the networks file, or a host name
    #[arg(value_name = "WHAT", value_parser = what)]
    pub what: String,

    /// Print JSON in place of text
    #[arg(long)]
    pub json: bool,

    /// The agent to ask.
    #[command(flatten)]
    pub agent: AgentAt,
}

/// Anything but what is meant as an address and is none.
fn what(text: &str) -> Result<String, String> {
    let digits = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let is_meant = text.contains(':') || text.bytes().all(digits);
    match address::address(text) {
        None if is_meant => Err(ADDRESS.to_owned()),
        Some(_) | None => Ok(text.to_owned()),
    }
}

/// Asks the agent and prints its answer.
///
/// # Errors
/// As [`Client::get`], and where nothing has that name.
pub async fn run(args: &ExplainArgs) -> Result<()> {
    let mut explained = ask(&args.agent.url, &args.what).await?;
    if explained.matches.is_empty() {
        explained.matches = host(&args.agent.url, &args.what)
            .await
            .with_context(|| unknown(&explained))?;
        explained.total = explained.matches.len();
    }
    match args.json {
        true => output::print(&format!("{}\n", serde_json::to_string_pretty(&explained)?)),
        false => output::print(&text(&explained)),
    }
}

pub(crate) async fn ask(agent: &Client, what: &str) -> Result<Explanations> {
    agent
        .get(&format!("/api/explain?what={}", encoded(what)))
        .await
}

/// A value as a URL's query has it (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut query, byte| {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) => {
                query.push(char::from(byte));
            }
            byte => {
                // Writing to a String cannot fail.
                let _ = write!(query, "%{byte:02X}");
            }
        }
        query
    })
}

fn unknown(asked: &Explanations) -> String {
    format!(
        "{}: the agent of node {} knows no pod, workload, Service, node, network or unit of \
         this name",
        visible(&asked.what),
        asked.node
    )
}

/// The addresses that DNS tells here for a host name, explained.
async fn host(agent: &Client, name: &str) -> Result<Vec<Match>> {
    if name.contains('/') {
        bail!("names with a slash are namespace/name");
    }
    let found = tokio::net::lookup_host((name, 0)).await;
    let found = found.context("and DNS no address")?;
    let addresses: BTreeSet<IpAddr> = found.map(|socket| socket.ip().to_canonical()).collect();
    let mut explained = Vec::new();
    for address in addresses.iter().take(MOST_ADDRESSES) {
        let answer = ask(agent, &address.to_string()).await?;
        let matches = answer.matches.into_iter();
        explained.extend(matches.flat_map(|one| one.explained));
    }
    Ok(vec![Match {
        kind: "Host".to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
        addresses: addresses.len(),
        explained,
    }])
}

/// Whose view it is, then each thing and its addresses: the answer first, then what it stands on.
pub(crate) fn text(explained: &Explanations) -> String {
    let zone = match explained.zone.is_empty() {
        true => "zone not known".to_owned(),
        false => format!("zone {}", explained.zone),
    };
    let mut text = format!("seen from node {}, {zone}\n", explained.node);
    for thing in &explained.matches {
        if !thing.name.is_empty() {
            text += &heading(thing);
        }
        for one in &thing.explained {
            text += &address(one);
        }
    }
    let more = explained.total - explained.matches.len().min(explained.total);
    if more > 0 {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\nand {more} more of this name: give namespace/name");
    }
    text
}

fn heading(thing: &Match) -> String {
    let Match {
        kind,
        namespace,
        name,
        addresses,
        explained,
    } = thing;
    let slash = if namespace.is_empty() { "" } else { "/" };
    let s = if *addresses == 1 { "" } else { "es" };
    let shown = match addresses - explained.len().min(*addresses) {
        0 => String::new(),
        _ => format!(", the first {}", explained.len()),
    };
    let name = format!("{namespace}{slash}{name}");
    format!(
        "\n{kind} {}: {addresses} address{s}{shown}\n",
        visible(&name)
    )
}

/// `*` marks what decides.
fn address(explained: &Explained) -> String {
    let via = match &*explained.via {
        "" => String::new(),
        via => format!(" via {via}"),
    };
    let mut text = format!("{}  {}{via}\n", explained.holder.address, explained.scope);
    let facts = facts(&explained.holder).chain([
        ("rule", explained.rule.clone()),
        ("a GB", cost(&explained.scope, explained.prices.as_deref())),
    ]);
    for (label, value) in facts.filter(|(_, value)| !value.is_empty()) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {label:<9} {}", visible(&value));
    }
    text.push_str("because (* decides, the others were considered)\n");
    for Evidence {
        source,
        says,
        age_seconds,
        decides,
    } in &explained.evidence
    {
        let mark = if *decides { '*' } else { ' ' };
        let age = match (age_seconds, &**source) {
            (Some(age), _) => format!("{age:.0} s old"),
            (None, "special_range" | "default") => "built in".to_owned(),
            (None, _) => "age not known".to_owned(),
        };
        let _ = writeln!(text, "{mark} {source:<14} {} ({age})", visible(says));
    }
    text
}

/// What a gigabyte costs, in words.
fn cost(scope: &str, prices: Option<&[GigabytePrice]>) -> String {
    let Some(prices) = prices else {
        return "its price is not known: the agent has no --prices-file".to_owned();
    };
    if prices.is_empty() {
        return "costs nothing by the prices in force".to_owned();
    }
    let each: Vec<String> = prices.iter().map(in_words).collect();
    let dates: BTreeSet<&str> = prices.iter().map(|price| &*price.as_of).collect();
    let dates: Vec<&str> = dates.into_iter().filter(|date| !date.is_empty()).collect();
    let of = match dates.is_empty() {
        true => String::new(),
        false => format!(" (prices of {})", dates.join(", ")),
    };
    let ends = match scope {
        "cross_zone" => "; the other end, if it is a pod or a node, pays as much",
        _ => "",
    };
    format!("costs {}{ends}{of}", each.join(", "))
}

fn in_words(price: &GigabytePrice) -> String {
    let GigabytePrice {
        direction,
        via,
        crossing_to,
        dollars,
        ..
    } = price;
    let way = match &**direction {
        "transmit" => "from the pod",
        _ => "to the pod",
    };
    match (&**via, &**crossing_to) {
        ("", "") => format!("${dollars} {way}"),
        (via, "") => format!("${dollars} {way} by {via}"),
        (_, gateway) => format!("${dollars} {way} for crossing to the NAT gateway in {gateway}"),
    }
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
    facts.into_iter()
}

#[cfg(test)]
mod tests;
