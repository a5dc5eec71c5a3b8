//! The nftables rule set behind [`Truth`], and the reading of it.

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    namespace::Namespace,
    tool,
    truth::{Count, Record, Truth, Way},
};

const TABLE: &str = "inet zonemeter_truth";

/// Capacity of each set; a full one is an error at the next reading.
const SET_SIZE: usize = 262_144;

/// Interfaces that a pod's truth watches; only what arrives there is truth.
pub(crate) const POD_TRUTH: &str = r#"{ "eth0", "v4if0", "mNicIf1" }"#;

/// Interfaces that the router's truth watches.
pub(crate) const UPLINK_TRUTH: &str = r#""up-*""#;

/// What a rule set counts.
pub(crate) struct Watched<'a> {
    /// Names or patterns of interfaces, or a set of them, as nft writes it.
    pub(crate) links: &'a str,
    pub(crate) mtu: u32,
    /// Outgoing packets too: true only where those are wire packets.
    pub(crate) delivered: bool,
    /// TCP and UDP once more, by ports.
    pub(crate) flows: bool,
}

/// Renders the rule set.
pub(crate) fn script(watched: &Watched<'_>) -> String {
    let mut text = format!("add table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n");
    text.push_str(&half(Way::Arrived, watched));
    if watched.delivered {
        text.push_str(&half(Way::Delivered, watched));
    }
    text.push_str("}\n");
    text
}

/// Before defragmentation (priority -400) on the way in, after everything on the way out.
fn half(way: Way, watched: &Watched<'_>) -> String {
    let Watched { links, mtu, .. } = watched;
    let (name, hook, priority, link) = match way {
        Way::Arrived => ("arrived", "prerouting", "-450", "iifname"),
        Way::Delivered => ("delivered", "postrouting", "300", "oifname"),
    };
    let mut text = format!("counter {name}_oversized {{ }}\n");
    let mut rules =
        format!("{link} != {links} accept\nmeta length > {mtu} counter name {name}_oversized\n");
    for (family, ip) in [("4", "ip"), ("6", "ip6")] {
        // A concatenation has room for five parts, so flows do not tell links apart.
        let addresses = format!("{ip} saddr . {ip} daddr . meta l4proto");
        let pair = format!("{link} . {addresses}");
        let flow = format!("{addresses} . th sport . th dport");
        let types = format!("ipv{family}_addr . ipv{family}_addr . inet_proto");
        let pair_type = format!("ifname . {types}");
        let flow_type = format!("{types} . inet_service . inet_service");
        for (set, key) in [("pairs", &pair_type), ("flows", &flow_type)] {
            text.push_str(&format!(
                "set {name}_{set}{family} {{ type {key}; size {SET_SIZE}; flags dynamic; }}\n"
            ));
        }
        rules.push_str(&format!(
            "meta nfproto ipv{family} update @{name}_pairs{family} {{ {pair} counter }}\n"
        ));
        if watched.flows {
            rules.push_str(&format!(
                "meta nfproto ipv{family} meta l4proto {{ tcp, udp }} \
                 update @{name}_flows{family} {{ {flow} counter }}\n"
            ));
        }
    }
    format!(
        "{text}chain {name} {{ type filter hook {hook} priority {priority}; policy accept;\n\
         {rules}}}\n"
    )
}

/// Reads the counters in `namespace`.
pub(crate) fn read(namespace: &Namespace) -> Result<Truth> {
    let mut command = namespace.command("nft");
    command
        .args(["-nn", "-j", "list", "table"])
        .args(TABLE.split(' '));
    let text = tool::output(&mut command)?;
    let listing: Value = serde_json::from_str(&text).context("nft's JSON")?;
    parse(&listing).with_context(|| format!("truth of namespace {}", namespace.name()))
}

fn parse(listing: &Value) -> Result<Truth> {
    let objects = listing["nftables"]
        .as_array()
        .context("no list of objects")?;
    let mut truth = Truth::default();
    for set in objects.iter().filter_map(|object| object.get("set")) {
        let name = set["name"].as_str().context("a set without a name")?;
        let records = if name.contains("flows") {
            &mut truth.flows
        } else {
            &mut truth.pairs
        };
        let elements = set["elem"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        ensure!(
            elements.len() < SET_SIZE,
            "the set {name} is full, so it missed packets"
        );
        for element in elements {
            records.push(record(way(name)?, element)?);
        }
    }
    for counter in objects.iter().filter_map(|object| object.get("counter")) {
        verify(counter)?;
    }
    Ok(truth)
}

/// Nothing may be longer than the MTU.
fn verify(counter: &Value) -> Result<()> {
    let name = counter["name"]
        .as_str()
        .context("a counter without a name")?;
    let found = count(counter)?;
    ensure!(
        found.packets == 0,
        "{name}: {found:?}, so an skb is not one wire packet here"
    );
    Ok(())
}

fn way(name: &str) -> Result<Way> {
    match name.split_once('_') {
        Some(("arrived", _)) => Ok(Way::Arrived),
        Some(("delivered", _)) => Ok(Way::Delivered),
        Some(_) | None => bail!("unexpected object {name}"),
    }
}

fn record(way: Way, element: &Value) -> Result<Record> {
    let element = &element["elem"];
    let key = element["val"]["concat"]
        .as_array()
        .context("a key that is no concatenation")?;
    let count = count(&element["counter"])?;
    let (link, source, destination, layer_4, ports) = match &key[..] {
        [link, source, destination, layer_4] => {
            let link = link.as_str().context("a link that is no name")?;
            (Some(link.to_owned()), source, destination, layer_4, None)
        }
        [source, destination, layer_4, from, to] => (
            None,
            source,
            destination,
            layer_4,
            Some((port(from)?, port(to)?)),
        ),
        _ => bail!("unexpected key {key:?}"),
    };
    Ok(Record {
        way,
        link,
        source: address(source)?,
        destination: address(destination)?,
        protocol: protocol(layer_4)?,
        ports,
        count,
    })
}

fn port(value: &Value) -> Result<u16> {
    u16::try_from(number(value)?).with_context(|| format!("port {value}"))
}

fn address(value: &Value) -> Result<IpAddr> {
    let text = value.as_str().with_context(|| format!("address {value}"))?;
    text.parse().with_context(|| format!("address {text}"))
}

fn protocol(value: &Value) -> Result<u8> {
    match value.as_str() {
        None => Ok(number(value)? as u8),
        Some("tcp") => Ok(6),
        Some("udp") => Ok(17),
        Some("icmp") => Ok(1),
        Some("ipv6-icmp" | "icmpv6") => Ok(58),
        Some("igmp") => Ok(2),
        Some(other) => other.parse().with_context(|| format!("protocol {other}")),
    }
}

fn count(counter: &Value) -> Result<Count> {
    Ok(Count {
        bytes: number(&counter["bytes"])?,
        packets: number(&counter["packets"])?,
    })
}

fn number(value: &Value) -> Result<u64> {
    value
        .as_u64()
        .with_context(|| format!("{value} is no number"))
}
