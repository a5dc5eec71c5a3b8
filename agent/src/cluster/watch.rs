//! One list-and-watch of the API, kept up for as long as somebody takes its events.
//!
//! A session lists one object, to learn at once whether the right to list is there and the
//! server answers, and then hands over to `kube`'s watcher: a streamed list where the server has
//! it, which comes out of the server's memory object by object, else a list in pages. The
//! watcher goes on where it was after a lost connection. After a 410 a new session begins: the
//! watcher itself lists anew only where the stream says so, not where it is the answer.

use std::{pin::pin, time::Instant};

use futures::StreamExt;
use kube::{
    Api, Config,
    api::ListParams,
    runtime::watcher::{self, watcher},
};
use tokio::sync::mpsc;

use super::{
    access::{self, Access, same_server},
    backoff::Backoff,
    failure::Failure,
    health::Reporter,
    watched::Watched,
    wire::Wire,
};

/// What a watch says.
pub(super) type Event<W> = watcher::Event<Watched<W>>;

/// Objects of a page, where a list comes in pages: 2 MB of large pods.
const PAGE: u32 = 200;

/// Which objects of the kind.
#[derive(Clone, Debug)]
pub(super) enum Selection {
    /// Every one.
    All,
    /// Pods of this node.
    OnNode(String),
    /// Pods of every other node, and of none yet.
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
            server: String::new(),
        }
    }

    /// Runs until nobody takes the events any more.
    pub(super) async fn run(mut self) {
        loop {
            match self.session().await {
                End::Closed => return,
                End::Again(None) => {}
                End::Again(Some(failure)) => self.pause(&failure).await,
            }
        }
    }

    async fn session(&mut self) -> End {
        let (config, api) = match self.open().await {
            Ok(opened) => opened,
            Err(failure) => return End::Again(Some(failure)),
        };
        let mut stream = pin!(watcher(api, self.watching()));
        while let Some(event) = stream.next().await {
            let end = match event {
                Ok(event) => self.events.send(event).await.err().map(|_| End::Closed),
                Err(error) => self.failed(Failure::Watch(error), &config).await,
            };
            if let Some(end) = end {
                return end;
            }
        }
        End::Again(None)
    }

    async fn open(&mut self) -> Result<(Config, Api<Watched<W>>), Failure> {
        let config = self.access.config().await.map_err(Failure::Access)?;
        self.server = config.cluster_url.to_string();
        let client = access::client(config.clone(), self.reporter.clone());
        let api = Api::all(client.map_err(Failure::Access)?);
        api.list(&self.listing_one()).await.map_err(Failure::List)?;
        Ok((config, api))
    }

    /// Deals with a failure: pauses and goes on, unless a new session has better chances.
    async fn failed(&mut self, failure: Failure, config: &Config) -> Option<End> {
        if self.streamed && failure.is_streaming_refused() {
            tracing::info!(
                resource = W::PLURAL,
                "the API server streams no lists, reading pages"
            );
            self.streamed = false;
            return Some(End::Again(None));
        }
        let moved = self
            .access
            .config()
            .await
            .is_ok_and(|now| !same_server(config, &now));
        if failure.is_unauthorized() || failure.is_gone() || moved {
            return Some(End::Again(Some(failure)));
        }
        self.pause(&failure).await;
        None
    }

    async fn pause(&mut self, failure: &Failure) {
        self.reporter.failed(&failure.line::<W>(&self.server));
        let delay = self.backoff.after_failure(Instant::now());
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.events.closed() => {}
        }
    }

    fn listing_one(&self) -> ListParams {
        match self.fields() {
            None => ListParams::default().limit(1),
            Some(fields) => ListParams::default().limit(1).fields(&fields),
        }
    }

    fn watching(&self) -> watcher::Config {
        let config = match self.fields() {
            None => watcher::Config::default(),
            Some(fields) => watcher::Config::default().fields(&fields),
        };
        match (&self.selection, self.streamed) {
            (_, true) => config.streaming_lists(),
            // The server's memory has pods by node; its store would be read in full.
            (Selection::OnNode(_), false) => config.any_semantic(),
            (Selection::All | Selection::NotOnNode(_), false) => config.page_size(PAGE),
        }
    }

    fn fields(&self) -> Option<String> {
        match &self.selection {
            Selection::All => None,
            Selection::OnNode(node) => Some(format!("spec.nodeName={node}")),
            Selection::NotOnNode(node) => Some(format!("spec.nodeName!={node}")),
        }
    }
}

#[cfg(test)]
mod tests;
