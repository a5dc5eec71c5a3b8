//! What a person sees while a command works: what is done now, how long it took, that a quiet
//! thing is still alive. A spinner where a terminal looks on, plain lines elsewhere.

use std::{
    io::{IsTerminal, Write},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;

const SPINNER: [char; 4] = ['|', '/', '-', '\\'];
const SPIN_EVERY: Duration = Duration::from_millis(120);
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// Lines of work beside the steps, for when no line of a step is half written.
static HELD_BACK: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Whether a person looks on.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// One line to the standard output. A reader that went away is no reason to fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// One line as soon as a step begins or ends: what other threads tell does not tear the output of
/// the work that goes on meanwhile.
pub(crate) fn say_at_next_step(line: String) {
    let mut lines = HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push(line);
}

fn say_held_back() {
    let mut lines = HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner);
    for line in lines.drain(..) {
        say(&line);
    }
}

/// Text as it is, without a line end of its own.
pub(crate) fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// One line to the standard error, for what went wrong.
pub(crate) fn fail(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {line}");
}

/// Says what begins, does it, says how long it took. For work that prints by itself.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    judged_step(what, work, |_| true)
}

/// As [`step`], where work that comes to its end may still have `failed` by its result.
pub(crate) fn judged_step<T>(
    what: &str,
    work: impl FnOnce() -> Result<T>,
    went_well: impl FnOnce(&T) -> bool,
) -> Result<T> {
    say_held_back();
    say(&format!("==> {what}"));
    let started = Instant::now();
    let result = work();
    let outcome = if result.as_ref().is_ok_and(went_well) {
        "done"
    } else {
        "failed"
    };
    say(&format!(
        "    {outcome}: {what} ({})",
        elapsed(started.elapsed())
    ));
    say_held_back();
    result
}

/// As [`step`], for work that prints nothing: shows that it is alive.
pub(crate) fn quiet_step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    step(what, || {
        let sign = SignOfLife::start(what);
        let result = work();
        sign.stop();
        result
    })
}

/// `4.2 s`, `3 min 07 s`.
pub(crate) fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        return format!("{:.1} s", duration.as_secs_f64());
    }
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

/// A thread that tells now and then that the work goes on, until it is stopped.
struct SignOfLife {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl SignOfLife {
    fn start(what: &str) -> Self {
        let (stop, stopped) = mpsc::channel();
        let what = what.to_owned();
        let thread = thread::spawn(move || {
            if is_terminal() {
                spin(&stopped);
            } else {
                remind(&what, &stopped);
            }
        });
        Self { stop, thread }
    }

    fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

fn spin(stopped: &Receiver<()>) {
    let started = Instant::now();
    for sign in SPINNER.iter().cycle() {
        put(&format!("\r    {sign} {}", elapsed(started.elapsed())));
        if stopped.recv_timeout(SPIN_EVERY) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    put("\r\x1b[K");
}

fn remind(what: &str, stopped: &Receiver<()>) {
    let started = Instant::now();
    while stopped.recv_timeout(REMIND_EVERY) == Err(RecvTimeoutError::Timeout) {
        say(&format!(
            "    still at it: {what} ({})",
            elapsed(started.elapsed())
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_is_read_at_a_glance() {
        assert_eq!(elapsed(Duration::from_millis(4_240)), "4.2 s");
        assert_eq!(elapsed(Duration::from_secs(187)), "3 min 07 s");
    }
}
