//! Draws the [`State`] into a frame, whatever its size.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style, Stylize as _},
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use super::{
    columns::{Column, Table, written},
    head,
    state::{Panel, State},
    units::cut,
};
use crate::view::{Reading, Row};
use zonemeter_model::text::visible;

/// Keys, in the order of their use.
const KEYS: [(&str, &str); 12] = [
    ("g", "group by pair, workload, pod, connection"),
    ("s", "sort by dollars, total, transmit, receive, name"),
    ("w", "window: 1m, 5m, 1h, since the start"),
    ("/", "filter: part of a name, namespace/name, Service, CIDR"),
    ("z", "only what crosses zones, and back"),
    ("n", "only the selected row's namespace, and back"),
    ("enter", "why: what the numbers of this row stand on"),
    ("f", "fold connections by Service, and back"),
    ("J", "the row as JSON"),
    ("p", "pause, and go on"),
    ("esc", "no filter, scope or namespace; close what is open"),
    ("q", "quit"),
];
const FOOT: &str = "q quit  ? keys  g group  s sort  w window  / filter  enter why  z across zones  n namespace  p pause";

/// How much of the screen errors may take.
const LINES_OF_ERRORS: usize = 4;

/// Whether there are colours; without them everything is said by words, bold and reverse video.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub(super) colour: bool,
}

impl Palette {
    fn coloured(self, style: Style, colour: Color) -> Style {
        match self.colour {
            true => style.fg(colour),
            false => style,
        }
    }
}

/// Draws all of it; notes how many rows there is room for.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, palette: Palette) {
    let heading = heading(state, frame.area().width, palette);
    let parts = Layout::vertical([
        Constraint::Length(heading.len() as u16),
        Constraint::Min(0),
        Constraint::Length(1),
    ]);
    let [top, middle, foot] = parts.areas(frame.area());
    state.page = usize::from(middle.height.saturating_sub(1));
    frame.render_widget(Paragraph::new(heading), top);
    match &state.reading {
        Some(reading) => table(frame, middle, state, reading, palette),
        None => frame.render_widget("asking …", middle),
    }
    frame.render_widget(footing(state, foot.width, palette), foot);
    match &state.panel {
        Panel::None | Panel::Filter { .. } => {}
        Panel::Help => over(frame, middle, "keys", &help(), 0),
        Panel::Text {
            title,
            lines,
            above,
        } => over(frame, middle, title, lines, *above),
    }
}

fn heading(state: &State, width: u16, palette: Palette) -> Vec<Line<'static>> {
    let (empty, width) = (Reading::default(), usize::from(width));
    let reading = state.reading.as_ref().unwrap_or(&empty);
    let paused = if state.paused { "PAUSED · " } else { "" };
    let title = format!("zonemeter top · {paused}");
    let room = width.saturating_sub(title.chars().count());
    let first = title + &head::about_within(room, reading);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = vec![Line::styled(
        cut(&first, width),
        palette.coloured(bold, Color::Cyan),
    )];
    let errors: Vec<&str> = state
        .error
        .iter()
        .chain(&reading.failed)
        .chain(&reading.lacks)
        .map(String::as_str)
        .collect();
    if errors.is_empty() {
        lines.push(Line::from(cut(
            &head::choices(&state.question, reading),
            width,
        )));
    }
    let text: Vec<char> = visible(&errors.join("; ")).chars().collect();
    // The reason stands at the end.
    for part in text.chunks(width.max(1)).take(LINES_OF_ERRORS) {
        let part: String = part.iter().collect();
        lines.push(Line::styled(part, palette.coloured(bold, Color::Red)));
    }
    lines
}

fn footing(state: &State, width: u16, palette: Palette) -> Line<'static> {
    match &state.panel {
        Panel::Filter { .. } => {
            let text = format!("filter: {}_", visible(&state.question.search));
            Line::from(cut(&text, width.into())).bold()
        }
        _ => Line::styled(
            cut(FOOT, width.into()),
            palette.coloured(Style::new(), Color::DarkGray),
        ),
    }
}

/// The head of the columns, and as many rows around the selected one as fit.
fn table(frame: &mut Frame<'_>, area: Rect, state: &State, reading: &Reading, palette: Palette) {
    let table = Table::new(reading, state.question.group);
    let columns = table.fit(usize::from(area.width).saturating_sub(1));
    let cells = columns
        .iter()
        .map(|(column, room)| written(table.head(*column), *column, *room));
    let head = format!(" {}", cells.collect::<Vec<_>>().join(" "));
    let mut lines = vec![Line::from(head).bold().underlined()];
    let room = usize::from(area.height).saturating_sub(1);
    let above = (state.selected + 1).saturating_sub(room);
    let shown = reading.rows.iter().enumerate().skip(above).take(room);
    for (place, row) in shown {
        let line = line(&table, row, &columns, palette);
        lines.push(match place == state.selected {
            true => line.add_modifier(Modifier::REVERSED),
            false => line,
        });
    }
    if reading.rows.is_empty() {
        lines.push(Line::from(format!(
            " nothing matches: {}",
            head::count(reading)
        )));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn line(
    table: &Table<'_>,
    row: &Row,
    columns: &[(Column, usize)],
    palette: Palette,
) -> Line<'static> {
    let charged = row.pair.dollars_per_month.is_some_and(|cost| cost >= 0.005);
    let mut spans = vec![Span::raw(" ")];
    for (index, (column, room)) in columns.iter().enumerate() {
        let style = match column {
            Column::Scope | Column::Dollars if charged => {
                palette.coloured(Style::new().add_modifier(Modifier::BOLD), Color::Red)
            }
            Column::Trend => palette.coloured(Style::new(), Color::Cyan),
            _ => Style::new(),
        };
        if index > 0 {
            spans.push(Span::raw(" "));
        }
        let cell = written(&table.cell(row, *column), *column, *room);
        spans.push(Span::styled(cell, style));
    }
    Line::from(spans)
}

fn help() -> Vec<String> {
    let lines = KEYS.iter().map(|(key, what)| format!("{key:<6} {what}"));
    let notes = [
        "",
        "Rates are bytes per second, a mean over the window; OUT is from the first end.",
        "$/MO is what 730 hours at that rate cost, both ends of the pair together.",
        "TOTAL is both directions since the agent's start.",
    ];
    lines.chain(notes.map(str::to_owned)).collect()
}

/// A box over the table; lines are cut, not wrapped.
fn over(frame: &mut Frame<'_>, area: Rect, title: &str, lines: &[String], above: usize) {
    let widest = lines.iter().map(|line| super::units::width(line)).max();
    let wanted = |content: usize| u16::try_from(content + 2).unwrap_or(u16::MAX);
    let width = wanted(widest.unwrap_or_default().max(title.len() + 8)).min(area.width);
    let height = wanted(lines.len()).min(area.height);
    let inside = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let room = usize::from(width.saturating_sub(2));
    let text: Vec<Line<'_>> = lines
        .iter()
        .skip(above)
        .map(|line| Line::from(cut(&visible(line), room)))
        .collect();
    let title = format!(" {title} · esc ");
    frame.render_widget(Clear, inside);
    frame.render_widget(
        Paragraph::new(text).block(Block::bordered().title(title)),
        inside,
    );
}

#[cfg(test)]
#[path = "screen/tests.rs"]
mod tests;
