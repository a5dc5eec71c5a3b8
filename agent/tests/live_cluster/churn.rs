//! Pods that come and go at a rate, whatever the server is doing.

use std::time::Duration;

use tokio::{task::JoinSet, time::MissedTickBehavior};

use crate::{api::Api, running::NODE};

pub(crate) struct Churn(tokio::task::JoinHandle<usize>);

/// Pods that live at the same time.
const ALIVE: usize = 500;

impl Churn {
    /// Begins to write `rate` new pods a second for `duration`, each deleted some seconds later.
    pub(crate) fn start(api: &Api, rate: u32, duration: Duration) -> Self {
        let api = api.clone();
        Self(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let (mut running, mut written) = (JoinSet::new(), 0);
            for number in 0..(rate as usize * duration.as_secs() as usize) {
                ticks.tick().await;
                let api = api.clone();
                running.spawn(async move { one(&api, number).await });
                while let Some(done) = running.try_join_next() {
                    written += usize::from(done.unwrap());
                }
            }
            while let Some(done) = running.join_next().await {
                written += usize::from(done.unwrap());
            }
            written
        }))
    }

    /// Waits for the end; how many pods were written in full.
    pub(crate) async fn finish(self) -> usize {
        self.0.await.unwrap()
    }
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
