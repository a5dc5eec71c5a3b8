//! The feed from the live Kubernetes API: five watches, one stream of changes.

use anyhow::anyhow;
use tokio::{sync::mpsc, task::JoinSet};
use zonemeter_model::cluster::{Change, Kind, Name, Object, part};
use zonemeter_model::strings::Strings;

use super::{
    Closed,
    access::Access,
    field::Unread,
    health::{Counter, Reporter},
    pods::{PodEvent, Pods},
    trim,
    watch::{Event, Selection, Watch},
    watched::Watched,
    wire::{self, Wire},
};

/// The parts of this feed's health, in the order of the reporters.
pub(super) const PARTS: [(&str, Counter); 5] = [
    (part::NODES, Counter::WatchErrors(Kind::Node)),
    (part::OWN_PODS, Counter::WatchErrors(Kind::Pod)),
    (part::OTHER_PODS, Counter::WatchErrors(Kind::Pod)),
    (part::SERVICES, Counter::WatchErrors(Kind::Service)),
    (part::SLICES, Counter::WatchErrors(Kind::EndpointSlice)),
];

/// Events that may wait between a watch and the stream of changes.
const WAITING: usize = 16;

/// Feeds until nobody takes the changes any more.
///
/// # Errors
/// When a task panicked.
pub(super) async fn run(
    access: Access,
    node: String,
    changes: mpsc::Sender<Change>,
    [nodes, own, others, services, slices]: [Reporter; PARTS.len()],
) -> anyhow::Result<()> {
    let mut tasks = Tasks {
        access,
        running: JoinSet::new(),
    };
    let own = tasks.watch(Selection::OnNode(node.clone()), own);
    let others = tasks.watch(Selection::NotOnNode(node), others);
    tasks
        .running
        .spawn(ignore_closed(pods(own, others, changes.clone())));
    tasks.all::<wire::Node>(nodes, &changes);
    tasks.all::<wire::Service>(services, &changes);
    tasks.all::<wire::EndpointSlice>(slices, &changes);
    while let Some(ended) = tasks.running.join_next().await {
        ended.map_err(|error| anyhow!("a watch of the cluster panicked: {error}"))?;
    }
    Ok(())
}

struct Tasks {
    access: Access,
    running: JoinSet<()>,
}

impl Tasks {
    fn watch<W: Wire + Sync>(&mut self, selection: Selection, reporter: Reporter) -> Source<W> {
        let (sender, events) = mpsc::channel(WAITING);
        let watch = Watch::new(self.access.clone(), selection, reporter.clone(), sender);
        self.running.spawn(watch.run());
        Source { events, reporter }
    }

    fn all<W: Wire + Sync>(&mut self, reporter: Reporter, changes: &mpsc::Sender<Change>) {
        let source = self.watch::<W>(Selection::All, reporter);
        self.running
            .spawn(ignore_closed(forward(source, changes.clone())));
    }
}

/// That nobody takes the changes any more is how a feed ends.
async fn ignore_closed(forwarding: impl Future<Output = Result<(), Closed>>) {
    let _ = forwarding.await;
}

/// The events of one watch and whom to tell about them.
struct Source<W: Wire> {
    events: mpsc::Receiver<Event<W>>,
    reporter: Reporter,
}

/// Passes one kind on, for as long as somebody takes the changes.
async fn forward<W: Wire>(
    mut source: Source<W>,
    changes: mpsc::Sender<Change>,
) -> Result<(), Closed> {
    let mut strings = Strings::default();
    while let Some(event) = next(&mut source, &changes).await {
        let change = match event {
            Event::Init => Some(Change::ListStarted(W::KIND)),
            Event::Apply(it) | Event::InitApply(it) => {
                source.trim(&it, &mut strings).map(Change::Applied)
            }
            Event::Delete(it) => source
                .name(&it, &mut strings)
                .map(|name| Change::Deleted(W::KIND, name)),
            Event::InitDone => {
                changes.send(Change::ListDone(W::KIND)).await?;
                source.reporter.listed();
                None
            }
        };
        if let Some(change) = change {
            changes.send(change).await?;
        }
    }
    Ok(())
}

async fn next<W: Wire>(source: &mut Source<W>, changes: &mpsc::Sender<Change>) -> Option<Event<W>> {
    tokio::select! {
        event = source.events.recv() => event,
        () = changes.closed() => None,
    }
}

/// Passes the pods of both watches on, this node's first.
async fn pods(
    mut own: Source<wire::Pod>,
    mut others: Source<wire::Pod>,
    changes: mpsc::Sender<Change>,
) -> Result<(), Closed> {
    let (mut pods, mut strings, mut out) = (Pods::default(), Strings::default(), Vec::new());
    loop {
        let listed = tokio::select! {
            biased;
            () = changes.closed() => return Ok(()),
            Some(event) = own.events.recv() => {
                let event = own.pod_event(event, &mut strings);
                own.pass(event, |event| pods.own(event, &mut out))
            }
            Some(event) = others.events.recv() => {
                let event = others.pod_event(event, &mut strings);
                others.pass(event, |event| pods.others(event, &mut out))
            }
            else => return Ok(()),
        };
        for change in out.drain(..) {
            changes.send(change).await?;
        }
        if let Some(reporter) = listed {
            reporter.listed();
        }
    }
}

impl<W: Wire> Source<W> {
    fn trim(&self, it: &Watched<W>, strings: &mut Strings) -> Option<Object> {
        let mut unread = Unread::default();
        let trimmed = it.object.trim(strings, &mut unread);
        self.told(it, trimmed, unread)
    }

    fn name(&self, it: &Watched<W>, strings: &mut Strings) -> Option<Name> {
        let mut unread = Unread::default();
        let metadata = it.object.metadata().read("metadata", &mut unread);
        let name = trim::name(metadata, strings, &mut unread);
        self.told(it, name, unread)
    }

    /// What was read; the rest is said.
    fn told<T>(
        &self,
        it: &Watched<W>,
        read: Result<T, trim::Nameless>,
        mut unread: Unread,
    ) -> Option<T> {
        let mut lines = unread.take();
        let read = read.map_err(|nameless| lines.push(nameless.to_string()));
        if !lines.is_empty() {
            let object = trim::shown(it.object.metadata());
            self.reporter.unread(W::KIND, &object, &lines);
        }
        read.ok()
    }
}

impl Source<wire::Pod> {
    fn pod_event(&self, event: Event<wire::Pod>, strings: &mut Strings) -> Option<PodEvent> {
        match event {
            Event::Init => Some(PodEvent::ListStarted),
            Event::InitDone => Some(PodEvent::ListDone),
            Event::Delete(it) => Some(PodEvent::Deleted(self.name(&it, strings)?, it.version())),
            Event::Apply(it) | Event::InitApply(it) => match self.trim(&it, strings)? {
                Object::Pod(pod) => Some(PodEvent::Applied(pod, it.version())),
                Object::Node(_) | Object::Service(_) | Object::EndpointSlice(_) => None,
            },
        }
    }

    /// Passes an event on; whom to tell when it was the end of a list.
    fn pass(&self, event: Option<PodEvent>, to: impl FnOnce(PodEvent)) -> Option<Reporter> {
        let event = event?;
        let done = matches!(event, PodEvent::ListDone);
        to(event);
        done.then(|| self.reporter.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::health::reporters, *};

    /// Whoever takes the changes replaces all that it had of the kind.
    #[tokio::test]
    async fn a_list_is_passed_on_from_its_beginning_to_its_end() {
        let ([reporter], health) = reporters([("nodes", Counter::WatchErrors(Kind::Node))]);
        let (sender, events) = mpsc::channel(WAITING);
        let (changes, mut told) = mpsc::channel(WAITING);
        let node = json!({"metadata": {"name": "one", "resourceVersion": "7"}});
        let node: Watched<wire::Node> = serde_json::from_value(node).unwrap();
        for event in [Event::Init, Event::InitApply(node), Event::InitDone] {
            sender.send(event).await.unwrap();
        }
        drop(sender);
        forward(Source { events, reporter }, changes).await.unwrap();
        let mut next = async || told.recv().await;
        assert_eq!(next().await, Some(Change::ListStarted(Kind::Node)));
        assert!(matches!(next().await, Some(Change::Applied(_))));
        assert_eq!(next().await, Some(Change::ListDone(Kind::Node)));
        assert_eq!(next().await, None);
        assert!(health.borrow().listed());
    }
}
