//! The answer to a question for pairs.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use crate::prices::Prices;
use zonemeter_model::{
    cluster::Workload,
    recent::Recent,
    snapshot::{Scope, Snapshot, Via},
    traffic::{Count, Direction},
};

use super::{
    answer::{Pair, PairEnd, PairTraffic, Pairs, PricesUsed, ScopeSum, ZoneSum},
    cost::dollars_per_month,
    history::{History, Point, Points},
    request::{Request, Sort},
    totals::{Both, Key, Total, totals},
};
use crate::debug::answer::{per_second, unix_seconds};

/// One pair within the window.
struct Row<'a> {
    key: &'a Key,
    total: &'a Total,
    number: Option<u32>,
    moved: Both,
    dollars: Option<f64>,
}

/// What rows move and cost together.
type Sum = (Both, Option<f64>);

/// What pairs are measured by.
struct View<'a> {
    points: &'a Points,
    begin: Option<&'a Point>,
    curve: Vec<&'a Point>,
    until: Instant,
    lasted: Duration,
    prices: Option<&'a Prices>,
}

/// Answers a request out of the last drain and what was noted before it.
pub(super) fn select(
    snapshot: &Snapshot,
    recent: &Recent,
    history: &History,
    prices: Option<&Prices>,
    request: &Request,
    now: Instant,
) -> Pairs {
    let mut answer = Pairs {
        window: request.window.name().to_owned(),
        prices: prices.map(used),
        ..Pairs::default()
    };
    if let Some(zone) = &snapshot.zone {
        answer.node = zone.node.to_string();
        answer.zone = zone.zone.to_string();
    }
    let Some(covered) = snapshot.covered else {
        return answer;
    };
    let points = history.read();
    let begin = points.begin(request.window, covered.until);
    let from = begin.map_or(covered.since, Point::at);
    let view = View {
        points: &points,
        begin,
        curve: begin.map_or(Vec::new(), |begin| points.curve(request.window, begin)),
        until: covered.until,
        lasted: covered.until.saturating_duration_since(from),
        prices,
    };
    answer.seconds = view.lasted.as_secs_f64();
    answer.since_unix_seconds = unix_seconds(covered.ended) - answer.seconds;
    answer.age_seconds = now.saturating_duration_since(covered.until).as_secs_f64();
    answer.not_attributed = view.both(
        begin.map_or([Count::ZERO; 2], Point::unattributed),
        snapshot.own_unattributed,
    );
    let totals = totals(snapshot);
    let search = request.search.as_ref();
    let seen = search.map(|search| search.seen_in(recent, |key| totals.contains_key(key)));
    let mut rows: Vec<Row<'_>> = totals
        .iter()
        .map(|(key, total)| view.row(key, total))
        .filter(|row| view.matches(row, request, seen.as_ref()))
        .collect();
    answer.total = totals.len();
    answer.matched = rows.len();
    answer.truncated = rows.len() > request.limit;
    (answer.scopes, answer.zones) = view.sums(&rows);
    if rows.len() > request.limit {
        rows.select_nth_unstable_by(request.limit, |one, other| order(request.sort, one, other));
        rows.truncate(request.limit);
    }
    rows.sort_unstable_by(|one, other| order(request.sort, one, other));
    answer.pairs = rows.iter().map(|row| view.pair(row)).collect();
    answer
}

fn used(prices: &Prices) -> PricesUsed {
    PricesUsed {
        as_of: prices.dates(),
        gigabyte_bytes: prices.gigabyte_bytes(),
    }
}

fn order(sort: Sort, one: &Row<'_>, other: &Row<'_>) -> Ordering {
    let bytes = |row: &Row<'_>, direction: Direction| row.moved[direction as usize].bytes;
    let [transmit, receive] = Direction::ALL;
    let both = |row: &Row<'_>| bytes(row, transmit).saturating_add(bytes(row, receive));
    let busier = match sort {
        Sort::Name => Ordering::Equal,
        Sort::Transmit => bytes(other, transmit).cmp(&bytes(one, transmit)),
        Sort::Receive => bytes(other, receive).cmp(&bytes(one, receive)),
        Sort::Total => both(other).cmp(&both(one)),
        Sort::Dollars => {
            let dollars = |row: &Row<'_>| row.dollars.unwrap_or_default();
            let dearer = dollars(other).total_cmp(&dollars(one));
            dearer.then_with(|| both(other).cmp(&both(one)))
        }
    };
    busier
        .then_with(|| names(one.key).cmp(&names(other.key)))
        .then_with(|| one.key.cmp(other.key))
}

fn names(key: &Key) -> [&str; 4] {
    [
        &key.namespace,
        &key.workload.name,
        &key.peer_namespace,
        &key.peer_workload.name,
    ]
}

impl<'a> View<'a> {
    fn row(&self, key: &'a Key, total: &'a Total) -> Row<'a> {
        let number = self.points.find(key);
        let before = self.before(self.begin, number);
        let moved = [0, 1].map(|index| since(before[index], total.own[index]));
        let seconds = self.lasted.as_secs_f64();
        Row {
            key,
            total,
            number,
            moved,
            dollars: self
                .prices
                .map(|prices| dollars_per_month(prices, key, moved, seconds)),
        }
    }

    fn before(&self, point: Option<&Point>, number: Option<u32>) -> Both {
        let found = point.zip(number);
        found.map_or([Count::ZERO; 2], |(point, number)| point.count(number))
    }

    fn matches(&self, row: &Row<'_>, request: &Request, seen: Option<&HashSet<Key>>) -> bool {
        let Row { key, number, .. } = row;
        let in_namespace =
            |wanted: &String| **wanted == *key.namespace || **wanted == *key.peer_namespace;
        let found = |search: &super::search::Search| {
            search.matches_names(key)
                || seen.is_some_and(|seen| seen.contains(*key))
                || number.is_some_and(|number| {
                    let mut services = self.points.services(number);
                    services.any(|service| search.matches_service(service))
                })
        };
        request.scope.is_none_or(|scope| scope == key.scope)
            && request.namespace.as_ref().is_none_or(in_namespace)
            && request.search.as_ref().is_none_or(found)
    }

    /// What all rows make up by scope, and by zones.
    fn sums(&self, rows: &[Row<'_>]) -> (Vec<ScopeSum>, Vec<ZoneSum>) {
        let mut by_scope: BTreeMap<(Scope, Via), Sum> = BTreeMap::new();
        let mut by_zone: BTreeMap<(&str, &str, Scope, Via), Sum> = BTreeMap::new();
        for row in rows {
            let key = row.key;
            add(by_scope.entry((key.scope, key.via)).or_default(), row);
            let zones = (&*key.zone, &*key.peer_zone, key.scope, key.via);
            add(by_zone.entry(zones).or_default(), row);
        }
        let scopes = by_scope.into_iter().map(|((scope, via), (sum, dollars))| {
            let [transmit, receive] = sum.map(|count| self.traffic(count));
            ScopeSum {
                scope: scope.name().to_owned(),
                via: via.name().to_owned(),
                transmit,
                receive,
                dollars_per_month: dollars,
                bytes_per_second_week_ago: None,
                month_to_date_dollars: None,
            }
        });
        let zones = by_zone
            .into_iter()
            .map(|((zone, peer_zone, scope, via), (sum, dollars))| {
                let [transmit, receive] = sum.map(|count| self.traffic(count));
                ZoneSum {
                    zone: zone.to_owned(),
                    peer_zone: peer_zone.to_owned(),
                    scope: scope.name().to_owned(),
                    via: via.name().to_owned(),
                    transmit,
                    receive,
                    dollars_per_month: dollars,
                }
            });
        (scopes.collect(), zones.collect())
    }

    fn pair(&self, row: &Row<'_>) -> Pair {
        let Row {
            key, total, number, ..
        } = row;
        let [transmit, receive] = row.moved.map(|count| self.traffic(count));
        let services = number.map(|number| self.points.services(number));
        Pair {
            local: end(&key.namespace, &key.workload, &key.zone),
            peer: end(&key.peer_namespace, &key.peer_workload, &key.peer_zone),
            host: total.host,
            services: services
                .into_iter()
                .flatten()
                .map(|service| service.to_string())
                .collect(),
            scope: key.scope.name().to_owned(),
            via: key.via.name().to_owned(),
            transmit,
            receive,
            total_bytes: total.bytes,
            dollars_per_month: row.dollars,
            trend: self.trend(total, *number),
            bytes_per_second_week_ago: None,
            month_to_date_dollars: None,
        }
    }

    /// Bytes per second between the points of the curve, the last drain at its end.
    fn trend(&self, total: &Total, number: Option<u32>) -> Vec<f64> {
        let both = |counts: Both| counts.map(|count| count.bytes).iter().sum::<u64>();
        let points = self.curve.iter();
        let mut moments: Vec<(Instant, u64)> = points
            .map(|point| (point.at(), both(self.before(Some(point), number))))
            .collect();
        if moments.last().is_some_and(|(at, _)| *at < self.until) {
            moments.push((self.until, both(total.own)));
        }
        let steps = moments.windows(2).map(|pair| {
            let [(began, before), (ended, after)] = [pair[0], pair[1]];
            per_second(
                after.checked_sub(before).unwrap_or(after),
                ended.saturating_duration_since(began),
            )
        });
        steps.collect()
    }

    fn both(&self, before: Both, now: Both) -> [PairTraffic; 2] {
        [0, 1].map(|index| self.traffic(since(before[index], now[index])))
    }

    fn traffic(&self, count: Count) -> PairTraffic {
        PairTraffic {
            bytes: count.bytes,
            packets: count.packets,
            bytes_per_second: per_second(count.bytes, self.lasted),
        }
    }
}

fn add((sum, dollars): &mut Sum, row: &Row<'_>) {
    for (sum, moved) in sum.iter_mut().zip(row.moved) {
        *sum += moved;
    }
    if let Some(more) = row.dollars {
        *dollars = Some(dollars.unwrap_or_default() + more);
    }
}

/// What came since `before`; all of it where the series began anew.
fn since(before: Count, now: Count) -> Count {
    let bytes = now.bytes.checked_sub(before.bytes);
    match (bytes, now.packets.checked_sub(before.packets)) {
        (Some(bytes), Some(packets)) => Count { bytes, packets },
        _ => now,
    }
}

fn end(namespace: &str, workload: &Workload, zone: &str) -> PairEnd {
    PairEnd {
        namespace: namespace.to_owned(),
        workload: workload.name.to_string(),
        kind: workload.kind.to_string(),
        zone: zone.to_owned(),
    }
}
