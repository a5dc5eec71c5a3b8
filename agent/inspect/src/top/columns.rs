//! Which columns a table has, and how wide they are.

use super::{
    units::{self, dollars, short, width},
    zones,
};
use crate::view::{Group, Reading, Row};
use zonemeter_model::text::visible;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Local,
    Way,
    Peer,
    Via,
    Zones,
    Scope,
    Out,
    In,
    Trend,
    Week,
    Total,
    Dollars,
    Month,
}

/// From left to right.
const ALL: [Column; 13] = [
    Column::Local,
    Column::Way,
    Column::Peer,
    Column::Via,
    Column::Zones,
    Column::Scope,
    Column::Out,
    Column::In,
    Column::Trend,
    Column::Week,
    Column::Total,
    Column::Dollars,
    Column::Month,
];
/// What goes first where there is no room.
const DROPPED: [Column; 6] = [
    Column::Via,
    Column::Trend,
    Column::Total,
    Column::Week,
    Column::Month,
    Column::Scope,
];
/// As wide as each of the two names should be before anything else is shown beside them.
const NAME: usize = 18;
/// As wide as each of them should be before the scope is.
const LEAST_NAME: usize = 8;
/// Widest list of Services.
const VIA: usize = 20;
/// Parts of the window that are drawn.
pub(super) const TREND: usize = 8;
/// Heights of a part, from nothing to the largest one.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What cells are written by.
pub(super) struct Table<'a> {
    pub(super) rows: &'a [Row],
    group: Group,
    /// What all zones begin with.
    shared: &'a str,
    /// Totals since the start are known.
    totals: bool,
}

impl<'a> Table<'a> {
    pub(super) fn new(reading: &'a Reading, group: Group) -> Self {
        let zones = reading.rows.iter().flat_map(|row| {
            let pair = &row.pair;
            [&*pair.local.zone, &*pair.peer.zone]
        });
        Self {
            rows: &reading.rows,
            group,
            shared: zones::shared(zones),
            totals: matches!(group, Group::Pair | Group::Workload)
                && reading
                    .rows
                    .iter()
                    .all(|row| row.pair.bytes_per_second_week_ago.is_none()),
        }
    }

    /// Zones as they are, for a table that nobody has to fit into a screen.
    pub(super) fn with_whole_zones(self) -> Self {
        Self { shared: "", ..self }
    }

    pub(super) fn head(&self, column: Column) -> &'static str {
        match (column, self.group) {
            (Column::Local, Group::Pair | Group::Workload) => "WORKLOAD",
            (Column::Local, _) => "POD",
            (Column::Way | Column::Trend, _) => "",
            (Column::Peer, Group::Pair | Group::Connection) => "PEER",
            (Column::Peer, _) => "PEERS",
            (Column::Via, _) => "VIA",
            (Column::Zones, _) => "ZONES",
            (Column::Scope, _) => "SCOPE",
            (Column::Out, _) => "OUT/s",
            (Column::In, _) => "IN/s",
            (Column::Week, _) => "WEEK",
            (Column::Total, _) => "TOTAL",
            (Column::Dollars, _) => "$/MO",
            (Column::Month, _) => "$ SO FAR",
        }
    }

    /// On one line, whatever others wrote into names.
    pub(super) fn cell(&self, row: &Row, column: Column) -> String {
        visible(&self.text(row, column)).into_owned()
    }

    fn text(&self, row: &Row, column: Column) -> String {
        let pair = &row.pair;
        match column {
            Column::Local => row.local(),
            Column::Way => way(row).to_owned(),
            Column::Peer => match row.folded {
                _ if self.group != Group::Connection => row.peer(),
                1 => row.peer(),
                count => format!("{} ({count})", row.peer()),
            },
            Column::Via => row.via(),
            Column::Zones => match self.group {
                Group::Workload | Group::Pod if pair.peer.zone.is_empty() => {
                    zones::short(&pair.local.zone, self.shared)
                }
                _ => zones::between(&pair.local.zone, &pair.peer.zone, self.shared),
            },
            Column::Scope => pair.scope.clone(),
            Column::Out => short(pair.transmit.bytes_per_second),
            Column::In => short(pair.receive.bytes_per_second),
            Column::Trend => trend(&pair.trend),
            Column::Week => change(row),
            Column::Total => short(pair.total_bytes as f64),
            Column::Dollars => dollars(pair.dollars_per_month),
            Column::Month => dollars(pair.month_to_date_dollars),
        }
    }

    /// The columns that fit into `room` cells, each with its width.
    pub(super) fn fit(&self, room: usize) -> Vec<(Column, usize)> {
        let mut columns: Vec<Column> = ALL.into_iter().filter(|one| self.has(*one)).collect();
        let widest = |column: &Column| self.widest(*column);
        let mut widths: Vec<usize> = columns.iter().map(widest).collect();
        for (column, width) in columns.iter().zip(&mut widths) {
            match column {
                Column::Via => *width = (*width).min(VIA),
                Column::Trend => *width = TREND,
                Column::Out | Column::In => *width = (*width).max(5),
                _ => {}
            }
        }
        let names = [Column::Local, Column::Peer];
        let wanted = |widths: &[usize], columns: &[Column], name: usize| {
            let all = columns.iter().zip(widths);
            let all = all.filter(|(column, _)| names.contains(column));
            all.map(|(_, width)| (*width).min(name)).sum::<usize>()
        };
        for column in DROPPED {
            let left = room.saturating_sub(beside_names(&columns, &widths));
            let name = match column {
                Column::Scope => LEAST_NAME,
                _ => NAME,
            };
            if left >= wanted(&widths, &columns, name) {
                break;
            }
            if let Some(place) = columns.iter().position(|one| *one == column) {
                columns.remove(place);
                widths.remove(place);
            }
        }
        let left = room.saturating_sub(beside_names(&columns, &widths));
        share(&columns, &mut widths, left);
        columns.into_iter().zip(widths).collect()
    }

    /// All columns as wide as their widest cell.
    pub(super) fn whole(&self) -> Vec<(Column, usize)> {
        let columns = ALL.into_iter().filter(|one| self.has(*one));
        let columns = columns.filter(|column| *column != Column::Trend);
        columns
            .map(|column| (column, self.widest(column)))
            .collect()
    }

    fn widest(&self, column: Column) -> usize {
        let cells = self.rows.iter().map(|row| width(&self.cell(row, column)));
        let widest = cells.chain([width(self.head(column))]).max();
        widest.unwrap_or_default()
    }

    fn has(&self, column: Column) -> bool {
        let any = |filled: &dyn Fn(&Row) -> bool| self.rows.iter().any(filled);
        match column {
            Column::Via => any(&|row| !row.via().is_empty()),
            Column::Trend => any(&|row| !row.pair.trend.is_empty()),
            Column::Total => self.totals,
            Column::Week => any(&|row| row.pair.bytes_per_second_week_ago.is_some()),
            Column::Month => any(&|row| row.pair.month_to_date_dollars.is_some()),
            Column::Dollars => any(&|row| row.pair.dollars_per_month.is_some()),
            _ => true,
        }
    }
}

/// Cells of everything but the two names, with a space between two columns.
fn beside_names(columns: &[Column], widths: &[usize]) -> usize {
    let all = columns.iter().zip(widths);
    let beside = all.filter(|(column, _)| !matches!(column, Column::Local | Column::Peer));
    beside.map(|(_, width)| width).sum::<usize>() + columns.len().saturating_sub(1)
}

/// Gives the names what is left: each as much as it needs, or half.
fn share(columns: &[Column], widths: &mut [usize], left: usize) {
    let place = |column: Column| columns.iter().position(|one| *one == column);
    let (Some(local), Some(peer)) = (place(Column::Local), place(Column::Peer)) else {
        return;
    };
    let half = left / 2;
    let (first, second) = match (widths[local] <= half, widths[peer] <= left - half) {
        (true, _) => (widths[local], widths[peer].min(left - widths[local])),
        (false, true) => (widths[local].min(left - widths[peer]), widths[peer]),
        (false, false) => (half, left - half),
    };
    (widths[local], widths[peer]) = (first, second);
}

/// Which way bytes went.
fn way(row: &Row) -> &'static str {
    let pair = &row.pair;
    match (pair.transmit.bytes, pair.receive.bytes) {
        (0, 0) => "--",
        (_, 0) => "->",
        (0, _) => "<-",
        _ => "<>",
    }
}

/// Against the same time a week ago.
fn change(row: &Row) -> String {
    let pair = &row.pair;
    let now = pair.transmit.bytes_per_second + pair.receive.bytes_per_second;
    match pair.bytes_per_second_week_ago {
        None => String::new(),
        Some(earlier) if earlier <= 0.0 => "new".to_owned(),
        Some(earlier) if now >= 10.0 * earlier => format!("x{}", short(now / earlier)),
        Some(earlier) => format!("{:+.0}%", 100.0 * (now / earlier - 1.0)),
    }
}

/// Bars of the newest parts, the largest one as high as a line.
fn trend(parts: &[f64]) -> String {
    let parts: Vec<f64> = joined(parts);
    let most = parts.iter().copied().fold(0.0, f64::max);
    let bar = |part: &f64| match most > 0.0 {
        true => BARS[((part / most * 8.0).ceil() as usize).min(8)],
        false => BARS[0],
    };
    parts.iter().map(bar).collect()
}

/// In [`TREND`] parts at most.
fn joined(parts: &[f64]) -> Vec<f64> {
    let size = parts.len().div_ceil(TREND).max(1);
    let groups = parts.rchunks(size).rev();
    groups
        .map(|group| group.iter().sum::<f64>() / group.len() as f64)
        .collect()
}

/// A cell in its column's room.
pub(super) fn written(cell: &str, column: Column, room: usize) -> String {
    let cut = match column {
        Column::Local | Column::Peer => units::cut_name(cell, room),
        _ => units::cut(cell, room),
    };
    units::pad(&cut, room, is_number(column))
}

pub(super) fn is_number(column: Column) -> bool {
    matches!(
        column,
        Column::Out | Column::In | Column::Week | Column::Total | Column::Dollars | Column::Month
    )
}

#[cfg(test)]
mod tests;
