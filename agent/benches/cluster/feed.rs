//! The measured process: the feed, and a book of what it says in place of the account.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use zonemeter_cluster::{Feed, Source};
use zonemeter_model::cluster::{Change, Kind, Name, Object};

use crate::populate;

/// Memory that the listing has left free goes back to the system by then.
const SETTLE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Book {
    objects: HashMap<(Kind, Name), Object>,
    own_pods: usize,
    listing: Option<Instant>,
    done: usize,
}

/// Lists the cluster, then prints times and memory.
pub(crate) fn measure(kubeconfig: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        println!("before: RSS {}", memory("VmRSS"));
        let (sender, mut changes) = mpsc::channel(1024);
        let source = Source::Api {
            kubeconfig: Some(kubeconfig.into()),
            node: populate::node(0),
        };
        let (feed, _health) = Feed::new(source, sender);
        let started = Instant::now();
        tokio::spawn(feed.run());
        let mut book = Book::default();
        while book.done < Kind::ALL.len() {
            let change = changes.recv().await.unwrap();
            book.take(change, started);
        }
        let listing = book.listing.unwrap();
        println!(
            "ready {:.2?} after the start, {:.2?} after the list of pods began",
            started.elapsed(),
            listing.elapsed()
        );
        println!(
            "{} objects, peak RSS {}",
            book.objects.len(),
            memory("VmHWM")
        );
        let _ = tokio::time::timeout(SETTLE, async {
            while let Some(change) = changes.recv().await {
                book.take(change, started);
            }
        })
        .await;
        println!("steady RSS {} after {SETTLE:?}", memory("VmRSS"));
    });
}

impl Book {
    fn take(&mut self, change: Change, started: Instant) {
        match change {
            Change::ListStarted(Kind::Pod) => self.listing = Some(Instant::now()),
            Change::ListStarted(_) => {}
            Change::ListDone(_) => self.done += 1,
            Change::Deleted(kind, name) => drop(self.objects.remove(&(kind, name))),
            Change::Applied(object) => {
                self.own(&object, started);
                self.objects.insert((object.kind(), object.name()), object);
            }
        }
    }

    fn own(&mut self, object: &Object, started: Instant) {
        let Object::Pod(pod) = object else { return };
        if pod.node.as_deref() == Some(populate::node(0).as_str()) {
            self.own_pods += 1;
            if self.own_pods == populate::PODS_OF_A_NODE {
                println!(
                    "pods of this node known {:.2?} after the start",
                    started.elapsed()
                );
            }
        }
    }
}

/// A line of `/proc/self/status` in MB.
fn memory(field: &str) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap();
    let kilobytes: f64 = line
        .trim_matches([':', ' ', '\t', 'k', 'B'])
        .parse()
        .unwrap();
    format!("{:.1} MB", kilobytes * 1024.0 / 1e6)
}
