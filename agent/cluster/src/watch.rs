//! One list-and-watch of the API, kept up for as long as somebody takes its events.
//!
//! Where the server streams lists, a session first asks for an object that is not there, to learn
//! at once whether the right to list is there and the server answers, and then hands over to
//! `kube`'s watcher: the list comes out of the server's memory object by object. Where it does
//! not, one list comes from the server's watch cache (`resourceVersion=0`, as client-go asks),
//! decoded as it arrives, and a watch goes on from its version. Neither reads from etcd. Bodies
//! are not compressed: gzip would cost the server a second of processor time for each agent.
//!
//! A watch goes on where it was after a lost connection. After a 410 a new session begins:
//! `kube`'s watcher lists anew only where the stream says so, not where it is the answer. The end
//! of a list, [`Event::InitDone`], is said only when all of it was read.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Limited};
use kube::{
    Api, Client, Resource,
    api::{ListParams, WatchParams},
    client::Body,
    core::{Request, Status, WatchEvent},
    runtime::watcher::{self, watcher},
};
use tokio::{sync::mpsc, time::timeout};

use super::{
    access::{Access, Server},
    backoff::{Backoff, spread},
    decode,
    failure::Failure,
    health::Reporter,
    watched::Watched,
    wire::Wire,
};

/// What a watch says.
pub(super) type Event<W> = watcher::Event<Watched<W>>;

/// Any version that the server has in its memory.
const ANY_VERSION: &str = "0";
/// The server ends a watch after 290 s; a connection that is silent for longer is lost.
const SILENT_AT_MOST: Duration = Duration::from_secs(295);
/// The text of an error that is read.
const LONGEST_ERROR: usize = 1 << 16;
/// Finished pods of other nodes have given their addresses back. A pod that finishes leaves the
/// selection, which the watch says as a deletion.
const NOT_FINISHED: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Which objects of the kind.
#[derive(Clone, Debug)]
pub(super) enum Selection {
    /// Every one.
    All,
    /// Pods of this node.
    OnNode(String),
    /// Pods of every other node, and of none yet, that are not finished.
    NotOnNode(String),
}

/// A list-and-watch.
pub(super) struct Watch<W: Wire> {
    access: Access,
    selection: Selection,
    reporter: Reporter,
    events: mpsc::Sender<Event<W>>,
    backoff: Backoff,
    streamed: bool,
    /// The version up to which everything is known, where lists are not streamed: no list may be
    /// older.
    version: String,
    /// Where requests go, for messages.
    server: String,
}

/// Why a session ended.
enum End {
    /// Nobody takes the events any more.
    Closed,
    /// Begin another, after a pause when this one failed.
    Again(Option<Failure>),
}

impl<W: Wire> Watch<W> {
    pub(super) fn new(
        access: Access,
        selection: Selection,
        reporter: Reporter,
        events: mpsc::Sender<Event<W>>,
    ) -> Self {
        let backoff = Backoff::default();
        Self {
            access,
            selection,
            reporter,
            events,
            backoff,
            streamed: true,
            version: ANY_VERSION.to_owned(),
            server: String::new(),
        }
    }

    /// Runs until nobody takes the events any more.
    pub(super) async fn run(mut self) {
        self.wait(self.spread()).await;
        while !self.events.is_closed() {
            match self.session().await {
                End::Closed => return,
                End::Again(None) => {}
                End::Again(Some(failure)) => self.pause(&failure).await,
            }
        }
    }

    async fn session(&mut self) -> End {
        let server = match self.access.server().await {
            Ok(server) => server,
            Err(error) => return End::Again(Some(Failure::Access(error))),
        };
        self.server = server.url();
        let client = server.client(self.reporter.clone());
        if self.streamed {
            self.streamed_list(&server, client).await
        } else {
            self.cached_list(&server, client).await
        }
    }

    /// A session with a server that streams lists.
    async fn streamed_list(&mut self, server: &Arc<Server>, client: Client) -> End {
        let api = Api::all(client);
        if let Err(error) = api.list(&self.asking_for_none()).await {
            return self.ended(Failure::List(error), server).await;
        }
        let mut stream = pin!(watcher(api, self.watching()));
        let mut is_listing = false;
        while let Some(event) = stream.next().await {
            // `kube` takes a connection that is cut between two events for the end of a watch,
            // and would list again at once.
            if is_listing && matches!(event, Ok(Event::Init)) {
                let error = "the connection ended before the list did".into();
                self.pause(&Failure::List(kube::Error::Service(error)))
                    .await;
            }
            is_listing = match &event {
                Ok(Event::Init | Event::InitApply(_)) => true,
                Ok(_) | Err(_) => false,
            };
            let end = match event {
                Ok(event) => self.events.send(event).await.err().map(|_| End::Closed),
                Err(error) => self.failed(Failure::Watch(error), server).await,
            };
            if let Some(end) = end {
                return end;
            }
        }
        End::Again(None)
    }

    /// A session with a server that does not.
    async fn cached_list(&mut self, server: &Arc<Server>, client: Client) -> End {
        match self.list(&client).await {
            Ok(version) => self.version = version,
            Err(failure) => return self.ended(failure, server).await,
        }
        if self.events.send(Event::InitDone).await.is_err() {
            return End::Closed;
        }
        let api = Api::all(client);
        loop {
            let end = match self.follow(&api).await {
                Ok(end) => end,
                Err(error) => self.failed(Failure::Watch(error), server).await,
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Says everything that the server's watch cache holds; its version.
    async fn list(&self, client: &Client) -> Result<String, Failure> {
        let request = Request::new(Watched::<W>::url_path(&(), None));
        let request = request
            .list(&self.listing())
            .map_err(|error| Failure::List(kube::Error::BuildRequest(error)))?;
        let answer = client.send(request.map(Body::from)).await;
        let body = successful(answer.map_err(Failure::List)?)
            .await
            .map_err(Failure::List)?;
        // That nobody takes it is found with the first object.
        let _ = self.events.send(Event::Init).await;
        let version = decode::list(body, self.events.clone()).await;
        version.map_err(|error| Failure::List(kube::Error::Service(error.into())))
    }

    /// Says what happens after the known version, until the server ends the watch.
    async fn follow(&mut self, api: &Api<Watched<W>>) -> Result<Option<End>, watcher::Error> {
        let started = api.watch(&self.following(), &self.version).await;
        let mut stream = pin!(started.map_err(watcher::Error::WatchStartFailed)?);
        loop {
            let next = timeout(SILENT_AT_MOST, stream.try_next()).await;
            let next = next.unwrap_or_else(|late| Err(kube::Error::Service(late.into())));
            let (version, event) = match next.map_err(watcher::Error::WatchFailed)? {
                None => return Ok(None),
                Some(WatchEvent::Added(it) | WatchEvent::Modified(it)) => {
                    (it.meta().resource_version.clone(), Some(Event::Apply(it)))
                }
                Some(WatchEvent::Deleted(it)) => {
                    (it.meta().resource_version.clone(), Some(Event::Delete(it)))
                }
                Some(WatchEvent::Bookmark(it)) => (Some(it.metadata.resource_version), None),
                Some(WatchEvent::Error(status)) => return Err(watcher::Error::WatchError(status)),
            };
            if let Some(event) = event
                && self.events.send(event).await.is_err()
            {
                return Ok(Some(End::Closed));
            }
            self.version = version.unwrap_or_else(|| std::mem::take(&mut self.version));
        }
    }

    /// Deals with a failure: pauses and goes on, unless a new session has better chances.
    async fn failed(&mut self, failure: Failure, server: &Arc<Server>) -> Option<End> {
        if self.streamed && failure.is_streaming_refused() {
            tracing::info!(
                resource = W::PLURAL,
                "the API server streams no lists, reading its watch cache"
            );
            self.streamed = false;
            return Some(End::Again(None));
        }
        let now = self.access.server().await;
        let moved = now.is_ok_and(|now| !Arc::ptr_eq(&now, server));
        if failure.is_unauthorized() || failure.is_gone() || moved {
            return Some(self.ended(failure, server).await);
        }
        self.pause(&failure).await;
        None
    }

    /// Ends a session by a failure.
    async fn ended(&mut self, failure: Failure, server: &Arc<Server>) -> End {
        if failure.is_unauthorized() {
            self.access.forget(server).await;
        }
        if failure.is_version_unknown() {
            ANY_VERSION.clone_into(&mut self.version);
        }
        End::Again(Some(failure))
    }

    async fn pause(&mut self, failure: &Failure) {
        self.reporter.failed(&failure.line::<W>(&self.server));
        let mut delay = self.backoff.after_failure(Instant::now()) + failure.retry_after();
        if failure.is_gone() {
            delay += self.spread();
        }
        self.wait(delay).await;
    }

    async fn wait(&self, delay: Duration) {
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.events.closed() => {}
        }
    }

    /// The few pods of this node, which the server finds by an index, do not wait.
    fn spread(&self) -> Duration {
        match self.selection {
            Selection::OnNode(_) => Duration::ZERO,
            Selection::All | Selection::NotOnNode(_) => spread(),
        }
    }

    /// No object is called so; for pods the server looks at those of one node only.
    fn asking_for_none(&self) -> ListParams {
        let fields = match &self.selection {
            Selection::All => "metadata.name=none".to_owned(),
            Selection::OnNode(node) | Selection::NotOnNode(node) => {
                format!("spec.nodeName={node},metadata.name=none")
            }
        };
        ListParams::default().match_any().fields(&fields)
    }

    fn listing(&self) -> ListParams {
        ListParams {
            field_selector: self.fields(),
            resource_version: Some(self.version.clone()),
            ..ListParams::default()
        }
    }

    fn following(&self) -> WatchParams {
        WatchParams {
            field_selector: self.fields(),
            ..WatchParams::default()
        }
    }

    fn watching(&self) -> watcher::Config {
        let config = watcher::Config {
            field_selector: self.fields(),
            ..watcher::Config::default()
        };
        config.streaming_lists()
    }

    fn fields(&self) -> Option<String> {
        match &self.selection {
            Selection::All => None,
            Selection::OnNode(node) => Some(format!("spec.nodeName={node}")),
            Selection::NotOnNode(node) => Some(format!("spec.nodeName!={node},{NOT_FINISHED}")),
        }
    }
}

/// The body of an answer, or the error that it says.
async fn successful(answer: http::Response<Body>) -> kube::Result<Body> {
    let code = answer.status();
    if code.is_success() {
        return Ok(answer.into_body());
    }
    let body = Limited::new(answer.into_body(), LONGEST_ERROR)
        .collect()
        .await;
    let text = body.map_err(kube::Error::Service)?.to_bytes();
    let status = serde_json::from_slice(&text).unwrap_or_else(|_| {
        Status::failure(&String::from_utf8_lossy(&text), "").with_code(code.as_u16())
    });
    Err(kube::Error::Api(Box::new(status)))
}

#[cfg(test)]
mod tests;
