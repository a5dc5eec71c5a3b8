//! Why the kernel refused, in words that name the remedy.

use std::io;

use anyhow::Error;

/// The innermost cause; where it is a limit, with its value and the remedy.
pub(super) fn cause(error: &Error) -> String {
    let cause = error.root_cause();
    let code = cause.downcast_ref::<io::Error>();
    match code.and_then(io::Error::raw_os_error) {
        Some(libc::EMFILE) => {
            let limit = open_files().map_or("?".to_owned(), |limit| limit.to_string());
            format!(
                "{cause}: this process may have {limit} open (RLIMIT_NOFILE): raise the limit of \
                 the container or of the unit"
            )
        }
        _ => cause.to_string(),
    }
}

/// The soft limit of open files.
fn open_files() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: there is room for the answer.
    let answered = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    answered.then_some(limit.rlim_cur)
}
