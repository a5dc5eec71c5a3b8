//! What a pair costs.

use crate::prices::Prices;
use zonemeter_model::{
    snapshot::{Scope, Via},
    traffic::Direction,
};

use super::totals::{Both, Key};

/// Hours of a month, as AWS counts them.
const MONTH_SECONDS: f64 = 730.0 * 3600.0;
/// Networks of the networks file whose names begin so are load balancers, endpoints and transit
/// gateways: AWS does not charge for crossing zones to them (`docs/networks.md`).
const EXEMPT: [&str; 4] = ["alb/", "elb/", "vpce/", "tgw/"];

/// Dollars a month for this much in so many seconds, both ends of the pair together.
pub(super) fn dollars_per_month(prices: &Prices, key: &Key, moved: Both, seconds: f64) -> f64 {
    if seconds <= 0.0 || is_exempt(key) {
        return 0.0;
    }
    let [transmit, receive] = moved.map(|count| count.bytes as f64);
    let price = |direction| prices.per_gigabyte(key.scope, direction, key.via.name());
    let [sent, received] = Direction::ALL.map(price);
    let mut dollars = transmit * sent + receive * received;
    if is_charged_at_both_ends(key) {
        dollars += receive * sent + transmit * received;
    }
    if crosses_to_gateway(key) {
        let price = |direction| prices.per_gigabyte(Scope::CrossZone, direction, "");
        let [sent, received] = Direction::ALL.map(price);
        dollars += transmit * sent + receive * received;
    }
    dollars / prices.gigabyte_bytes() / seconds * MONTH_SECONDS
}

/// A NAT gateway in another zone: this end pays for crossing zones beside what the gateway takes.
fn crosses_to_gateway(key: &Key) -> bool {
    let (zone, gateway) = (&*key.zone, &*key.peer_zone);
    key.via == Via::Nat && !zone.is_empty() && !gateway.is_empty() && zone != gateway
}

fn is_exempt(key: &Key) -> bool {
    let name = &key.peer_workload.name;
    key.scope == Scope::CrossZone
        && is_network(key)
        && EXEMPT.iter().any(|prefix| name.starts_with(prefix))
}

/// Between zones both ends pay; of what is no pod or node of the cluster (a database) the end here
/// does.
fn is_charged_at_both_ends(key: &Key) -> bool {
    key.scope == Scope::CrossZone && !is_network(key)
}

fn is_network(key: &Key) -> bool {
    &*key.peer_workload.kind == "Network"
}
