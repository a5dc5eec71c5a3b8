//! Traffic between namespaces: known amounts, with proof that they arrived, over both families.
//!
//! Servers are threads with deadlines: a test that fails leaves none behind.

mod flood;
mod http;
mod iperf3;
mod option;
mod ping;
mod tcp;
mod udp;

use std::time::Duration;

pub use flood::{Flood, tcp_flood, udp_flood};
pub use http::{HttpServer, http_get, http_server};
pub use iperf3::{Iperf3Report, iperf3, iperf3_with};
pub use option::receive_timeout;
pub use ping::ping;
pub use tcp::{TcpSink, tcp_send, tcp_sink, tcp_transfer};
pub use udp::{Datagrams, any, udp_flows, udp_send, udp_send_only, udp_sink};

/// Longest time that any exchange of this module takes before it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);
