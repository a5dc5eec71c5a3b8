//! Pods that come and go at a rate, whatever the server is doing.

use std::time::Duration;

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::MissedTickBehavior,
};

use crate::{api::Api, running::NODE};

pub(crate) struct Churn(JoinHandle<()>, watch::Receiver<usize>);

/// Pods that live at the same time.
const ALIVE: usize = 500;
/// Pods that are being written at the same time.
const WRITERS: usize = 64;
/// A busy machine does not keep the rate.
const DEADLINE: Duration = Duration::from_secs(480);

impl Churn {
    /// Begins to write `pods` new pods, `rate` a second, each deleted some seconds later. What
    /// fails because the server is away does not count.
    pub(crate) fn start(api: &Api, rate: u32, pods: usize) -> Self {
        let (count, written) = watch::channel(0);
        Self(tokio::spawn(write(api.clone(), rate, pods, count)), written)
    }

    /// Waits until so many pods were written.
    pub(crate) async fn reaches(&mut self, pods: usize) {
        let reached = self.1.wait_for(|written| *written >= pods);
        drop(
            tokio::time::timeout(DEADLINE, reached)
                .await
                .expect("churn in time")
                .unwrap(),
        );
    }

    /// Waits until all were written.
    pub(crate) async fn finish(self) {
        tokio::time::timeout(DEADLINE, self.0)
            .await
            .expect("churn in time")
            .unwrap();
    }
}

async fn write(api: Api, rate: u32, pods: usize, count: watch::Sender<usize>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut running, mut number) = (JoinSet::new(), 0);
    while *count.borrow() < pods {
        ticks.tick().await;
        if running.len() == WRITERS {
            running.join_next().await.unwrap().unwrap();
        }
        let (api, count) = (api.clone(), count.clone());
        running.spawn(async move {
            let written = one(&api, number).await;
            count.send_modify(|count| *count += usize::from(written));
        });
        number += 1;
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

/// One pod comes, one goes; false where the server was away.
async fn one(api: &Api, number: usize) -> bool {
    let node = [NODE, "n2", "n3"][number % 3];
    let address = format!(
        "10.{}.{}.{}",
        100 + number % 3,
        number / 250 % 250,
        number % 250 + 1
    );
    let made = api
        .try_make_pod("churn", &pod(number), Some(node), &address)
        .await;
    if let Some(old) = number.checked_sub(ALIVE) {
        // Gone already where the server was away when it should have come.
        let _ = api.try_delete_pod("churn", &pod(old)).await;
    }
    made.is_ok()
}

/// Names come back on other nodes, as a StatefulSet's do.
fn pod(number: usize) -> String {
    format!("p{}", number % 1_000)
}
