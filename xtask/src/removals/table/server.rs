//! The API server: away, slow, refusing, forgetful.

use super::{
    super::removal::{Removal, TestAt},
    edit, test,
};

const ACCESS: &str = "agent/src/cluster/access.rs";
const APP: &str = "agent/src/app.rs";
const FAILURE: &str = "agent/src/cluster/failure.rs";
const FEEDS: &str = "agent/src/feeds.rs";
const HEALTH: &str = "agent/src/cluster/health.rs";
const LIVE: &str = "agent/src/cluster/live.rs";
const WATCH: &str = "agent/src/cluster/watch.rs";

/// Tests of one watch, against a server that answers as told.
const fn watch(function: &'static str) -> TestAt {
    test("agent/src/cluster/watch/tests.rs", function)
}

/// Tests of the feed, against a real API server.
const fn live(function: &'static str) -> TestAt {
    test("agent/tests/live_cluster.rs", function)
}

/// Tests of the agent's process, in the lab and against a real API server.
const fn lab(function: &'static str) -> TestAt {
    test("tests/tests/live.rs", function)
}

/// The entries.
pub(super) const ENTRIES: &[Removal] = &[
    Removal {
        name: "restart",
        handling: "The API server is restarted: the watch goes on where it was",
        removed: "a watch ends with its first failure",
        edits: &[edit(
            WATCH,
            "        self.pause(&failure).await;\n        None",
            "        self.pause(&failure).await;\n        Some(End::Closed)",
        )],
        tests: &[
            watch("a_watch_that_ends_goes_on_where_it_was"),
            live("equals_the_api_after_a_restart_under_churn"),
        ],
    },
    Removal {
        name: "down-at-start",
        handling: "The API server is away when the agent starts: it is awaited",
        removed: "a first attempt that fails is the last one",
        edits: &[edit(
            WATCH,
            "End::Again(Some(failure)) => self.pause(&failure).await,",
            "End::Again(Some(failure)) => return self.pause(&failure).await,",
        )],
        tests: &[
            watch("attempts_are_fewer_and_fewer"),
            lab("a_server_that_is_away_at_the_start_is_awaited"),
        ],
    },
    Removal {
        name: "counting-at-start",
        handling: "The API server is away when the agent starts: counting goes on",
        removed: "counting waits for the lists",
        edits: &[
            edit(
                APP,
                "    let (networks_in, networks_out) = watch::channel(Arc::default());",
                "    let mut listed = health.clone();\n    \
                 let (networks_in, networks_out) = watch::channel(Arc::default());",
            ),
            edit(
                APP,
                "        let links = Links::subscribe(config.names)?;",
                "        drop(listed.wait_for(crate::cluster::Health::listed).await);\n        \
                 let links = Links::subscribe(config.names)?;",
            ),
        ],
        tests: &[lab("a_server_that_is_away_at_the_start_is_awaited")],
    },
    Removal {
        name: "down-later-known",
        handling: "The API server is away for minutes: what is known stays in use",
        removed: "a failure takes back what was listed",
        edits: &[edit(
            WATCH,
            "        self.reporter.failed(&failure.line::<W>(&self.server));",
            "        let _ = self.events.send(Event::Init).await;\n        \
             let _ = self.events.send(Event::InitDone).await;\n        \
             self.reporter.failed(&failure.line::<W>(&self.server));",
        )],
        tests: &[
            watch("a_failure_says_nothing_of_what_is_known"),
            live("what_vanished_while_the_watch_was_down_is_gone"),
            lab("a_server_that_goes_away_for_a_time_costs_no_byte"),
        ],
    },
    Removal {
        name: "down-later-ready",
        handling: "The API server is away for minutes: the agent stays ready",
        removed: "the cluster's loss makes it unready",
        edits: &[edit(
            "agent/src/readiness.rs",
            "ok &= !need.decides || self.started && !need.always;",
            "ok &= !need.decides;",
        )],
        tests: &[test(
            "agent/src/readiness.rs",
            "a_later_loss_of_the_cluster_is_shown_but_not_unready",
        )],
    },
    Removal {
        name: "since-when",
        handling: "Since when something is missing: from the first of its failures",
        removed: "each failure begins anew",
        edits: &[edit(
            HEALTH,
            "let since = known.map_or_else(SystemTime::now, |failing| failing.since);",
            "let since = SystemTime::now();",
        )],
        tests: &[test(HEALTH, "a_failure_that_lasts_began_once")],
    },
    Removal {
        name: "since-metric",
        handling: "A metric says what is missing and since when",
        removed: "the feed's health does not reach the metric",
        edits: &[edit(
            FEEDS,
            "metrics.set_cluster_missing_since(part.name, part.missing_since());",
            "let _ = part.missing_since();",
        )],
        tests: &[test(
            FEEDS,
            "what_is_missing_is_shown_by_readyz_and_by_a_metric",
        )],
    },
    Removal {
        name: "readyz-names",
        handling: "/readyz names what is missing",
        removed: "it says that something of the cluster is",
        edits: &[edit(
            FEEDS,
            "false => guard.missing(missing.join(\"; \")),",
            "false => guard.missing(\"the cluster\"),",
        )],
        tests: &[test(
            FEEDS,
            "what_is_missing_is_shown_by_readyz_and_by_a_metric",
        )],
    },
    Removal {
        name: "recovery-shown",
        handling: "A watch that the server takes works again, before there is news",
        removed: "an answer is no sign of life",
        edits: &[edit(ACCESS, "        reporter.alive();\n", "")],
        tests: &[watch("a_watch_that_is_taken_works_before_it_has_news")],
    },
    Removal {
        name: "backoff",
        handling: "Attempts are fewer and fewer while the server is away",
        removed: "no pause between two attempts",
        edits: &[edit(
            WATCH,
            "() = tokio::time::sleep(delay) => {}",
            "() = tokio::time::sleep(delay * 0) => {}",
        )],
        tests: &[watch("attempts_are_fewer_and_fewer")],
    },
    Removal {
        name: "slow",
        handling: "A server that takes the request and does not answer is given up",
        removed: "no end to waiting for an answer",
        edits: &[edit(
            ACCESS,
            "\n        .with_layer(&TimeoutLayer::new(ANSWER_WITHIN))",
            "",
        )],
        tests: &[test(
            ACCESS,
            "a_server_that_takes_the_request_and_says_nothing_is_given_up",
        )],
    },
    Removal {
        name: "stalled",
        handling: "A stream that falls silent without an end is begun anew",
        removed: "the client's limit on silence",
        edits: &[edit(
            WATCH,
            "watcher(api, self.watching())",
            "watcher(api, self.watching().timeout(0))",
        )],
        tests: &[
            watch("a_watch_that_falls_silent_is_begun_anew"),
            watch("a_list_that_falls_silent_is_begun_anew"),
        ],
    },
    Removal {
        name: "410",
        handling: "410 Gone: everything is listed anew",
        removed: "a watch ends with a 410",
        edits: &[edit(
            WATCH,
            "            let end = match event {\n",
            "            let end = match event {\n                \
             Err(watcher::Error::WatchError(status)) if status.code == 410 => Some(End::Closed),\n",
        )],
        tests: &[
            watch("after_a_410_everything_is_listed_anew"),
            live("what_vanished_while_the_watch_was_down_is_gone"),
        ],
    },
    Removal {
        name: "410-answer",
        handling: "410 Gone before the stream begins: everything is listed anew",
        removed: "a 410 for an answer is taken for a failure like any other",
        edits: &[edit(WATCH, "failure.is_gone() || ", "")],
        tests: &[watch("after_a_410_for_an_answer_everything_is_listed_anew")],
    },
    Removal {
        name: "relist-told",
        handling: "A new list is passed on as one, from its beginning to its end",
        removed: "nodes, Services and EndpointSlices are passed on without the list's end",
        edits: &[edit(
            LIVE,
            "                changes.send(Change::ListDone(W::KIND)).await?;\n",
            "",
        )],
        tests: &[test(
            LIVE,
            "a_list_is_passed_on_from_its_beginning_to_its_end",
        )],
    },
    Removal {
        name: "pages",
        handling: "A server that streams no lists is read in pages",
        removed: "its refusal is taken for a failure like any other",
        edits: &[edit(
            FAILURE,
            "status.message.contains(\"sendInitialEvents\")",
            "status.message.is_empty()",
        )],
        tests: &[watch("where_lists_are_not_streamed_they_are_read_in_pages")],
    },
    Removal {
        name: "401",
        handling: "401: credentials are read anew at once",
        removed: "a 401 is taken for a failure like any other",
        edits: &[edit(WATCH, "failure.is_unauthorized() || ", "")],
        tests: &[watch("a_refused_token_is_read_anew_at_once")],
    },
    Removal {
        name: "rotation",
        handling: "An expired token that is rotated in its file is taken from there",
        removed: "each session keeps the first one's client",
        edits: &[
            edit(
                WATCH,
                "    streamed: bool,\n",
                "    streamed: bool,\n    kept: Option<kube::Client>,\n",
            ),
            edit(
                WATCH,
                "            streamed: true,\n",
                "            streamed: true,\n            kept: None,\n",
            ),
            edit(
                WATCH,
                "let client = access::client(config.clone(), self.reporter.clone());",
                "let client = match self.kept.clone() {\n            \
                 Some(kept) => Ok(kept),\n            \
                 None => access::client(config.clone(), self.reporter.clone()),\n        };\n        \
                 self.kept = client.as_ref().ok().cloned();",
            ),
        ],
        tests: &[watch("a_refused_token_is_read_anew_at_once")],
    },
    Removal {
        name: "moved-server",
        handling: "A kubeconfig that names another server is followed",
        removed: "a watch that runs stays with its server",
        edits: &[edit(WATCH, " || moved {", " {\n            let _ = moved;")],
        tests: &[watch("a_server_that_has_moved_is_followed")],
    },
    Removal {
        name: "403",
        handling: "403: the missing right is named by verb and resource",
        removed: "a 403 is told like any other answer",
        edits: &[edit(
            FAILURE,
            "        403 => format!(",
            "        0 => format!(",
        )],
        tests: &[
            test(FAILURE, "names_the_missing_right_by_verb_and_resource"),
            lab("a_right_that_is_missing_is_named_and_its_grant_is_enough"),
        ],
    },
    Removal {
        name: "403-list",
        handling: "403: the right to list is asked for where lists are streamed, too",
        removed: "a session begins without a list of one",
        edits: &[edit(
            WATCH,
            "        api.list(&self.listing_one()).await.map_err(Failure::List)?;\n",
            "",
        )],
        tests: &[watch(
            "the_right_to_list_is_asked_for_where_the_list_is_streamed",
        )],
    },
];
