//! A watch against a server that does what real ones do seldom. The clock is the runtime's, which
//! skips what nobody has to wait for.

mod server;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use zonemeter_model::cluster::Kind;

use self::server::{Answer, Request, serve, status};
use super::{super::trim::shown, *};
use crate::{
    Health,
    health::{Counter, reporters},
    wire,
};

/// Longer than a watch may be silent.
const TIMEOUT: Duration = Duration::from_secs(400);

/// A watch of nodes, and what it asks, says and reports.
struct Rig {
    requests: mpsc::UnboundedReceiver<Request>,
    events: mpsc::Receiver<Event<wire::Node>>,
    health: tokio::sync::watch::Receiver<Health>,
    folder: tempfile::TempDir,
}

impl Rig {
    /// Watches, with the token `old`.
    async fn start(answer: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let (address, requests) = serve(answer).await;
        let folder = tempfile::tempdir().unwrap();
        let ([reporter], health) = reporters([("nodes", Counter::WatchErrors(Kind::Node))]);
        let (sender, events) = mpsc::channel(16);
        let rig = Self {
            requests,
            events,
            health,
            folder,
        };
        rig.rotate("old");
        rig.point_at(address);
        let access = Access::new(Some(rig.kubeconfig()));
        let watch = Watch::<wire::Node>::new(access, Selection::All, reporter, sender);
        tokio::spawn(watch.run());
        rig
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Puts this server into the kubeconfig.
    fn point_at(&self, server: SocketAddr) {
        let text = json!({"current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{server}")}}],
            "users": [{"name": "u", "user": {"tokenFile": self.folder.path().join("token")}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]});
        std::fs::write(self.kubeconfig(), text.to_string()).unwrap();
    }

    /// Puts another token into the file.
    fn rotate(&self, token: &str) {
        std::fs::write(self.folder.path().join("token"), token).unwrap();
    }

    /// The next request of this sort.
    async fn request(&mut self, is_it: impl Fn(&Request) -> bool) -> Request {
        let next = async {
            loop {
                let request = self.requests.recv().await.unwrap();
                if is_it(&request) {
                    return request;
                }
            }
        };
        timeout(TIMEOUT, next).await.expect("such a request")
    }

    /// The next events, in short.
    async fn says(&mut self, expected: &[&str]) {
        let mut said = Vec::new();
        while said.len() < expected.len() {
            let event = timeout(TIMEOUT, self.events.recv()).await;
            said.push(match event.expect("an event").unwrap() {
                Event::Init => "list".to_owned(),
                Event::InitDone => "done".to_owned(),
                Event::InitApply(it) | Event::Apply(it) => {
                    format!("+{}", shown(it.object.metadata()))
                }
                Event::Delete(it) => format!("-{}", shown(it.object.metadata())),
            });
        }
        assert_eq!(said, expected);
    }

    async fn failing(&mut self, text: &str) {
        let fits = |health: &Health| {
            let failing = health.parts[0].failing.as_ref();
            failing.is_some_and(|failing| failing.line.contains(text))
        };
        let failed = timeout(TIMEOUT, self.health.wait_for(fits)).await;
        assert!(failed.is_ok(), "not failing by {text:?}");
    }
}

fn object(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "resourceVersion": "7"}})
}

fn added(name: &str) -> Value {
    json!({"type": "ADDED", "object": object(name)})
}

/// The end of a list that is streamed.
fn all_said() -> Value {
    json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "Node",
        "metadata": {"resourceVersion": "7", "annotations": {"k8s.io/initial-events-end": "true"}}}})
}

fn gone() -> Value {
    json!({"type": "ERROR", "object": status(410, "too old resource version")})
}

/// An empty list for the right to list; the watches get these answers one by one, then silence.
fn watches(answers: Vec<Answer>) -> impl FnMut(&Request) -> Answer {
    let mut answers = answers.into_iter();
    move |request| match request.is_watch() {
        false => Answer::List(Vec::new()),
        true => answers.next().unwrap_or(Answer::FallsSilent(Vec::new())),
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_410_everything_is_listed_anew() {
    let answers = vec![
        Answer::Ends(vec![added("one"), added("two"), all_said()]),
        Answer::Ends(vec![gone()]),
        Answer::FallsSilent(vec![added("two"), added("three"), all_said()]),
    ];
    let mut rig = Rig::start(watches(answers)).await;
    rig.says(&["list", "+one", "+two", "done"]).await;
    rig.says(&["list", "+two", "+three", "done"]).await;
}

/// Where the server says it before it opens the stream.
#[tokio::test(start_paused = true)]
async fn after_a_410_for_an_answer_everything_is_listed_anew() {
    let mut lists = 0;
    let mut rig = Rig::start(move |request| match request.is_watch() {
        false => Answer::List(Vec::new()),
        true if request.is_streamed_list() => {
            lists += 1;
            Answer::Ends(vec![added(["one", "two"][lists - 1]), all_said()])
        }
        true if lists == 1 => Answer::Refused(410, "too old resource version"),
        true => Answer::FallsSilent(Vec::new()),
    })
    .await;
    rig.says(&["list", "+one", "done"]).await;
    rig.says(&["list", "+two", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_goes_on_where_it_was() {
    let answers = vec![
        Answer::Ends(vec![added("one"), all_said()]),
        Answer::Refused(500, "starting"),
        Answer::FallsSilent(vec![added("two")]),
    ];
    let mut rig = Rig::start(watches(answers)).await;
    rig.says(&["list", "+one", "done", "+two"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_falls_silent_is_begun_anew() {
    let answers = vec![
        Answer::FallsSilent(vec![added("one"), all_said()]),
        Answer::FallsSilent(vec![added("two")]),
    ];
    let mut rig = Rig::start(watches(answers)).await;
    rig.says(&["list", "+one", "done", "+two"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_falls_silent_is_begun_anew() {
    let answers = vec![
        Answer::FallsSilent(vec![added("one")]),
        Answer::FallsSilent(vec![added("one"), all_said()]),
    ];
    let mut rig = Rig::start(watches(answers)).await;
    rig.says(&["list", "+one", "list", "+one", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_that_ends_early_is_a_failure() {
    let answers = vec![
        Answer::Ends(vec![added("one")]),
        Answer::FallsSilent(vec![added("two"), all_said()]),
    ];
    let mut rig = Rig::start(watches(answers)).await;
    rig.says(&["list", "+one", "list", "+two", "done"]).await;
    assert_eq!(rig.health.borrow().watch_errors[Kind::Node as usize], 1);
}

/// Nothing is said of what was listed until there is news.
#[tokio::test(start_paused = true)]
async fn a_failure_says_nothing_of_what_is_known() {
    let mut is_listed = false;
    let mut rig = Rig::start(move |request| match request.is_watch() {
        false => Answer::List(Vec::new()),
        true if !std::mem::replace(&mut is_listed, true) => {
            Answer::Ends(vec![added("one"), all_said()])
        }
        true => Answer::Refused(500, "away"),
    })
    .await;
    rig.says(&["list", "+one", "done"]).await;
    rig.failing("500 away").await;
    for _ in 0..20 {
        rig.request(Request::is_watch).await;
    }
    assert!(rig.events.try_recv().is_err(), "news out of a failure");
}

/// The client itself would read the file once in a minute.
#[tokio::test(start_paused = true)]
async fn a_refused_token_is_read_anew_at_once() {
    let (mut accepted, mut is_listed) = ("old", false);
    let mut rig = Rig::start(move |request| {
        if request.token != accepted {
            return Answer::Refused(401, "Unauthorized");
        }
        match request.is_watch() {
            false => Answer::List(Vec::new()),
            true if !std::mem::replace(&mut is_listed, true) => {
                accepted = "new";
                Answer::Ends(vec![added("one"), all_said()])
            }
            true => Answer::FallsSilent(vec![added("one"), all_said()]),
        }
    })
    .await;
    rig.says(&["list", "+one", "done"]).await;
    rig.failing("(401 Unauthorized)").await;
    rig.rotate("new");
    let rotated = Instant::now();
    let request = rig.request(|request| request.token == "new").await;
    assert!(
        request.at - rotated < Duration::from_secs(16),
        "{request:?}"
    );
    rig.says(&["list", "+one", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_moved_is_followed() {
    let answers = vec![Answer::Ends(vec![added("one"), all_said()])];
    let mut answer = watches(answers);
    let mut is_moved = false;
    let mut rig = Rig::start(move |request| match is_moved {
        true => Answer::Refused(500, "moved"),
        false => {
            is_moved = request.is_watch();
            answer(request)
        }
    })
    .await;
    rig.says(&["list", "+one", "done"]).await;
    rig.failing("500 moved").await;
    let there = watches(vec![Answer::FallsSilent(vec![added("two"), all_said()])]);
    let (address, _requests) = serve(there).await;
    rig.point_at(address);
    rig.says(&["list", "+two", "done"]).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_are_fewer_and_fewer() {
    let mut rig = Rig::start(|_| Answer::Refused(500, "away")).await;
    let first = rig.request(|_| true).await;
    let mut last = first.clone();
    for _ in 0..10 {
        last = rig.request(|_| true).await;
    }
    // Half of 0.25 + 0.5 + 1 + 2 + 4 + 8 + 4 × 10 s at least.
    let took = last.at - first.at;
    assert!(took >= Duration::from_millis(27_875), "{took:?}");
    rig.failing("500 away").await;
}

/// It may be long until there is news; that the server takes the watch says that it works.
#[tokio::test(start_paused = true)]
async fn a_watch_that_is_taken_works_before_it_has_news() {
    let answers = vec![
        Answer::Ends(vec![added("one"), all_said()]),
        Answer::Refused(500, "starting"),
        Answer::FallsSilent(Vec::new()),
    ];
    let mut rig = Rig::start(watches(answers)).await;
    rig.failing("500 starting").await;
    let works = |health: &Health| health.parts[0].failing.is_none();
    let soon = timeout(Duration::from_secs(16), rig.health.wait_for(works)).await;
    assert!(soon.is_ok(), "failing still");
}

/// Answers as a server that streams no lists: these lists one by one, then these watches.
fn cached(lists: Vec<Answer>, watches: Vec<Answer>) -> impl FnMut(&Request) -> Answer {
    let refusal = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch";
    let (mut lists, mut watches) = (lists.into_iter(), watches.into_iter());
    move |request| match request {
        request if request.is_streamed_list() => Answer::Refused(422, refusal),
        request if request.is_watch() => {
            let next = watches.next();
            next.unwrap_or(Answer::FallsSilent(Vec::new()))
        }
        request if request.path.contains("metadata.name") => Answer::List(Vec::new()),
        _ => lists.next().expect("a list that the test expects"),
    }
}

fn bookmark(version: &str) -> Value {
    json!({"type": "BOOKMARK", "object": {"apiVersion": "v1", "kind": "Node",
        "metadata": {"resourceVersion": version}}})
}

#[tokio::test(start_paused = true)]
async fn where_lists_are_not_streamed_the_watch_cache_is_read() {
    let lists = vec![Answer::List(vec![object("one")])];
    let watches = vec![Answer::Ends(vec![added("two"), bookmark("9")])];
    let mut rig = Rig::start(cached(lists, watches)).await;
    for _ in ["the right to list", "the list"] {
        let asked = rig.request(|request| !request.is_watch()).await;
        assert!(asked.path.contains("resourceVersion=0"), "{asked:?}");
        assert!(!asked.path.contains("limit"), "{asked:?}");
    }
    rig.says(&["list", "+one", "done", "+two"]).await;
    for version in ["7", "9"] {
        let goes_on = |request: &Request| request.is_watch() && !request.is_streamed_list();
        let watch = rig.request(goes_on).await;
        let from = format!("resourceVersion={version}");
        assert!(watch.path.ends_with(&from), "{watch:?}");
    }
    assert_eq!(rig.health.borrow().watch_errors, [0; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_has_no_end() {
    let lists = vec![
        Answer::Broken(object("one")),
        Answer::List(vec![object("two")]),
    ];
    let mut rig = Rig::start(cached(lists, Vec::new())).await;
    rig.says(&["list", "+one", "list", "+two", "done"]).await;
    assert_eq!(rig.health.borrow().watch_errors[Kind::Node as usize], 1);
}

/// From another server behind the same address a list could be older than what is known.
#[tokio::test(start_paused = true)]
async fn after_a_410_a_list_is_no_older_than_what_is_known() {
    let lists = vec![
        Answer::List(vec![object("one")]),
        Answer::Refused(504, "Too large resource version: 9, current: 3"),
        Answer::List(vec![object("two")]),
    ];
    let watches = vec![Answer::Ends(vec![bookmark("9"), gone()])];
    let mut rig = Rig::start(cached(lists, watches)).await;
    rig.says(&["list", "+one", "done", "list", "+two", "done"])
        .await;
    for version in ["0", "0", "9", "0"] {
        let listed = rig.request(|request| !request.is_watch()).await;
        let from = format!("resourceVersion={version}");
        assert!(listed.path.contains(&from), "{listed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_server_is_left_alone_for_as_long_as_it_asks() {
    let lists = vec![Answer::Busy(20), Answer::List(Vec::new())];
    let mut rig = Rig::start(cached(lists, Vec::new())).await;
    let mut list = async || rig.request(|request| !request.is_watch()).await.at;
    let [_, refused, again] = [list().await, list().await, list().await];
    let waited = (again - refused).as_secs();
    assert!((20..25).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn the_right_to_list_is_asked_for_where_the_list_is_streamed() {
    let mut rig = Rig::start(|request| match request.is_watch() {
        false => Answer::Refused(403, "no"),
        true => Answer::FallsSilent(vec![added("one"), all_said()]),
    })
    .await;
    rig.failing("missing RBAC: list nodes;").await;
}
