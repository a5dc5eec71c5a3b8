//! What is added to the first rows and to the sums: what the month has cost so far (AWS bills by UTC
//! months), and the same time a week ago.

use std::{collections::HashMap, sync::Arc};

use anyhow::Result;
use futures::future::try_join_all;
use jiff::{Timestamp, tz::TimeZone};

use super::{
    Store,
    expression::Span,
    http::{Labels, Sample},
    now, rows,
};
use crate::{
    debug::pairs::answer::ScopeSum,
    view::{Group, Key, Question, Reading, Row},
};

/// Times are rounded to it, so that an answer is used again.
const STEP: u64 = 300;
/// Rows of which it is asked, from the first.
const MOST_ROWS: usize = 100;
/// Pairs in one question: VictoriaMetrics reads 16 KiB of one.
const ROWS_AT_ONCE: usize = 20;

/// Values of both ends of each row, by what a row is known by.
type Ends = HashMap<Key, f64>;

impl Store {
    /// Adds both; [`Reading::lacks`] says where it cannot.
    pub(crate) async fn add_earlier(&self, reading: &mut Reading, question: &Question, span: Span) {
        let time = now() as u64 / STEP * STEP;
        let asked: Vec<Row> = match question.group {
            Group::Pair => reading.rows.iter().take(MOST_ROWS.min(question.limit)),
            _ => reading.rows.iter().take(0),
        }
        .cloned()
        .collect();
        let (month, week) = tokio::join!(
            self.month(&asked, question, time),
            self.week(&asked, question, span, time)
        );
        match month {
            Ok((sums, ends)) => add_month(reading, &asked, &sums, &ends),
            Err(error) => reading.lacks.push(format!("month to date: {error:#}")),
        }
        match week {
            Ok((sums, ends)) => add_week(reading, &asked, &sums, &ends),
            Err(error) => reading.lacks.push(format!("a week ago: {error:#}")),
        }
    }

    async fn month(
        &self,
        asked: &[Row],
        question: &Question,
        time: u64,
    ) -> Result<(Arc<Vec<Sample>>, Ends)> {
        let seconds = time.saturating_sub(month_start(time)?).max(STEP);
        let charged = asked
            .iter()
            .filter(|row| row.pair.dollars_per_month.is_some_and(|cost| cost > 0.0));
        let charged: Vec<Row> = charged.cloned().collect();
        let expressions = self.expressions();
        let sums = self.whole(question, expressions.spent(seconds), time);
        let ends = self.ends(&charged, time, |rows| expressions.spent_by(rows, seconds));
        tokio::try_join!(sums, ends)
    }

    async fn week(
        &self,
        asked: &[Row],
        question: &Question,
        span: Span,
        time: u64,
    ) -> Result<(Arc<Vec<Sample>>, Ends)> {
        let expressions = self.expressions();
        let sums = self.whole(question, expressions.sums_a_week_ago(span), time);
        let ends = self.ends(asked, time, |rows| expressions.week_ago_by(rows, span));
        tokio::try_join!(sums, ends)
    }

    /// Sums are of the whole cluster: none where there are filters.
    async fn whole(
        &self,
        question: &Question,
        expression: String,
        time: u64,
    ) -> Result<Arc<Vec<Sample>>> {
        match question.namespace.is_none() && question.search.is_empty() {
            true => self.sum(expression, time as f64).await,
            false => Ok(Arc::default()),
        }
    }

    async fn ends(&self, rows: &[Row], time: u64, ask: impl Fn(&[Row]) -> String) -> Result<Ends> {
        let questions = rows
            .chunks(ROWS_AT_ONCE)
            .map(|rows| self.sum(ask(rows), time as f64));
        let mut ends = Ends::new();
        for sample in try_join_all(questions)
            .await?
            .iter()
            .flat_map(|one| one.iter())
        {
            let row = rows::row(&rows::key(&sample.metric));
            let direction = &sample.metric.direction;
            *ends.entry(end_key(&row, direction)).or_default() += sample.value;
        }
        Ok(ends)
    }
}

/// Of the row and, where the values have one, of the direction.
fn end_key(row: &Row, direction: &str) -> Key {
    let (local, peer, scope, _) = row.key();
    (local, peer, scope, direction.to_owned())
}

fn of_sums<'a>(
    reading: &'a mut Reading,
    samples: &'a [Sample],
) -> impl Iterator<Item = (&'a mut ScopeSum, f64)> {
    reading.about.scopes.iter_mut().filter_map(|sum| {
        let is_its = |sample: &&Sample| {
            let Labels { scope, via, .. } = &sample.metric;
            *scope == sum.scope && *via == sum.via
        };
        let found = samples.iter().find(is_its)?;
        Some((sum, found.value))
    })
}

/// The rows that were asked for, where they still are.
fn of_asked<'a>(reading: &'a mut Reading, asked: &[Row]) -> impl Iterator<Item = &'a mut Row> {
    reading.rows.iter_mut().take(asked.len())
}

/// Both ends of a pair together.
fn add_month(reading: &mut Reading, asked: &[Row], sums: &[Sample], ends: &Ends) {
    for (sum, spent) in of_sums(reading, sums) {
        sum.month_to_date_dollars = Some(spent);
    }
    for row in of_asked(reading, asked) {
        let own = ends.get(&end_key(row, "")).copied();
        let of_peer = ends.get(&end_key(&row.turned(), "")).copied();
        let of_peer = of_peer.filter(|_| row.pair.local != row.pair.peer);
        row.pair.month_to_date_dollars = match (own, of_peer) {
            (None, None) => row.pair.dollars_per_month.map(|_| 0.0),
            (own, of_peer) => Some(own.unwrap_or_default() + of_peer.unwrap_or_default()),
        };
    }
}

/// What one end sends the other receives: the larger one of both, as in the rows.
fn add_week(reading: &mut Reading, asked: &[Row], sums: &[Sample], ends: &Ends) {
    let is_known = !sums.is_empty() || !ends.is_empty();
    for (sum, rate) in of_sums(reading, sums) {
        sum.bytes_per_second_week_ago = Some(rate);
    }
    for row in of_asked(reading, asked).filter(|_| is_known) {
        let turned = row.turned();
        let rate = |row: &Row, direction: &str| {
            let rate = ends.get(&end_key(row, direction)).copied();
            rate.unwrap_or_default()
        };
        let there = rate(row, "transmit").max(rate(&turned, "receive"));
        let back = rate(row, "receive").max(rate(&turned, "transmit"));
        row.pair.bytes_per_second_week_ago = Some(there + back);
    }
}

/// Unix time of the begin of the UTC month of a Unix time.
fn month_start(time: u64) -> Result<u64> {
    let time = Timestamp::from_second(i64::try_from(time)?)?.to_zoned(TimeZone::UTC);
    let start = time.first_of_month()?.start_of_day()?.timestamp();
    Ok(u64::try_from(start.as_second())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `date --utc --date=… +%s`.
    #[test]
    fn a_month_begins_at_its_first_midnight_in_utc() {
        for (time, start) in [
            (0, 0),
            (2_678_399, 0),                 // 1970-01-31 23:59:59
            (2_678_400, 2_678_400),         // 1970-02-01
            (951_782_400, 949_363_200),     // 2000-02-29, 2000-02-01
            (951_868_800, 951_868_800),     // 2000-03-01
            (1_709_251_199, 1_706_745_600), // 2024-02-29 23:59:59, 2024-02-01
            (1_795_996_799, 1_793_491_200), // 2026-11-29 23:59:59, 2026-11-01
            (1_798_761_599, 1_796_083_200), // 2026-12-31 23:59:59, 2026-12-01
        ] {
            assert_eq!(month_start(time).unwrap(), start, "{time}");
        }
    }
}
