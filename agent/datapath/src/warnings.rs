//! Carries the rare warnings of the kernel programs into `tracing`.

use std::io;

use anyhow::{Context as _, Result};
use aya_log::EbpfLogger;
use tokio::io::{Interest, unix::AsyncFd};

/// The ring buffer of the programs' log records.
pub struct Warnings(AsyncFd<EbpfLogger<ToTracing>>);

impl Warnings {
    /// Takes the log map out of the object. Needs a tokio runtime.
    pub(super) fn new(ebpf: &mut aya::Ebpf) -> Result<Self> {
        let logger = EbpfLogger::init_with_logger(ebpf, ToTracing).context("program log")?;
        // SAFETY: the logger owns the ring buffer's descriptor and never changes it; the
        // `AsyncFd` owns the logger until both are dropped.
        let ready = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) };
        Ok(Self(ready.map_err(io::Error::from).context("program log")?))
    }

    /// Hands on records as they come; ends only with an error of the poller.
    pub async fn run(mut self) -> Result<()> {
        loop {
            let mut guard = self.0.readable_mut().await.context("program log")?;
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    }
}

/// Speaks `log` to aya and `tracing` to us.
struct ToTracing;

impl log::Log for ToTracing {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        tracing::warn!(target: "zonemeter::program", "{}", record.args());
    }

    fn flush(&self) {}
}
