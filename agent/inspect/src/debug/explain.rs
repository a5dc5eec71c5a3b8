//! `/api/explain`: asks the owner of the address book.

use std::{net::IpAddr, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
};
use tokio::{sync::oneshot, time::timeout};
use zonemeter_model::{
    address::{self, ADDRESS},
    recent::{self, Explanation},
};

use super::{
    Question,
    answer::{Evidence, Explained, Refusal},
    flows::end,
    query::{Parameters, refuse},
};

/// The owner answers between two drains; a drain of a full map takes well under a second.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn explain(
    State(state): State<super::State>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Json<Explained>, Refusal> {
    let parameters = Parameters::new(pairs, &["address"])?;
    let address = parameters.read("address", ADDRESS, address::address)?;
    let address = address.ok_or_else(|| refuse("address", "", ADDRESS))?;
    match timeout(PATIENCE, ask(&state, address)).await {
        Ok(Some(explanation)) => Ok(Json(answer(explanation))),
        Ok(None) | Err(_) => Err(no_answer(address)),
    }
}

async fn ask(state: &super::State, address: IpAddr) -> Option<Explanation> {
    let (answer, receiver) = oneshot::channel();
    state
        .questions
        .send(Question { address, answer })
        .await
        .ok()?;
    receiver.await.ok()
}

fn no_answer(address: IpAddr) -> Refusal {
    Refusal {
        status: StatusCode::SERVICE_UNAVAILABLE,
        parameter: "address".to_owned(),
        value: address.to_string(),
        why: "no answer: the agent starts, stops or stalls, see /livez of its listen port"
            .to_owned(),
    }
}

fn answer(explanation: Explanation) -> Explained {
    let Explanation {
        address,
        scope,
        via,
        party,
        evidence,
    } = explanation;
    Explained {
        scope: scope.name().to_owned(),
        via: via.name().to_owned(),
        holder: end(&party, address, 0),
        evidence: evidence.into_iter().map(row).collect(),
    }
}

fn row(evidence: recent::Evidence) -> Evidence {
    Evidence {
        source: evidence.source.name().to_owned(),
        says: evidence.says,
        age_seconds: evidence.age.map(|age| age.as_secs_f64()),
        decides: evidence.decides,
    }
}
