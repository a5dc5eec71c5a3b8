//! The HTTP servers of the agent: where they listen, and how they stay up whatever is done to
//! them.
//!
//! Whoever reaches the port can open connections, so each of these has a bound:
//!
//! | what | bound |
//! |---|---|
//! | time until the header of a request is whole, idle time between two requests | [`IDLE`] |
//! | life of a connection; a client of HTTP/1.1 opens the next one by itself | [`LIFE`] |
//! | size of a request's header | [`HEADER_BYTES`] |
//! | connections of a listener | [`Limits`]; past it idle ones of the peer with the most are closed, then 503 |

use std::time::Duration;

mod address;
mod bind;
mod connections;
mod held;
mod serve;
#[cfg(test)]
mod tests;

pub use self::{
    address::Address,
    bind::{Listener, bind, is_free},
    serve::{Audience, Limits, serve},
};

/// From the first byte of a connection, or from the last answer, to a whole request header.
pub const IDLE: Duration = Duration::from_secs(10);
/// How long a connection may live: longer than any scrape, so that only a client that does not
/// read its answer notices.
pub const LIFE: Duration = Duration::from_secs(120);
/// Largest header of a request.
pub const HEADER_BYTES: usize = 16 << 10;

/// Raises the soft limit of open files to the hard one: the soft one is 1,024 by default for the
/// sake of programs that use select(2). Returns the limit in force.
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!("limit of open files (RLIMIT_NOFILE) stays as it is: {error}");
            limit.current.unwrap_or(u64::MAX)
        }
    }
}
