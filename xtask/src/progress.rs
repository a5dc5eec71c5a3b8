//! What a person sees while a command works: what is done now, how long it took, that a quiet
//! thing is still alive.

use std::{
    io::{IsTerminal, Write},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

const REMIND_EVERY: Duration = Duration::from_secs(10);

/// Lines of work beside the steps, for when no line of a step is half written.
static HELD_BACK: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Whether a person looks on.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// One line to the standard output. A reader that went away is no reason to fail.
pub(crate) fn say(line: &str) {
    put(&format!("{line}\n"));
}

/// One line as soon as a step begins or ends: what other threads tell does not tear the output of
/// the work that goes on meanwhile.
pub(crate) fn say_at_next_step(line: String) {
    let mut lines = HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner);
    lines.push(line);
}

fn is_main() -> bool {
    thread::current().name() == Some("main")
}

/// A line of a step, with those that were held back; those of other threads wait.
fn say_of_step(line: String) {
    say_at_next_step(line);
    if is_main() {
        let mut lines = HELD_BACK.lock().unwrap_or_else(PoisonError::into_inner);
        lines.drain(..).for_each(|line| say(&line));
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
    say_of_step(format!("==> {what}"));
    let started = Instant::now();
    let result = work();
    say_of_step(end(what, started, result.as_ref().is_ok_and(went_well)));
    result
}

/// The line with which a step ends.
pub(crate) fn end(what: &str, started: Instant, went_well: bool) -> String {
    let outcome = if went_well { "done" } else { "failed" };
    format!("    {outcome}: {what} ({})", elapsed(started.elapsed()))
}

/// As [`step`], for work that prints nothing: shows that it is alive.
pub(crate) fn quiet_step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    step(what, || {
        let (_stop, stopped) = mpsc::channel::<()>();
        let (started, name) = (Instant::now(), what.to_owned());
        let tell: fn(String) = match is_main() {
            true => |line| say(&line),
            false => say_at_next_step,
        };
        thread::spawn(move || {
            while stopped.recv_timeout(REMIND_EVERY) == Err(RecvTimeoutError::Timeout) {
                let so_far = elapsed(started.elapsed());
                tell(format!("    still at it: {name} ({so_far})"));
            }
        });
        work()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_is_read_at_a_glance() {
        assert_eq!(elapsed(Duration::from_millis(4_240)), "4.2 s");
        assert_eq!(elapsed(Duration::from_secs(187)), "3 min 07 s");
    }
}
