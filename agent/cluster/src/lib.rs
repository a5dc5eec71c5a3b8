//! The cluster's side of the truth: who has which address, on which node, in which zone.
//!
//! A [`Feed`] turns its [`Source`], a file or the live Kubernetes API, into one stream of
//! [`Change`]s and keeps its [`Health`] up to date. In the order of the data: `wire` (what is
//! decoded) → `trim` and `workload` (what is kept) → [`Change`].

mod access;
mod backoff;
mod decode;
mod failure;
mod field;
mod file;
mod health;
mod list;
mod live;
pub mod objects;
mod pods;
mod source_nat;
mod trim;
mod watch;
mod watched;
mod wire;
mod workload;

use std::path::PathBuf;

use tokio::sync::{mpsc, watch::Receiver};
use zonemeter_model::cluster::{Change, part};

pub use self::health::{Health, Part, PartFailure};
use self::{
    access::Access,
    health::{Counter, Reporter, reporters},
};

/// Nobody takes changes any more.
#[derive(Debug)]
struct Closed;

impl<T> std::convert::From<mpsc::error::SendError<T>> for Closed {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Self
    }
}

/// Where the cluster's objects come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// `--cluster-file`: a Kubernetes `List`, read again when it changes.
    File(PathBuf),
    /// The live Kubernetes API.
    Api {
        /// `--kubeconfig`; `None`: the account of the pod that this runs in, else `$KUBECONFIG`.
        kubeconfig: Option<PathBuf>,
        /// `--node-name`: the pods of this node are watched apart, so that nothing delays them.
        node: String,
    },
}

/// Feeds changes into a channel for as long as somebody takes them.
#[derive(Debug)]
pub struct Feed {
    changes: mpsc::Sender<Change>,
    from: From,
}

#[derive(Debug)]
enum From {
    File(PathBuf, Reporter),
    Api(Access, String, [Reporter; live::PARTS.len()]),
}

impl Feed {
    /// A feed that has not begun, and its health to watch.
    pub fn new(source: Source, changes: mpsc::Sender<Change>) -> (Self, Receiver<Health>) {
        let (from, health) = match source {
            Source::File(path) => {
                let ([reporter], health) = reporters([(part::FILE, Counter::ReloadFailures)]);
                (From::File(path, reporter), health)
            }
            Source::Api { kubeconfig, node } => {
                let (parts, health) = reporters(live::PARTS);
                (From::Api(Access::new(kubeconfig), node, parts), health)
            }
        };
        (Self { changes, from }, health)
    }

    /// Runs until the receiver of the changes is dropped. Whatever fails on the way is in the
    /// [`Health`], is tried again, and leaves what is known in force.
    ///
    /// # Errors
    /// When a task of its own panicked.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.from {
            From::File(path, reporter) => file::run(&path, self.changes, reporter).await,
            From::Api(access, node, reporters) => {
                return live::run(access, node, self.changes, reporters).await;
            }
        }
        Ok(())
    }
}
