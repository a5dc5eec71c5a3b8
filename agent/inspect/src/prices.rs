//! What a gigabyte costs: the price rows of the rules file that Prometheus reads too, so that the
//! page, `top` and the dashboards count in the same money.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use zonemeter_model::{
    snapshot::{Scope, direction_name},
    syntax,
    traffic::Direction,
};

/// The rows that are prices.
const PRICE: &str = "zonemeter:price:dollars_per_gigabyte";
/// The row that says how many bytes a gigabyte has.
const GIGABYTE: &str = "zonemeter:gigabyte:bytes";
/// What the list prices that come with zonemeter are labelled with.
const DEFAULT_LIST: &str = "default";

/// Prices by scope, direction and way out.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    rows: Vec<Price>,
    gigabyte_bytes: f64,
}

/// What a gigabyte costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// What it is charged for.
    pub scope: Scope,
    /// Seen from the pod.
    pub direction: Direction,
    /// The way out for which it holds; empty for every one without a row of its own.
    pub via: String,
    /// For a gigabyte.
    pub dollars: f64,
    /// The date of the price, such as `2025-09`.
    pub as_of: String,
    /// One of the list prices that come with zonemeter: rows of one's own come before it.
    is_default: bool,
}

#[derive(Deserialize)]
#[serde(expecting = "a rules file with groups")]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(expecting = "a group with rules")]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(expecting = "a recording rule")]
struct Rule {
    #[serde(default)]
    record: String,
    #[serde(default)]
    expr: String,
    #[serde(default)]
    labels: Labels,
}

#[derive(Default, Deserialize)]
struct Labels {
    #[serde(default)]
    list: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    direction: String,
    #[serde(default)]
    via: String,
    #[serde(default)]
    as_of: String,
}

impl Prices {
    /// Reads a rules file; other rules than prices are passed over.
    ///
    /// # Errors
    /// One line: no YAML, a price that is no number, a scope or direction that does not exist, no
    /// price at all.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = serde_saphyr::from_str(text)
            .map_err(|error| anyhow::anyhow!("{}", syntax::yaml(&error)))?;
        let mut prices = Self {
            rows: Vec::new(),
            gigabyte_bytes: 1e9,
        };
        for rule in file.groups.iter().flat_map(|group| &group.rules) {
            match &*rule.record {
                PRICE => prices.add(rule)?,
                GIGABYTE => {
                    prices.gigabyte_bytes = constant(&rule.expr).context(GIGABYTE)?;
                    ensure!(
                        prices.gigabyte_bytes > 0.0,
                        "{GIGABYTE}: {}: a gigabyte has bytes",
                        rule.expr
                    );
                }
                _ => {}
            }
        }
        ensure!(
            !prices.rows.is_empty(),
            "it has no rule {PRICE}: give a file like deploy/prometheus/zonemeter.prices.yaml"
        );
        Ok(prices)
    }

    fn add(&mut self, rule: &Rule) -> Result<()> {
        let Labels {
            list,
            scope,
            direction,
            via,
            as_of,
        } = &rule.labels;
        let place = || format!("{PRICE}{{scope={scope:?}, direction={direction:?}}}");
        let named = Scope::ALL.into_iter().find(|one| one.name() == scope);
        let found = Direction::ALL
            .into_iter()
            .find(|one| direction_name(*one) == direction);
        let price = Price {
            scope: named.with_context(|| format!("{}: there is no such scope", place()))?,
            direction: found.with_context(|| format!("{}: transmit or receive", place()))?,
            via: via.clone(),
            dollars: constant(&rule.expr).with_context(place)?,
            as_of: as_of.clone(),
            is_default: list == DEFAULT_LIST,
        };
        self.rows.push(price);
        Ok(())
    }

    /// The price in force: a row of one's own before a default one, of equals the higher one.
    pub fn find(&self, scope: Scope, direction: Direction, via: &str) -> Option<&Price> {
        let of = |via: &str| {
            let rows = self
                .rows
                .iter()
                .filter(|row| row.scope == scope && row.direction == direction && row.via == via);
            rows.max_by(|one, other| {
                let rank = |row: &Price| !row.is_default;
                rank(one)
                    .cmp(&rank(other))
                    .then(one.dollars.total_cmp(&other.dollars))
            })
        };
        of(via).or_else(|| of("").filter(|_| !via.is_empty()))
    }

    /// The prices in force of a scope, by direction and way out.
    pub fn of_scope(&self, scope: Scope) -> impl Iterator<Item = &Price> {
        let vias: BTreeSet<&str> = self.rows.iter().map(|row| &*row.via).collect();
        Direction::ALL.into_iter().flat_map(move |direction| {
            let in_force = vias.clone().into_iter();
            in_force.filter_map(move |via| {
                self.find(scope, direction, via)
                    .filter(|price| price.via == via)
            })
        })
    }

    /// What a gigabyte costs; 0 for what has no price.
    pub fn per_gigabyte(&self, scope: Scope, direction: Direction, via: &str) -> f64 {
        self.find(scope, direction, via)
            .map_or(0.0, |price| price.dollars)
    }

    /// How many bytes the bill's gigabyte has.
    pub fn gigabyte_bytes(&self) -> f64 {
        self.gigabyte_bytes
    }

    /// The dates of the prices in force, sorted.
    pub fn dates(&self) -> Vec<String> {
        let in_force = self.rows.iter().filter_map(|row| {
            self.find(row.scope, row.direction, &row.via)
                .map(|price| &price.as_of)
        });
        let dates: BTreeSet<&String> = in_force.filter(|date| !date.is_empty()).collect();
        dates.into_iter().cloned().collect()
    }
}

/// The number in `vector(NUMBER)`.
fn constant(expression: &str) -> Result<f64> {
    let text = expression.trim();
    let inner = text
        .strip_prefix("vector(")
        .and_then(|rest| rest.strip_suffix(')'));
    let number = inner.and_then(|inner| inner.trim().parse::<f64>().ok());
    match number {
        Some(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => bail!("{text:?}: a price is read from vector(NUMBER) only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../deploy/prometheus/zonemeter.prices.yaml");

    fn file(rows: &[(&str, &str)]) -> String {
        let mut text = "groups:\n  - name: a\n    rules:\n".to_owned();
        for (expr, labels) in rows {
            text += &format!(
                "      - record: {PRICE}\n        expr: {expr}\n        labels: {{ {labels} }}\n"
            );
        }
        text
    }

    #[test]
    fn the_shipped_file_is_read() {
        let prices = Prices::parse(SHIPPED).unwrap();
        let [transmit, receive] = Direction::ALL;
        let price = |scope, direction| prices.per_gigabyte(scope, direction, "");
        assert_eq!(price(Scope::CrossZone, transmit), 0.01);
        assert_eq!(price(Scope::CrossZone, receive), 0.01);
        assert_eq!(price(Scope::Internet, transmit), 0.09);
        assert_eq!(price(Scope::Internet, receive), 0.0);
        assert_eq!(price(Scope::IntraNode, transmit), 0.0);
        assert_eq!(prices.gigabyte_bytes(), 1e9);
        assert_eq!(prices.dates(), ["2026-05"]);
    }

    /// As the rule `zonemeter:price_in_force:dollars_per_gigabyte` has it.
    #[test]
    fn own_rows_come_first_and_of_equals_the_higher_one() {
        let internet = "scope: internet, direction: transmit";
        let text = file(&[
            (
                "vector(0.09)",
                &format!("{internet}, list: default, as_of: a"),
            ),
            ("vector(0.05)", &format!("{internet}, as_of: b")),
            ("vector(0.06)", &format!("{internet}, as_of: c")),
            ("vector(0.135)", &format!("{internet}, via: nat, as_of: d")),
        ]);
        let prices = Prices::parse(&text).unwrap();
        let price = |via| prices.per_gigabyte(Scope::Internet, Direction::Transmit, via);
        assert_eq!([price(""), price("nat"), price("igw")], [0.06, 0.135, 0.06]);
        assert_eq!(prices.dates(), ["c", "d"]);
    }

    #[test]
    fn what_is_no_price_is_named() {
        let internet = "scope: internet, direction: transmit";
        for (text, told) in [
            (file(&[]), "groups"),
            ("groups: []".to_owned(), "it has no rule"),
            (file(&[("sum(x)", internet)]), "from vector(NUMBER) only"),
            (
                file(&[("vector(-1)", internet)]),
                "from vector(NUMBER) only",
            ),
            (
                file(&[("vector(1)", "scope: far, direction: transmit")]),
                "scope=\"far\"",
            ),
            (
                file(&[("vector(1)", "scope: internet, direction: up")]),
                "transmit or receive",
            ),
        ] {
            let error = format!("{:#}", Prices::parse(&text).unwrap_err());
            assert!(error.contains(told) || told == "groups", "{told}: {error}");
        }
    }
}
