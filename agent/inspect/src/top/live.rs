//! `top` on a terminal: its screen, its keys, and its end.

use std::{
    env,
    io::{self, IsTerminal as _},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use crossterm::event::{Event, EventStream};
use futures::StreamExt as _;
use ratatui::DefaultTerminal;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    screen::{self, Palette},
    state::{Effect, State},
    why::why,
};
use crate::view::{Question, Reading, Row, Source};

/// Numbers change once for each drain, and every 5 s by default.
const REFRESH: Duration = Duration::from_secs(2);

/// Whether somebody looks on who can press keys.
pub(super) fn is_possible() -> bool {
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && io::stdin().is_terminal() && !is_dumb
}

/// Shows the table until it is quit.
///
/// # Errors
/// When the terminal cannot be used.
pub(super) async fn run(source: Source, question: Question) -> Result<()> {
    let mut signals = Signals::listen()?;
    let mut screen = Screen::open()?;
    let mut state = State::new(question, source.groups(), source.windows());
    let mut work = Work::new(source);
    let mut events = EventStream::new();
    let mut refresh = interval(REFRESH);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if screen.draw(&mut state).is_err() {
            return Ok(());
        }
        tokio::select! {
            () = signals.came() => return Ok(()),
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if heard(&event, &mut state, &mut work) {
                        return Ok(());
                    }
                }
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            done = work.done() => took(done, &mut state),
            _ = refresh.tick() => {
                if !state.paused && work.reading.is_none() {
                    work.ask(&state.question);
                }
            }
        }
    }
}

/// True where it is to end.
fn heard(event: &Event, state: &mut State, work: &mut Work) -> bool {
    let effect = match event {
        Event::Key(key) => state.key(*key),
        // A new size is drawn at once.
        _ => Effect::None,
    };
    match effect {
        Effect::None => false,
        Effect::Quit => true,
        Effect::Ask => {
            work.ask(&state.question);
            false
        }
        Effect::Why(row) => {
            work.ask_why(*row);
            false
        }
    }
}

fn took(done: Done, state: &mut State) {
    match done {
        Done::Read(Ok(reading)) => state.answered(*reading),
        Done::Read(Err(error)) => state.failed(format!("{error:#}")),
        Done::Why(title, lines) => state.explained(title, lines),
    }
}

/// What was asked and is not answered yet.
struct Work {
    source: Arc<Source>,
    reading: Option<JoinHandle<Result<Reading>>>,
    why: Option<JoinHandle<(String, Vec<String>)>>,
}

enum Done {
    Read(Result<Box<Reading>>),
    Why(String, Vec<String>),
}

impl Work {
    fn new(source: Source) -> Self {
        Self {
            source: Arc::new(source),
            reading: None,
            why: None,
        }
    }

    /// In place of an earlier question.
    fn ask(&mut self, question: &Question) {
        let (source, question) = (Arc::clone(&self.source), question.clone());
        let asked = tokio::spawn(async move { source.read(&question).await });
        if let Some(earlier) = self.reading.replace(asked) {
            earlier.abort();
        }
    }

    fn ask_why(&mut self, row: Row) {
        let source = Arc::clone(&self.source);
        let asked = tokio::spawn(async move {
            let title = format!("why: {} and {}", row.local(), row.peer());
            let lines = why(&source, &row).await;
            (title, lines)
        });
        if let Some(earlier) = self.why.replace(asked) {
            earlier.abort();
        }
    }

    /// The next answer; never, while nothing is asked.
    async fn done(&mut self) -> Done {
        tokio::select! {
            read = finished(&mut self.reading) => Done::Read(read.and_then(|read| read).map(Box::new)),
            why = finished(&mut self.why) => match why {
                Ok((title, lines)) => Done::Why(title, lines),
                Err(error) => Done::Why("why".to_owned(), vec![format!("{error:#}")]),
            },
        }
    }
}

/// Cancel safe: the task stays where it is until it has ended.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Result<T> {
    let Some(running) = task else {
        return std::future::pending().await;
    };
    let ended = running.await;
    *task = None;
    ended.context("asking")
}

/// The terminal in raw mode on its alternate screen; given back when this is dropped, and by a
/// hook before a panic is reported.
struct Screen {
    terminal: DefaultTerminal,
    palette: Palette,
}

impl Screen {
    fn open() -> Result<Self> {
        let terminal = ratatui::try_init().context("the terminal")?;
        let colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Self {
            terminal,
            palette: Palette { colour },
        })
    }

    fn draw(&mut self, state: &mut State) -> io::Result<()> {
        let palette = self.palette;
        let draw = |frame: &mut ratatui::Frame<'_>| screen::draw(frame, state, palette);
        self.terminal.draw(draw).map(|_| ())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nobody is left to tell where the terminal is gone.
        let _ = ratatui::try_restore();
        let _ = self.terminal.show_cursor();
    }
}

/// Signals that end it; Ctrl-C is a key in raw mode.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> Result<Self> {
        let kinds = [
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::interrupt(),
        ];
        let [terminate, hangup, interrupt] = kinds.map(signal);
        Ok(Self([
            terminate.context("SIGTERM")?,
            hangup.context("SIGHUP")?,
            interrupt.context("SIGINT")?,
        ]))
    }

    async fn came(&mut self) {
        let [terminate, hangup, interrupt] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
