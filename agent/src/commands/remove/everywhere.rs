//! Waiting for a DaemonSet whose pods are ready once they have removed.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use zonemeter_cluster::objects::{self, ObjectName};
use zonemeter_io::output;

/// How often it is looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// Returns when a pod is ready on every node that should have one.
///
/// # Errors
/// Time is over: how many nodes are left, and how to see which; or the API's own line.
pub(super) async fn wait(name: &ObjectName, patience: Duration) -> Result<()> {
    let client = objects::client().await?;
    let deadline = Instant::now() + patience;
    loop {
        let last = objects::daemon_set(&client, name).await;
        match last.map(|found| Nodes::of(&found)) {
            Ok(Some(Nodes { ready, wanted })) if ready == wanted => {
                return output::print(&format!("removed on {wanted} nodes\n"));
            }
            Err(error) if Instant::now() > deadline => return Err(error),
            Ok(nodes) if Instant::now() > deadline => bail!("{}", late(name, patience, nodes)),
            Ok(_) | Err(_) => sleep(PERIOD).await,
        }
    }
}

fn late(name: &ObjectName, patience: Duration, nodes: Option<Nodes>) -> String {
    let patience = humantime::format_duration(patience);
    let shown = nodes.map_or_else(
        || "nobody has scheduled its pods".to_owned(),
        |Nodes { ready, wanted }| format!("done on {ready} of {wanted} nodes"),
    );
    let ObjectName { namespace, .. } = name;
    format!(
        "{name}: {shown} in {patience}: `kubectl -n {namespace} get pods -o wide` shows which are \
         not Running; programs stay on those nodes until they restart"
    )
}

/// How many nodes are done, of how many.
#[derive(Debug, PartialEq)]
struct Nodes {
    ready: u64,
    wanted: u64,
}

impl Nodes {
    /// `None` as long as the controller has not looked at this DaemonSet.
    fn of(found: &Value) -> Option<Self> {
        let generation = found["metadata"]["generation"].as_u64();
        let status = &found["status"];
        let seen = status["observedGeneration"].as_u64();
        if seen.is_none() || seen < generation {
            return None;
        }
        Some(Self {
            ready: status["numberReady"].as_u64().unwrap_or_default(),
            wanted: status["desiredNumberScheduled"].as_u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_of_an_earlier_generation_says_nothing() {
        let found = |seen: Value| {
            let status = json!({ "observedGeneration": seen, "desiredNumberScheduled": 3, "numberReady": 2 });
            Nodes::of(&json!({ "metadata": { "generation": 2 }, "status": status }))
        };
        assert_eq!(found(json!(null)), None);
        assert_eq!(found(json!(1)), None);
        let (ready, wanted) = (2, 3);
        assert_eq!(found(json!(2)), Some(Nodes { ready, wanted }));
    }
}
