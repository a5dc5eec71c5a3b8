//! The two lines above the table.

use super::units::{dollars, short};
use crate::{
    debug::pairs::answer::{PricesUsed, ScopeSum},
    view::{Group, Question, Reading, Sort, word},
};
use zonemeter_model::text::visible;

/// What is shown: of which node, over which time, and what crossing zones and the internet come to.
pub(super) fn about(reading: &Reading) -> String {
    let [whose, sums, prices] = parts(reading);
    [whose, sums, prices].concat().join(" · ")
}

/// The same in at most `width` characters, as far as that goes: what is cut off at its end is what
/// is least looked for.
pub(super) fn about_within(width: usize, reading: &Reading) -> String {
    let whole = about(reading);
    if whole.chars().count() <= width {
        return whole;
    }
    let [mut whose, sums, prices] = parts(reading);
    if let Some((name, rest)) = whose[0].split_once('.') {
        let zone = rest.split_once(' ').map_or("", |(_, zone)| zone);
        whose[0] = format!("{name} {zone}").trim_end().to_owned();
    }
    [sums, whose, prices].concat().join(" · ")
}

/// Whose numbers these are, what they come to, and the date of the prices.
fn parts(reading: &Reading) -> [Vec<String>; 3] {
    let about = &reading.about;
    if about.seconds == 0.0 {
        return [vec!["no drain yet".to_owned()], Vec::new(), Vec::new()];
    }
    let mut whose = Vec::new();
    if !about.node.is_empty() {
        let zone = match about.zone.is_empty() {
            true => String::new(),
            false => format!(" {}", about.zone),
        };
        whose.push(format!("{}{zone}", visible(&about.node)));
    }
    whose.push(match &*about.window {
        "drain" => format!("last drain, {:.1} s", about.seconds),
        _ => format!("mean of {}", time(about.seconds)),
    });
    let names = [("cross_zone", "across zones"), ("internet", "internet")];
    let sums = names
        .iter()
        .filter_map(|(scope, name)| sum(&about.scopes, scope, name));
    let dates = |used: &PricesUsed| format!("prices {}", visible(&used.as_of.join(", ")));
    let prices = about.prices.iter().map(dates);
    [whose, sums.collect(), prices.collect()]
}

fn sum(scopes: &[ScopeSum], scope: &str, name: &str) -> Option<String> {
    let of_scope = || scopes.iter().filter(|sum| sum.scope == scope);
    let rate: f64 = of_scope()
        .map(|sum| sum.transmit.bytes_per_second + sum.receive.bytes_per_second)
        .sum();
    let cost: Vec<f64> = of_scope().filter_map(|sum| sum.dollars_per_month).collect();
    let cost = match cost.is_empty() {
        true => String::new(),
        false => format!(" = ${}/mo", dollars(Some(cost.iter().sum()))),
    };
    let spent: Vec<f64> = of_scope()
        .filter_map(|sum| sum.month_to_date_dollars)
        .collect();
    let spent = match spent.is_empty() {
        true => String::new(),
        false => format!(" (${} so far)", dollars(Some(spent.iter().sum()))),
    };
    (rate > 0.0).then(|| format!("{name} {} B/s{cost}{spent}", short(rate)))
}

fn time(seconds: f64) -> String {
    match seconds as u64 {
        seconds @ ..600 => format!("{seconds} s"),
        seconds @ ..36_000 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// What was chosen, and how much of it there is.
pub(super) fn choices(question: &Question, reading: &Reading) -> String {
    let mut parts = vec![format!(
        "{}s by {}",
        word(&question.group),
        sorted_by(question, reading)
    )];
    if matches!(question.group, Group::Pair | Group::Workload) {
        parts.push(word(&question.window));
    }
    let filters = [
        ("scope", question.scope.as_deref()),
        ("namespace", question.namespace.as_deref()),
        ("filter", Some(&*question.search)),
    ];
    for (name, value) in filters {
        let value = value.filter(|value| !value.is_empty());
        parts.extend(value.map(|value| format!("{name} {value}")));
    }
    parts.push(count(reading));
    visible(&parts.join(" · ")).into_owned()
}

/// Without prices nothing is sorted by dollars.
fn sorted_by(question: &Question, reading: &Reading) -> String {
    match (question.sort, &reading.about.prices) {
        (Sort::Dollars, None) => word(&Sort::Total),
        (sort, _) => word(&sort),
    }
}

/// `4 of 4`; the second number is what there is before the filters.
pub(super) fn count(reading: &Reading) -> String {
    let about = &reading.about;
    let cut = match about.truncated || reading.rows.len() < about.matched {
        true => format!(", {} shown", reading.rows.len()),
        false => String::new(),
    };
    format!("{} of {}{cut}", about.matched, about.total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        debug::pairs::answer::{PairTraffic, Pairs},
        view::Window,
    };

    fn reading() -> Reading {
        let sum = |scope: &str, via: &str, rate, dollars| ScopeSum {
            scope: scope.to_owned(),
            via: via.to_owned(),
            transmit: PairTraffic {
                bytes_per_second: rate,
                ..PairTraffic::default()
            },
            dollars_per_month: dollars,
            ..ScopeSum::default()
        };
        let about = Pairs {
            node: "ip-10-0-1-1".to_owned(),
            zone: "us-east-2a".to_owned(),
            window: "1m".to_owned(),
            seconds: 60.4,
            total: 7,
            matched: 4,
            scopes: vec![
                sum("intra_node", "", 5e9, Some(0.0)),
                sum("cross_zone", "", 180_000.0, Some(9.46)),
                sum("internet", "nat", 5_000.0, Some(1.0)),
                sum("internet", "igw", 1_000.0, Some(0.42)),
            ],
            prices: Some(PricesUsed {
                as_of: vec!["2025-09".to_owned()],
                gigabyte_bytes: 1e9,
            }),
            ..Pairs::default()
        };
        Reading {
            about,
            ..Reading::default()
        }
    }

    #[test]
    fn the_head_says_whose_numbers_these_are_and_what_they_cost() {
        assert_eq!(
            about(&reading()),
            "ip-10-0-1-1 us-east-2a · mean of 60 s · across zones 180k B/s = $9.46/mo \
             · internet 6.0k B/s = $1.42/mo · prices 2025-09"
        );
        assert_eq!(about(&Reading::default()), "no drain yet");
    }

    #[test]
    fn where_there_is_little_room_money_comes_first() {
        let mut reading = reading();
        assert_eq!(about_within(200, &reading), about(&reading));
        reading.about.node += ".us-east-2.compute.internal";
        let said = "across zones 180k B/s = $9.46/mo · internet 6.0k B/s = $1.42/mo \
                    · ip-10-0-1-1 us-east-2a · mean of 60 s · prices 2025-09";
        assert_eq!(about_within(66, &reading), said);
        reading.about.scopes.clear();
        reading.about.zone.clear();
        assert_eq!(
            about_within(1, &reading),
            "ip-10-0-1-1 · mean of 60 s · prices 2025-09"
        );
    }

    #[test]
    fn what_was_chosen_is_said_and_fits_80_columns() {
        let question = Question {
            group: Group::Connection,
            window: Window::FiveMinutes,
            sort: Sort::Total,
            scope: Some("cross_zone".to_owned()),
            namespace: Some("default".to_owned()),
            search: "dep".to_owned(),
            limit: 100,
            unfolded: false,
        };
        let mut reading = reading();
        reading.about.matched = 0;
        let said = choices(&question, &reading);
        assert_eq!(
            said,
            "connections by total · scope cross_zone · namespace default · filter dep · 0 of 7"
        );
        let plain = Question {
            group: Group::Pair,
            scope: None,
            namespace: None,
            search: String::new(),
            ..question
        };
        assert_eq!(choices(&plain, &reading), "pairs by total · 5m · 0 of 7");
    }

    #[test]
    fn without_prices_there_are_no_dollars() {
        let mut reading = reading();
        reading.about.prices = None;
        for sum in &mut reading.about.scopes {
            sum.dollars_per_month = None;
        }
        assert_eq!(
            about(&reading),
            "ip-10-0-1-1 us-east-2a · mean of 60 s · across zones 180k B/s · internet 6.0k B/s"
        );
    }

    #[test]
    fn what_is_cut_off_is_said() {
        let mut reading = reading();
        assert_eq!(count(&reading), "4 of 7, 0 shown");
        reading.about.matched = 0;
        assert_eq!(count(&reading), "0 of 7");
    }
}
