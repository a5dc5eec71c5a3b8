//! `zonemeter top`: the busiest conversations of one agent, live in a terminal.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::Result;
use clap::{Args, ValueEnum};
use zonemeter_io::{number, output};
use zonemeter_model::text::visible;

use crate::{client::AgentAt, debug::answer::Flows};

mod table;

/// Flags of `zonemeter top`.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// The agent to ask.
    #[command(flatten)]
    pub agent: AgentAt,

    /// What makes a conversation busy
    #[arg(long, value_enum, default_value = "total")]
    pub sort: Sort,

    /// Conversations to show
    #[arg(long, value_name = "N", default_value = "20",
          value_parser = number::<u16>(1, 10_000))]
    pub limit: u16,

    /// Print one table and end; so it is when the output is no terminal
    #[arg(long)]
    pub once: bool,
}

/// `--sort`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Bytes from the pod.
    Transmit,
    /// Bytes to the pod.
    Receive,
    /// Both.
    Total,
}

impl Sort {
    fn name(self) -> &'static str {
        match self {
            Self::Transmit => "transmit",
            Self::Receive => "receive",
            Self::Total => "total",
        }
    }
}

/// The agent's numbers change once per drain; this is often enough for any interval.
const REFRESH: Duration = Duration::from_secs(1);
/// Cursor to the top left; what is below is written over, then cleared.
const HOME: &str = "\x1b[H";
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR_ALL: &str = "\x1b[2J";

/// Prints the table until interrupted, or once.
///
/// # Errors
/// As [`Client::get`], at the first reading; later ones are shown in place of the table.
pub async fn run(args: &TopArgs) -> Result<()> {
    let mut out = io::stdout();
    let live = out.is_terminal() && !args.once;
    let first = read(args).await?;
    if !live {
        return output::print(&table::render(&first));
    }
    write!(out, "{CLEAR_ALL}{HOME}{}", table::render(&first))?;
    loop {
        out.flush()?;
        tokio::time::sleep(REFRESH).await;
        let shown = match read(args).await {
            Ok(flows) => table::render(&flows),
            Err(error) => format!("{}\n", visible(&format!("{error:#}"))),
        };
        write!(out, "{HOME}{}{CLEAR_BELOW}", end_lines(&shown))?;
    }
}

async fn read(args: &TopArgs) -> Result<Flows> {
    let path = format!("/api/flows?sort={}&limit={}", args.sort.name(), args.limit);
    args.agent.url.get(&path).await
}

/// Clears the rest of each line, where an earlier table may have been wider.
fn end_lines(text: &str) -> String {
    text.replace('\n', "\x1b[K\n")
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::SystemTime};

    use tokio::{
        net::TcpListener,
        sync::{mpsc, watch},
    };

    use zonemeter_model::{
        cluster::Workload,
        recent::{Party, Recent, ResolvedFlow},
        snapshot::{Scope, Via},
        traffic::{Count, Direction},
    };

    use super::*;
    use crate::debug;

    fn recent() -> Recent {
        let party = |pod: &str, zone: &str| {
            Arc::new(Party {
                namespace: "shop".into(),
                pod: pod.into(),
                workload: Workload {
                    kind: "Pod".into(),
                    name: pod.into(),
                },
                node: "".into(),
                zone: zone.into(),
            })
        };
        Recent {
            ended: SystemTime::now(),
            lasted: Duration::from_secs(2),
            recorded: true,
            flows: vec![ResolvedFlow {
                interface: 1,
                direction: Direction::Transmit,
                local: party("client", "a"),
                local_address: "10.0.0.1".parse().unwrap(),
                local_port: 0,
                peer: party("server", "b"),
                peer_address: "10.0.0.2".parse().unwrap(),
                peer_port: 80,
                service: None,
                protocol: 6,
                scope: Scope::CrossZone,
                via: Via::Untold,
                pending: false,
                count: Count {
                    bytes: 2000,
                    packets: 2,
                },
            }],
            interfaces: Vec::new(),
            overflow: [Count::ZERO; 2],
        }
    }

    #[tokio::test]
    async fn reads_what_the_debug_listener_writes() {
        let (_, snapshots) = watch::channel(Arc::default());
        let (_, recent) = watch::channel(Arc::new(recent()));
        let state = debug::State::new(snapshots, recent, mpsc::channel(1).0);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, debug::router(state)).await });
        let args = TopArgs {
            agent: AgentAt {
                url: url.parse().unwrap(),
            },
            sort: Sort::Transmit,
            limit: 5,
            once: true,
        };
        let table = table::render(&read(&args).await.unwrap());
        let row = "shop/client  shop/server:80  cross_zone  a > b  tcp         1 kB/s    0 B/s";
        assert_eq!(table.lines().last(), Some(row));
    }
}
