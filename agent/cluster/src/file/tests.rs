use std::{fs, path::PathBuf, time::Duration};

use serde_json::json;
use tokio::sync::watch;
use zonemeter_model::cluster::Object;

use super::*;
use crate::{Feed, Health, Source};

const DEADLINE: Duration = Duration::from_secs(20);

struct Running {
    _folder: tempfile::TempDir,
    path: PathBuf,
    changes: mpsc::Receiver<Change>,
    health: watch::Receiver<Health>,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

fn started(content: &str) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.json");
    fs::write(&path, content).unwrap();
    let (sender, changes) = mpsc::channel(1);
    let (feed, health) = Feed::new(Source::File(path.clone()), sender);
    Running {
        _folder: folder,
        path,
        changes,
        health,
        task: tokio::spawn(feed.run()),
    }
}

fn pods(names: &[&str]) -> String {
    let pod = |name: &&str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}});
    let items: Vec<_> = names.iter().map(pod).collect();
    json!({"kind": "List", "items": items}).to_string()
}

impl Running {
    /// All changes up to the last kind's `ListDone`.
    async fn whole_list(&mut self) -> Vec<Change> {
        let mut list = Vec::new();
        while list.last() != Some(&Change::ListDone(Kind::EndpointSlice)) {
            let next = tokio::time::timeout(DEADLINE, self.changes.recv()).await;
            list.push(next.expect("a change in time").expect("a running feed"));
        }
        list
    }

    async fn health(&mut self, condition: impl FnMut(&Health) -> bool) -> Health {
        let reached = tokio::time::timeout(DEADLINE, self.health.wait_for(condition)).await;
        reached.expect("the health in time").unwrap().clone()
    }
}

fn expected(pods: &[&str]) -> Vec<String> {
    let mut lines = vec!["+Node".to_owned(), "-Node".into(), "+Pod".into()];
    lines.extend(pods.iter().map(|name| (*name).to_owned()));
    lines.extend(
        [
            "-Pod",
            "+Service",
            "-Service",
            "+EndpointSlice",
            "-EndpointSlice",
        ]
        .map(str::to_owned),
    );
    lines
}

fn told(list: &[Change]) -> Vec<String> {
    let line = |change: &Change| match change {
        Change::ListStarted(kind) => format!("+{}", kind.name()),
        Change::ListDone(kind) => format!("-{}", kind.name()),
        Change::Applied(Object::Pod(pod)) => pod.name.name.to_string(),
        other @ (Change::Applied(_) | Change::Deleted(..)) => panic!("{other:?}"),
    };
    list.iter().map(line).collect()
}

#[tokio::test]
async fn every_kind_is_listed_again_when_the_file_changes() {
    let mut feed = started(&pods(&["a", "b"]));
    assert_eq!(told(&feed.whole_list().await), expected(&["a", "b"]));
    feed.health(Health::listed).await;
    fs::write(&feed.path, pods(&["b"])).unwrap();
    assert_eq!(told(&feed.whole_list().await), expected(&["b"]));
}

#[tokio::test]
async fn a_bad_file_is_reported_and_changes_nothing() {
    let mut feed = started(&pods(&["a"]));
    feed.whole_list().await;
    let (good, path) = (pods(&["a", "b"]), feed.path.clone());
    fs::write(&path, &good[..good.len() - 9]).unwrap();
    let health = feed.health(|health| health.reload_failures == 1).await;
    let line = health.missing(std::time::SystemTime::now()).join("\n");
    for part in [
        path.to_str().unwrap(),
        "ends in the middle",
        "line 1 column",
        "kubectl get",
        "rename",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    assert!(health.listed() && !line.contains('\n'));
    assert!(feed.changes.try_recv().is_err());
    fs::write(&path, good).unwrap();
    assert_eq!(told(&feed.whole_list().await), expected(&["a", "b"]));
    feed.health(|health| health.parts[0].failing.is_none())
        .await;
}

/// Read again with the next change, the same field counts again and is logged once.
#[tokio::test]
async fn a_field_that_cannot_be_read_is_counted_and_costs_nothing_else() {
    let bad = pods(&["a", "b"]).replacen(r#""name":"a""#, r#""name":"a","uid":7"#, 1);
    let mut feed = started(&bad);
    assert_eq!(told(&feed.whole_list().await), expected(&["a", "b"]));
    let health = feed.health(Health::listed).await;
    assert_eq!(
        (health.unread_fields, health.reload_failures),
        ([0, 1, 0, 0], 0)
    );
    fs::write(&feed.path, format!("{bad}\n")).unwrap();
    feed.whole_list().await;
    let health = feed.health(|health| health.unread_fields[1] == 2).await;
    assert_eq!(health.missing(std::time::SystemTime::now()), [""; 0]);
}

#[tokio::test]
async fn a_missing_file_is_awaited() {
    let mut feed = started("");
    fs::remove_file(&feed.path).unwrap();
    let health = feed.health(|health| health.reload_failures > 0).await;
    assert!(!health.listed());
    fs::write(&feed.path, pods(&["a"])).unwrap();
    assert_eq!(told(&feed.whole_list().await), expected(&["a"]));
    feed.health(Health::listed).await;
}

#[tokio::test]
async fn ends_when_nobody_listens() {
    let mut feed = started(&pods(&["a"]));
    feed.whole_list().await;
    drop(feed.changes);
    tokio::time::timeout(DEADLINE, feed.task)
        .await
        .expect("the feed ends")
        .unwrap()
        .unwrap();
}
