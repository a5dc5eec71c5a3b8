//! The kernel's own counters of an interface.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::{namespace::Namespace, truth::Count};

/// What an interface counted: layer-2 bytes (14 more than layer 3 for each skb) and skbs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCount {
    /// Into the interface's namespace.
    pub received: Count,
    /// Out of the interface's namespace.
    pub sent: Count,
}

impl InterfaceCount {
    /// Without the 14 bytes of Ethernet header per skb: layer-3 bytes, as long as every skb is
    /// one wire packet. ARP stays in.
    pub fn layer_3(self) -> Self {
        let strip = |count: Count| Count {
            bytes: count.bytes - 14 * count.packets,
            packets: count.packets,
        };
        Self {
            received: strip(self.received),
            sent: strip(self.sent),
        }
    }
}

/// Reads the counters of interface `name` in `namespace`.
pub(crate) fn interface_count(namespace: &Namespace, name: &str) -> Result<InterfaceCount> {
    // /proc/net follows the process; only thread-self follows the thread that entered.
    let table = namespace
        .run(|| fs::read_to_string("/proc/thread-self/net/dev"))?
        .context("read /proc/thread-self/net/dev")?;
    for line in table.lines() {
        if let Some((device, numbers)) = line.trim_start().split_once(':')
            && device == name
        {
            return parse(numbers).with_context(|| format!("counters of {name}: {numbers:?}"));
        }
    }
    bail!("namespace {} has no interface {name}", namespace.name())
}

/// Packets that the machine's processors dropped because a queue between two namespaces was full
/// (second column of `/proc/net/softnet_stat`). A test that compares a tc hook with a wire asks
/// for it before and after: a difference explains a difference.
pub fn backlog_drops() -> Result<u64> {
    let table = fs::read_to_string("/proc/net/softnet_stat").context("read softnet_stat")?;
    let mut dropped = 0;
    for line in table.lines() {
        let column = line
            .split_whitespace()
            .nth(1)
            .context("softnet_stat without columns")?;
        dropped += u64::from_str_radix(column, 16).with_context(|| format!("{column:?}"))?;
    }
    Ok(dropped)
}

/// Eight receive columns, then eight transmit columns; bytes and packets lead each half.
fn parse(numbers: &str) -> Result<InterfaceCount> {
    let columns = numbers
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<Vec<u64>, _>>()?;
    let [
        rx_bytes,
        rx_packets,
        _,
        _,
        _,
        _,
        _,
        _,
        tx_bytes,
        tx_packets,
        ..,
    ] = columns[..]
    else {
        bail!("expected 16 columns, found {}", columns.len());
    };
    Ok(InterfaceCount {
        received: Count {
            bytes: rx_bytes,
            packets: rx_packets,
        },
        sent: Count {
            bytes: tx_bytes,
            packets: tx_packets,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_where_proc_has_them() {
        let found = parse(" 100 2 0 0 0 0 0 0 340 5 0 0 0 0 0 0").unwrap();
        assert_eq!(
            found.received,
            Count {
                bytes: 100,
                packets: 2
            }
        );
        assert_eq!(
            found.layer_3().sent,
            Count {
                bytes: 270,
                packets: 5
            }
        );
    }
}
