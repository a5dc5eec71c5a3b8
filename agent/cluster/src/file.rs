//! The feed from a file (`--cluster-file`): a whole list each time its content changes.

use std::{fs::File, io::BufReader, path::Path};

use anyhow::Context;
use tokio::sync::mpsc;
use zonemeter_io::{
    files::{READ_WITHIN, ReaderThread},
    reread::Reread,
};
use zonemeter_model::cluster::{Change, Kind};
use zonemeter_model::strings::Strings;

use super::{
    Closed,
    health::Reporter,
    list::{self, Listed},
};

/// Objects of a cluster are some kB each, and a cluster has up to some 100,000.
const CLUSTER_BYTES: u64 = 2 << 30;

/// Feeds until nobody takes the changes any more. A bad file is reported, and the last good
/// content stays in force.
pub(super) async fn run(path: &Path, changes: mpsc::Sender<Change>, reporter: Reporter) {
    let mut reread = Reread::new(path, CLUSTER_BYTES);
    let (apart, mut strings) = (ReaderThread::default(), Strings::default());
    loop {
        let opened = tokio::select! {
            opened = reread.changed() => opened,
            () = changes.closed() => return,
        };
        let read = match opened.context("it cannot be read") {
            Ok(file) => match read_apart(&apart, file, std::mem::take(&mut strings)).await {
                Ok((read, known)) => {
                    strings = known;
                    read
                }
                Err(stuck) => {
                    reread.unread();
                    Err(stuck.into())
                }
            },
            Err(error) => Err(error),
        };
        match read {
            Err(error) => reporter.failed(&line(path, &error)),
            Ok(listed) => {
                log(path, &listed);
                for item in &listed.unread {
                    reporter.unread(item.kind, &item.object, &item.lines);
                }
                if send(listed, &changes).await.is_err() {
                    return;
                }
                reporter.listed();
            }
        }
    }
}

/// Reads on a thread of its own: a large file takes a second or two.
async fn read_apart(
    apart: &ReaderThread,
    file: File,
    mut strings: Strings,
) -> std::io::Result<(anyhow::Result<Listed>, Strings)> {
    let read = move || {
        let listed = list::read(BufReader::with_capacity(1 << 16, file), &mut strings);
        (listed, strings)
    };
    apart.run(READ_WITHIN, read).await
}

fn line(path: &Path, error: &anyhow::Error) -> String {
    format!(
        "cluster file {}: {error:#}; write it whole and rename it into place, as printed by \
         `kubectl get nodes,pods,services,endpointslices -A -o json`",
        path.display()
    )
}

fn log(path: &Path, listed: &Listed) {
    let [nodes, pods, services, slices] = Kind::ALL.map(|kind| listed.objects(kind).len());
    tracing::info!(path = %path.display(), nodes, pods, services, slices, "read the cluster file");
    if !listed.ignored.is_empty() {
        let ignored: Vec<String> = listed
            .ignored
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let ignored = ignored.join(", ");
        tracing::info!(path = %path.display(), ignored, "passed over other kinds");
    }
}

async fn send(mut listed: Listed, changes: &mpsc::Sender<Change>) -> Result<(), Closed> {
    for kind in Kind::ALL {
        changes.send(Change::ListStarted(kind)).await?;
        for object in listed.take(kind) {
            changes.send(Change::Applied(object)).await?;
        }
        changes.send(Change::ListDone(kind)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
