//! A feed that runs, and what its changes imply.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use zonemeter_cluster::{Feed, Health, Source};
use zonemeter_model::cluster::Kind;

use crate::{
    api::Api,
    book::{Book, Objects},
};

/// The node whose agent this is.
pub(crate) const NODE: &str = "n1";

const DEADLINE: Duration = Duration::from_secs(90);

pub(crate) struct Running {
    book: Arc<Mutex<Book>>,
    changed: watch::Receiver<()>,
    health: watch::Receiver<Health>,
    tasks: [JoinHandle<()>; 2],
}

impl Running {
    /// The live feed of this node's agent.
    pub(crate) fn start(kubeconfig: &Path) -> Self {
        Self::of(Source::Api {
            kubeconfig: Some(kubeconfig.into()),
            node: NODE.into(),
        })
    }

    pub(crate) fn of(source: Source) -> Self {
        let (sender, mut changes) = mpsc::channel(64);
        let (feed, health) = Feed::new(source, sender);
        let (book, (signal, changed)) = (Arc::<Mutex<Book>>::default(), watch::channel(()));
        let writing = Arc::clone(&book);
        let collect = async move {
            while let Some(change) = changes.recv().await {
                writing.lock().unwrap().apply(change);
                signal.send_replace(());
            }
        };
        let run = async move { feed.run().await.unwrap() };
        Self {
            book,
            changed,
            health,
            tasks: [tokio::spawn(run), tokio::spawn(collect)],
        }
    }

    pub(crate) fn book(&self) -> Objects {
        self.book.lock().unwrap().objects.clone()
    }

    /// Finished lists by kind.
    pub(crate) fn lists_done(&self) -> [usize; 4] {
        self.book.lock().unwrap().lists_done
    }

    pub(crate) fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    pub(crate) async fn listed(&mut self) {
        self.until(Health::listed).await;
    }

    pub(crate) async fn works(&mut self) {
        self.until(|health| health.missing(SystemTime::now()).is_empty())
            .await;
    }

    /// Waits until a part fails with a line that has `text`, and returns the line.
    pub(crate) async fn failing(&mut self, part: &str, text: &str) -> String {
        let line = |health: &Health| {
            let part = health.parts.iter().find(|each| each.name == part).unwrap();
            part.failing.as_ref().map(|failing| failing.line.clone())
        };
        self.until(|health| line(health).is_some_and(|line| line.contains(text)))
            .await;
        line(&self.health()).unwrap_or_default()
    }

    /// Waits until so many more lists or watches of pods have failed.
    pub(crate) async fn pods_fail(&mut self, times: u64) {
        let failed = |health: &Health| health.watch_errors[Kind::Pod as usize];
        let enough = failed(&self.health()) + times;
        self.until(|health| failed(health) >= enough).await;
    }

    async fn until(&mut self, condition: impl FnMut(&Health) -> bool) {
        let reached = tokio::time::timeout(DEADLINE, self.health.wait_for(condition)).await;
        let reached = reached.is_ok_and(|health| health.is_ok());
        assert!(reached, "still: {:?}", self.health());
    }

    /// Waits until the book holds what the API holds, object by object.
    pub(crate) async fn equals(&mut self, api: &Api) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let expected = api.objects().await;
        while self.book() != expected {
            if tokio::time::timeout_at(deadline, self.changed.changed())
                .await
                .is_err()
            {
                let book = self.book();
                let missing: Vec<_> = expected
                    .iter()
                    .filter(|(key, it)| book.get(key) != Some(it))
                    .collect();
                let wrong: Vec<_> = book
                    .iter()
                    .filter(|(key, it)| expected.get(key) != Some(it))
                    .collect();
                panic!(
                    "the API has {missing:#?}\nthe book has {wrong:#?}\n{:?}",
                    self.health()
                );
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
