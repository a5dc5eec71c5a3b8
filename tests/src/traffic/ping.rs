//! ICMP echo.

use std::net::IpAddr;

use anyhow::{Result, ensure};

use crate::{namespace::Namespace, tool};

/// Sends `count` default echo requests (84 bytes at layer 3 in IPv4, 104 in IPv6) and requires
/// an answer to each.
pub fn ping(from: &Namespace, to: IpAddr, count: u32) -> Result<()> {
    let mut command = from.command("ping");
    command.args([
        "-n",
        "-i",
        "0.2",
        "-W",
        "5",
        "-c",
        &count.to_string(),
        &to.to_string(),
    ]);
    let said = tool::output(&mut command)?;
    ensure!(
        said.contains(&format!(" {count} received")),
        "ping {to}: {said}"
    );
    Ok(())
}
