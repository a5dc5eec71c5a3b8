//! The signals that end the process in good order, and its end in time whatever hangs.
//!
//! They have a thread of their own, so that they are heard while any other one is held up: PID 1 of
//! a container has no end of its own at SIGTERM.

use std::{io::Write as _, process, thread};

use anyhow::{Context as _, Result};
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::tasks::{BUDGET, Running};

/// Knows whether a signal has come.
#[derive(Clone, Debug)]
pub struct Signals(watch::Receiver<bool>);

impl Signals {
    /// From now on SIGTERM (the kubelet) and SIGINT (Ctrl-C) are heard, and end the process within
    /// twice [`BUDGET`] whether or not anybody listens; tasks get one of them.
    ///
    /// # Errors
    /// When the kernel has no thread or no file descriptor for it.
    pub fn listen(running: Running) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("signals")?;
        let signals = {
            let _entered = runtime.enter();
            [SignalKind::terminate(), SignalKind::interrupt()].map(signal)
        };
        let [terminate, interrupt] = signals;
        let (terminate, interrupt) = (terminate.context("SIGTERM")?, interrupt.context("SIGINT")?);
        let (came, listening) = watch::channel(false);
        let thread = move || {
            runtime.block_on(first(terminate, interrupt));
            came.send_replace(true);
            thread::sleep(BUDGET + BUDGET / 8);
            end(&running);
        };
        let thread = thread::Builder::new().name("signals".into()).spawn(thread);
        thread.context("signals: a thread")?;
        Ok(Self(listening))
    }

    /// Returns once a signal has come.
    pub async fn came(&mut self) {
        // Its sender lives as long as the process, or has sent.
        let _ = self.0.wait_for(|came| *came).await;
    }
}

async fn first(mut terminate: Signal, mut interrupt: Signal) {
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!("{name}: stopping");
}

/// The main thread itself is held up, or it would have ended the process. What was counted is
/// kept as after any kill.
fn end(running: &Running) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(
        std::io::stderr(),
        "zonemeter: the process was asked to end and did not: ended while running: {}",
        running.names()
    );
    process::exit(0);
}
