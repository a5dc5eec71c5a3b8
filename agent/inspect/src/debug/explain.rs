//! `/api/explain`: asks the owner of the address book.

use std::time::Duration;

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use tokio::{sync::oneshot, time::timeout};
use zonemeter_model::{
    address::{self, ADDRESS},
    recent::{self, Answered, Asked, Explanation},
    snapshot::{Scope, Via, direction_name},
    traffic::Direction,
};

use super::{
    Question,
    answer::{Evidence, Explained, Explanations, GigabytePrice, Match, Refusal},
    flows::end,
    query::{Parameters, refuse},
};
use crate::prices::{Price, Prices};

/// The owner answers between two drains; a drain of a full map takes well under a second.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any name of Kubernetes or of DNS with its namespace.
const LONGEST: usize = 600;

pub(super) async fn explain(
    State(state): State<super::State>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let parameters = Parameters::new(pairs, &["address", "what"])?;
    let address = parameters.read("address", ADDRESS, address::address)?;
    let prices = std::sync::Arc::clone(&state.prices.borrow());
    let prices = prices.as_ref().as_ref();
    match (address, parameters.text("what")) {
        (Some(address), None) => {
            let name = address.to_string();
            let answered = ask(&state, ("address", &name), Asked::Address(address)).await?;
            let explained = answered.matches.into_iter().flat_map(|one| one.explained);
            let mut explained = explained.map(|one| shown(one, &answered.zone, prices));
            let first = explained.next();
            Ok(Json(first.ok_or_else(|| no_answer("address", &name))?).into_response())
        }
        (None, Some(what)) if what.len() <= LONGEST => {
            let asked = match address::address(what) {
                Some(address) => Asked::Address(address),
                None => Asked::Name(what.to_owned()),
            };
            let answered = ask(&state, ("what", what), asked).await?;
            Ok(Json(all(what, answered, prices)).into_response())
        }
        (None, Some(what)) => Err(refuse("what", what, "a name of at most 600 characters")),
        (None, None) => Err(refuse("address", "", ADDRESS)),
        (Some(_), Some(what)) => Err(refuse("what", what, "address or what, not both")),
    }
}

async fn ask(
    state: &super::State,
    (parameter, value): (&str, &str),
    asked: Asked,
) -> Result<Answered, Refusal> {
    let (answer, receiver) = oneshot::channel();
    let exchange = async {
        let question = Question { asked, answer };
        state.questions.send(question).await.ok()?;
        receiver.await.ok()
    };
    let answered = timeout(TIMEOUT, exchange).await.ok().flatten();
    answered.ok_or_else(|| no_answer(parameter, value))
}

fn no_answer(parameter: &str, value: &str) -> Refusal {
    Refusal {
        status: StatusCode::SERVICE_UNAVAILABLE,
        parameter: parameter.to_owned(),
        value: value.to_owned(),
        why: "no answer: the agent starts, stops or stalls, see /livez of its listen port"
            .to_owned(),
    }
}

fn all(what: &str, answered: Answered, prices: Option<&Prices>) -> Explanations {
    let zone = &answered.zone;
    let thing = |one: recent::Match| Match {
        kind: one.kind.to_string(),
        namespace: one.namespace.to_string(),
        name: one.name.to_string(),
        addresses: one.addresses,
        explained: one
            .explained
            .into_iter()
            .map(|one| shown(one, zone, prices))
            .collect(),
    };
    Explanations {
        what: what.to_owned(),
        node: answered.node.to_string(),
        zone: answered.zone.to_string(),
        total: answered.total,
        matches: answered.matches.into_iter().map(thing).collect(),
    }
}

/// `zone` is the one of the pods for whom this is said.
fn shown(explanation: Explanation, zone: &str, prices: Option<&Prices>) -> Explained {
    let Explanation {
        address,
        scope,
        via,
        rule,
        party,
        evidence,
    } = explanation;
    Explained {
        scope: scope.name().to_owned(),
        via: via.name().to_owned(),
        rule,
        holder: end(&party, address, 0),
        evidence: evidence.into_iter().map(row).collect(),
        prices: prices.map(|prices| in_force(prices, scope, via, [zone, &party.zone])),
    }
}

/// Those of the way out where it is told, else of all; and what crossing zones to a NAT gateway costs
/// beside them.
fn in_force(
    prices: &Prices,
    scope: Scope,
    via: Via,
    [zone, gateway]: [&str; 2],
) -> Vec<GigabytePrice> {
    let shown = |price: &Price, crossing_to: &str| GigabytePrice {
        direction: direction_name(price.direction).to_owned(),
        via: price.via.clone(),
        crossing_to: crossing_to.to_owned(),
        dollars: price.dollars,
        as_of: price.as_of.clone(),
    };
    let of_via = |scope, via| {
        Direction::ALL
            .into_iter()
            .filter_map(move |direction| prices.find(scope, direction, via))
    };
    if via == Via::Unset {
        return prices
            .of_scope(scope)
            .map(|price| shown(price, ""))
            .collect();
    }
    let mut all: Vec<_> = of_via(scope, via.name())
        .map(|price| shown(price, ""))
        .collect();
    if via == Via::Nat && ![zone, gateway].contains(&"") && zone != gateway {
        all.extend(of_via(Scope::CrossZone, "").map(|price| shown(price, gateway)));
    }
    all
}

fn row(evidence: recent::Evidence) -> Evidence {
    Evidence {
        source: evidence.source.name().to_owned(),
        says: evidence.says,
        age_seconds: evidence.age.map(|age| age.as_secs_f64()),
        decides: evidence.decides,
    }
}
