//! iperf3, as people use it to load a path.

use std::{
    net::IpAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{namespace::Namespace, tool};

/// What iperf3's client reported.
#[derive(Clone, Copy, Debug)]
pub struct Iperf3Report {
    /// TCP payload that the client sent.
    pub sent_bytes: u64,
    /// Mean rate at the receiver.
    pub received_bits_per_second: f64,
}

/// One TCP stream from `client` to `server` for `duration`.
pub fn iperf3(
    client: &Namespace,
    server: &Namespace,
    address: IpAddr,
    duration: Duration,
) -> Result<Iperf3Report> {
    iperf3_with(client, server, address, duration, &[])
}

/// [`iperf3`] with more arguments of the client, such as `--reverse`.
pub fn iperf3_with(
    client: &Namespace,
    server: &Namespace,
    address: IpAddr,
    duration: Duration,
    more: &[&str],
) -> Result<Iperf3Report> {
    let mut serving = server
        .command("iperf3")
        .args(["--server", "--one-off"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start iperf3 --server")?;
    let report = connect(client, address, duration, more);
    // A client that never connected leaves a server that waits for ever.
    let _ = serving.kill();
    serving.wait()?;
    report
}

/// The server needs a moment to listen: refused connections are tried again.
fn connect(
    client: &Namespace,
    address: IpAddr,
    duration: Duration,
    more: &[&str],
) -> Result<Iperf3Report> {
    let seconds = duration.as_secs().max(1).to_string();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut command = client.command("iperf3");
        command.args([
            "--json",
            "--time",
            &seconds,
            "--client",
            &address.to_string(),
        ]);
        command.args(more);
        // With --json iperf3 may end well and report the refusal inside.
        match tool::output(&mut command).and_then(|text| parse(&text)) {
            Ok(report) => return Ok(report),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn parse(text: &str) -> Result<Iperf3Report> {
    let report: Value = serde_json::from_str(text).context("iperf3's JSON")?;
    let end = &report["end"];
    let (Some(sent_bytes), Some(received_bits_per_second)) = (
        end["sum_sent"]["bytes"].as_u64(),
        end["sum_received"]["bits_per_second"].as_f64(),
    ) else {
        bail!("iperf3 reported no sums: {text}");
    };
    Ok(Iperf3Report {
        sent_bytes,
        received_bits_per_second,
    })
}
