//! What went wrong with the API, in one line with its remedy.

use std::{error::Error, time::Duration};

use kube::{core::Status, runtime::watcher};
use zonemeter_model::syntax;

use super::wire::Wire;

const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Why a list or a watch failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// No usable address or credentials.
    Access(anyhow::Error),
    /// A list.
    List(kube::Error),
    /// Anything after it.
    Watch(watcher::Error),
}

impl Failure {
    /// Whether the server did not accept the credentials.
    pub(super) fn is_unauthorized(&self) -> bool {
        self.answer().is_some_and(|status| status.code == 401)
    }

    /// Whether the server has forgotten what came after the point from which a watch goes on.
    pub(super) fn is_gone(&self) -> bool {
        self.answer().is_some_and(|status| status.code == 410)
    }

    /// Whether the server cannot stream a list: before 1.27, or with the feature gate WatchList
    /// off, as by default up to 1.31 and in 1.33.
    pub(super) fn is_streaming_refused(&self) -> bool {
        self.answer()
            .is_some_and(|status| status.message.contains("sendInitialEvents"))
    }

    /// Whether the server has not seen yet the version that a list was to be no older than: it
    /// lags behind the one that gave it, or its store was restored from a copy.
    pub(super) fn is_version_unknown(&self) -> bool {
        self.answer()
            .is_some_and(|status| status.message.contains("Too large resource version"))
    }

    /// How long an overloaded server asks to be left alone; at most a minute is granted.
    pub(super) fn retry_after(&self) -> Duration {
        let details = self.answer().and_then(|status| status.details.as_ref());
        let seconds = details.map_or(0, |details| details.retry_after_seconds);
        Duration::from_secs(seconds.into()).min(LONGEST_RETRY_AFTER)
    }

    fn answer(&self) -> Option<&Status> {
        match (self, self.client_error()) {
            (_, Some(kube::Error::Api(status))) => Some(status),
            (Self::Watch(watcher::Error::WatchError(status)), _) => Some(status),
            _ => None,
        }
    }

    fn client_error(&self) -> Option<&kube::Error> {
        match self {
            Self::List(error)
            | Self::Watch(
                watcher::Error::InitialListFailed(error)
                | watcher::Error::WatchStartFailed(error)
                | watcher::Error::WatchFailed(error),
            ) => Some(error),
            Self::Access(_) | Self::Watch(_) => None,
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::Access(_) => "reach",
            Self::List(_) | Self::Watch(watcher::Error::InitialListFailed(_)) => "list",
            Self::Watch(_) => "watch",
        }
    }

    /// One line for a person; `server` is where the request went.
    pub(super) fn line<W: Wire>(&self, server: &str) -> String {
        let what = format!("{} {}", self.verb(), W::PLURAL);
        let line = match (self.answer(), self) {
            (Some(status), _) => answered::<W>(self.verb(), status),
            (None, Self::Access(error)) => format!("{error:#}"),
            (None, Self::List(error)) => format!("cannot {what} at {server}: {}", cause(error)),
            (None, Self::Watch(error)) => match self.client_error() {
                Some(error) => format!("cannot {what} at {server}: {}", cause(error)),
                None => format!("cannot {what} at {server}: {}", chain(error)),
            },
        };
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

fn answered<W: Wire>(verb: &str, status: &Status) -> String {
    let message = &status.message;
    match status.code {
        401 => format!(
            "the API server does not accept our credentials (401 {message}); they are read \
             again with every attempt"
        ),
        403 => format!(
            "missing RBAC: {verb} {}{}; grant it as in deploy/kubernetes/zonemeter.yaml \
             ({message})",
            W::PLURAL,
            group::<W>(),
        ),
        code => format!(
            "cannot {verb} {}: the API server answers {code} {message}",
            W::PLURAL
        ),
    }
}

/// As `kubectl auth can-i` takes it: nothing for the core group.
fn group<W: Wire>() -> String {
    if W::GROUP.is_empty() {
        String::new()
    } else {
        format!(".{}", W::GROUP)
    }
}

/// What stopped the request, without the layers that it went through.
fn cause(error: &kube::Error) -> String {
    match error {
        kube::Error::Service(error) => chain(error.as_ref()),
        kube::Error::SerdeError(error) => format!("its answer: {}", syntax::json(error)),
        error => chain(error),
    }
}

/// An error and its causes, without what a cause only repeats.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        if !text.contains(&line) {
            text = format!("{text}: {line}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::wire, *};

    fn status(code: u16, message: &str) -> Box<Status> {
        let text = serde_json::json!({"code": code, "message": message});
        Box::new(serde_json::from_value(text).unwrap())
    }

    #[test]
    fn names_the_missing_right_by_verb_and_resource() {
        let forbidden = || kube::Error::Api(status(403, "no\nway"));
        let list = Failure::Watch(watcher::Error::InitialListFailed(forbidden()));
        assert!(
            list.line::<wire::Pod>("")
                .starts_with("missing RBAC: list pods; grant it")
        );
        let list = Failure::List(forbidden());
        assert!(
            list.line::<wire::Pod>("")
                .starts_with("missing RBAC: list pods; grant it")
        );
        let watch = Failure::Watch(watcher::Error::WatchStartFailed(forbidden()));
        let line = watch.line::<wire::EndpointSlice>("");
        assert!(line.starts_with("missing RBAC: watch endpointslices.discovery.k8s.io;"));
        assert!(line.contains("(no way)"), "{line}");
    }

    #[test]
    fn tells_the_answers_apart_that_need_something_else() {
        let watch = |code, message| {
            Failure::Watch(watcher::Error::WatchStartFailed(kube::Error::Api(status(
                code, message,
            ))))
        };
        assert!(watch(401, "Unauthorized").is_unauthorized());
        assert!(!watch(403, "Forbidden").is_unauthorized());
        let gate = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless \
                    the WatchList feature gate is enabled";
        assert!(watch(422, gate).is_streaming_refused());
        assert!(!watch(422, "timeoutSeconds: Invalid").is_streaming_refused());
    }

    #[test]
    fn tells_the_whole_story_of_a_connection() {
        let cause = || kube::Error::ReadEvents(std::io::Error::other("connection refused"));
        let watch = Failure::Watch(watcher::Error::WatchFailed(cause()));
        for (failure, verb) in [(Failure::List(cause()), "list"), (watch, "watch")] {
            let line = failure.line::<wire::Node>("https://api");
            let head = format!("cannot {verb} nodes at https://api: ");
            assert!(line.starts_with(&head), "{line}");
            assert_eq!(line.matches("connection refused").count(), 1, "{line}");
        }
        let service = kube::Error::Service("no route to host".into());
        let line = Failure::List(service).line::<wire::Pod>("https://api");
        assert_eq!(line, "cannot list pods at https://api: no route to host");
    }
}
