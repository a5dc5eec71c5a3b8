//! What the cluster and the files say of this node: the conditions that a running agent shows, in
//! the same words.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use zonemeter_account::{Account, Settings};
use zonemeter_attach::links::{InterfaceNames, LinkEvent, Links};
use zonemeter_cluster::{Feed, Health};
use zonemeter_datapath::object::Role;
use zonemeter_model::{
    cluster::{Change, Kind},
    condition::{Condition, Conditions, Status},
    traffic::InterfaceChange,
};

use super::report::Requirement;
use crate::{config::Config, feeds};

/// How long the cluster may take to be read.
const READ_WITHIN: Duration = Duration::from_secs(15);
/// How long the interfaces and their routes may take.
const LISTED_WITHIN: Duration = Duration::from_secs(5);
const CHANGES_WAITING: usize = 1024;

pub(super) async fn conditions(config: &Config) -> Vec<Requirement> {
    let mut account = Account::new(Settings::new(Arc::clone(&config.node_name)));
    let missing = read(config, &mut account).await;
    // Without interfaces another line says so, and every pod lacks one.
    let interfaces = timeout(
        LISTED_WITHIN,
        interfaces(config.names.clone(), &mut account),
    );
    let listed = interfaces.await.context("listing interfaces");
    let pods_listed = listed.and_then(|listed| listed);
    let [nodes, pods, services, slices] = account.snapshot().cluster_objects;
    let cluster = match missing.is_empty() {
        true => Status::Holds,
        false => Status::Fails(missing.join("; ")),
    };
    let found = format!("{nodes} nodes, {pods} pods, {services} Services, {slices} slices");
    let Conditions {
        own_node,
        pods_counted,
        uncounted_pods,
    } = account.conditions(Instant::now());
    let pods_counted = match pods_listed {
        Ok(()) => pods_counted,
        Err(error) => Status::Unknown(format!("{error:#}")),
    };
    vec![
        line(
            Condition::Cluster,
            found,
            "objects that can be read",
            cluster,
        ),
        line(
            Condition::OwnNode,
            config.node_name.as_ref(),
            "the name of a Node object",
            own_node,
        ),
        line(
            Condition::PodsCounted,
            format!("{uncounted_pods} without"),
            "an interface that is counted for each pod with an address",
            pods_counted,
        ),
    ]
}

fn line(
    condition: Condition,
    found: impl Into<String>,
    needed: impl Into<String>,
    status: Status,
) -> Requirement {
    let requirement = Requirement::ok(condition.name(), found, needed);
    match status {
        Status::Holds => requirement,
        Status::Unknown(text) | Status::InPart(text) => requirement.but(text),
        Status::Fails(text) => requirement.unless(text),
    }
}

/// Reads every list once; what could not be read in time or at all.
async fn read(config: &Config, account: &mut Account) -> Vec<String> {
    let (changes_in, mut changes) = mpsc::channel(CHANGES_WAITING);
    let (feed, mut health) = Feed::new(config.cluster.clone(), changes_in);
    let running = feed.run();
    let taking = async {
        let mut lists = Kind::ALL.len();
        while lists > 0 {
            let Some(change) = changes.recv().await else {
                return;
            };
            lists -= usize::from(matches!(change, Change::ListDone(_)));
            account.apply(change, Instant::now());
        }
    };
    let failed = wait_for_failure(&mut health);
    tokio::select! {
        _ = running => {}
        () = taking => return Vec::new(),
        () = failed => {}
        () = tokio::time::sleep(READ_WITHIN) => {}
    }
    health.borrow().missing(SystemTime::now())
}

/// Returns once each part was listed or has failed, and one has failed.
async fn wait_for_failure(health: &mut watch::Receiver<Health>) {
    let done = |health: &Health| {
        let mut parts = health.parts.iter();
        !health.listed() && parts.all(|part| part.listed || part.failing.is_some())
    };
    if health.wait_for(done).await.is_err() {
        std::future::pending().await
    }
}

async fn interfaces(names: InterfaceNames, account: &mut Account) -> Result<()> {
    let mut links = Links::subscribe(names)?;
    let (links, routes) = loop {
        if let LinkEvent::Listed(links, routes) = links.next().await? {
            break (links, routes);
        }
    };
    let now = Instant::now();
    for link in links.iter().filter(|link| link.role == Role::Pod) {
        account.interface(InterfaceChange::Attached(link.announced()), now);
    }
    for route in routes {
        let change = InterfaceChange::Routed(route.interface, route.address);
        account.interface(change, now);
    }
    Ok(())
}

pub(super) fn networks_file(path: Option<&Path>) -> Requirement {
    let needed = "a file that names what is no pod and no node";
    let Some(path) = path else {
        let without = Status::InPart(feeds::WITHOUT_NETWORKS.to_owned());
        return line(Condition::NetworksFile, "none", needed, without);
    };
    let (found, status) = match feeds::read_networks(path) {
        Ok(networks) => (format!("{} networks", networks.len()), Status::Holds),
        Err(error) => ("refused".to_owned(), Status::Fails(format!("{error:#}"))),
    };
    line(Condition::NetworksFile, found, needed, status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::report::Status as Found;

    #[test]
    fn a_condition_fails_where_the_agent_would_not_be_ready() {
        let status = |status| line(Condition::OwnNode, "a1", "a Node", status).status;
        assert_eq!(status(Status::Holds), Found::Ok);
        assert_eq!(status(Status::InPart("some".to_owned())), Found::Warning);
        assert_eq!(status(Status::Fails("none".to_owned())), Found::Failed);
    }
}
