//! What the screen shows and what keys do to it. No IO: time and answers come in as arguments.

use clap::ValueEnum as _;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::view::{Group, Key, Question, Reading, Row, Sort, Window, next};

/// Everything that is on the screen.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) question: Question,
    groups: &'static [Group],
    windows: &'static [Window],
    pub(super) reading: Option<Reading>,
    /// Why the last answer did not come.
    pub(super) error: Option<String>,
    pub(super) selected: usize,
    pub(super) paused: bool,
    pub(super) panel: Panel,
    /// The row that is selected, wherever the next answer has it.
    key: Option<Key>,
    /// Rows that the screen has room for.
    pub(super) page: usize,
}

/// What lies over the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Panel {
    None,
    Help,
    /// What is typed for the filter, and what it was before.
    Filter {
        before: String,
    },
    /// A title, lines, and how many of them are scrolled away.
    Text {
        title: String,
        lines: Vec<String>,
        above: usize,
    },
}

/// What a key asks of the world.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Effect {
    None,
    /// The question is another one.
    Ask,
    /// Why this row is what it is.
    Why(Box<Row>),
    Quit,
}

impl State {
    pub(super) fn new(
        question: Question,
        groups: &'static [Group],
        windows: &'static [Window],
    ) -> Self {
        Self {
            question,
            groups,
            windows,
            reading: None,
            error: None,
            selected: 0,
            paused: false,
            panel: Panel::None,
            key: None,
            page: 10,
        }
    }

    pub(super) fn rows(&self) -> &[Row] {
        self.reading.as_ref().map_or(&[], |reading| &reading.rows)
    }

    /// Takes an answer. The selected row stays selected where it still is one.
    pub(super) fn answered(&mut self, reading: Reading) {
        let place = |key: &Key| reading.rows.iter().position(|row| row.key() == *key);
        let last = reading.rows.len().saturating_sub(1);
        let selected = self.key.as_ref().and_then(place);
        self.selected = selected.unwrap_or(self.selected).min(last);
        self.error = None;
        self.reading = Some(reading);
    }

    /// Takes a failure; what was shown stays.
    pub(super) fn failed(&mut self, error: String) {
        self.error = Some(error);
    }

    /// Takes the answer to [`Effect::Why`].
    pub(super) fn explained(&mut self, title: String, lines: Vec<String>) {
        self.panel = Panel::Text {
            title,
            lines,
            above: 0,
        };
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Effect::Quit;
        }
        match &self.panel {
            Panel::Filter { .. } => self.type_filter(key.code),
            Panel::Text { .. } | Panel::Help => self.read(key.code),
            Panel::None => self.move_or_choose(key.code),
        }
    }

    fn type_filter(&mut self, code: KeyCode) -> Effect {
        let Panel::Filter { before } = &self.panel else {
            return Effect::None;
        };
        match code {
            KeyCode::Enter => {
                self.panel = Panel::None;
                return Effect::None;
            }
            KeyCode::Esc => {
                self.question.search.clone_from(before);
                self.panel = Panel::None;
            }
            KeyCode::Backspace => {
                self.question.search.pop();
            }
            KeyCode::Char(typed) => self.question.search.push(typed),
            _ => return Effect::None,
        }
        Effect::Ask
    }

    /// In a panel of text.
    fn read(&mut self, code: KeyCode) -> Effect {
        let page = self.page.max(1);
        if let Panel::Text { lines, above, .. } = &mut self.panel {
            let last = lines.len().saturating_sub(1);
            match code {
                KeyCode::Down | KeyCode::Char('j') => *above = (*above + 1).min(last),
                KeyCode::Up | KeyCode::Char('k') => *above = above.saturating_sub(1),
                KeyCode::PageDown | KeyCode::Char(' ') => *above = (*above + page).min(last),
                KeyCode::PageUp => *above = above.saturating_sub(page),
                KeyCode::Home => *above = 0,
                _ => {}
            }
        }
        if matches!(
            code,
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | '?' | 'h' | 'J')
        ) {
            self.panel = Panel::None;
        }
        Effect::None
    }

    fn move_or_choose(&mut self, code: KeyCode) -> Effect {
        let page = self.page.max(1);
        match code {
            KeyCode::Down | KeyCode::Char('j') => self.select(self.selected.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => self.select(self.selected.saturating_sub(1)),
            KeyCode::PageDown => self.select(self.selected.saturating_add(page)),
            KeyCode::PageUp => self.select(self.selected.saturating_sub(page)),
            KeyCode::Home => self.select(0),
            KeyCode::End => self.select(usize::MAX),
            KeyCode::Char('q') => return Effect::Quit,
            KeyCode::Char('?' | 'h') => self.panel = Panel::Help,
            KeyCode::Char('/') => {
                let before = self.question.search.clone();
                self.panel = Panel::Filter { before };
            }
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('J') => self.show_json(),
            KeyCode::Enter => {
                let row = self.rows().get(self.selected);
                return row.map_or(Effect::None, |row| Effect::Why(Box::new(row.clone())));
            }
            _ => return self.choose(code),
        }
        Effect::None
    }

    /// Keys that change the question.
    fn choose(&mut self, code: KeyCode) -> Effect {
        let local = self.rows().get(self.selected);
        let namespace = local.map(|row| row.pair.local.namespace.clone());
        let question = &mut self.question;
        match code {
            KeyCode::Char('g') => question.group = next(question.group, self.groups),
            KeyCode::Char('s') => question.sort = next(question.sort, Sort::value_variants()),
            KeyCode::Char('w') => question.window = next(question.window, self.windows),
            KeyCode::Char('f') => question.unfolded = !question.unfolded,
            KeyCode::Char('z') => {
                question.scope = match question.scope {
                    Some(_) => None,
                    None => Some("cross_zone".to_owned()),
                }
            }
            KeyCode::Char('n') => {
                question.namespace = match question.namespace {
                    Some(_) => None,
                    None => namespace.filter(|name| !name.is_empty()),
                }
            }
            KeyCode::Esc => {
                question.search.clear();
                (question.scope, question.namespace) = (None, None);
            }
            _ => return Effect::None,
        }
        Effect::Ask
    }

    fn select(&mut self, place: usize) {
        self.selected = place.min(self.rows().len().saturating_sub(1));
        self.key = self.rows().get(self.selected).map(Row::key);
    }

    fn show_json(&mut self) {
        let Some(row) = self.rows().get(self.selected) else {
            return;
        };
        let title = "as /api/pairs has it".to_owned();
        let text = match serde_json::to_string_pretty(&row.pair) {
            Ok(text) => text,
            Err(error) => error.to_string(),
        };
        self.explained(title, text.lines().map(str::to_owned).collect());
    }
}

#[cfg(test)]
#[path = "state/tests.rs"]
mod tests;
