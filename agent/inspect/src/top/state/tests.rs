use super::*;
use crate::{
    debug::pairs::answer::{Pair, PairEnd},
    view::{Group, Sort, Window},
};

fn state() -> State {
    let mut state = State::new(
        Question {
            group: Group::Pair,
            window: Window::FiveMinutes,
            sort: Sort::Dollars,
            scope: None,
            namespace: None,
            search: String::new(),
            limit: 1000,
            unfolded: false,
        },
        Group::value_variants(),
        &[Window::Minute, Window::FiveMinutes, Window::Hour],
    );
    state.answered(reading(&["a", "b", "c"]));
    state
}

fn reading(names: &[&str]) -> Reading {
    let row = |name: &&str| {
        Row::from(Pair {
            local: PairEnd {
                namespace: "shop".to_owned(),
                workload: (*name).to_owned(),
                ..PairEnd::default()
            },
            ..Pair::default()
        })
    };
    Reading {
        rows: names.iter().map(row).collect(),
        ..Reading::default()
    }
}

fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let press = |key: char| state.key(KeyEvent::from(KeyCode::Char(key)));
    keys.chars().map(press).collect()
}

fn selected(state: &State) -> &str {
    &state.rows()[state.selected].pair.local.workload
}

#[test]
fn keys_change_the_question() {
    let mut state = state();
    assert_eq!(press(&mut state, "gswfz"), vec![Effect::Ask; 5]);
    let question = &state.question;
    assert_eq!(question.group, Group::Workload);
    assert_eq!(question.sort, Sort::Total);
    assert_eq!(question.window, Window::Hour);
    assert!(question.unfolded);
    assert_eq!(question.scope.as_deref(), Some("cross_zone"));
    press(&mut state, "zn");
    assert_eq!(state.question.scope, None);
    assert_eq!(state.question.namespace.as_deref(), Some("shop"));
    assert_eq!(
        state.key(KeyEvent::from(KeyCode::Esc)),
        Effect::Ask,
        "everything is shown again"
    );
    assert_eq!(state.question.namespace, None);
}

#[test]
fn a_filter_is_typed_key_by_key_and_given_up() {
    let mut state = state();
    assert_eq!(
        press(&mut state, "/qs"),
        [Effect::None, Effect::Ask, Effect::Ask]
    );
    assert_eq!(state.question.search, "qs", "no key is a command");
    state.key(KeyEvent::from(KeyCode::Backspace));
    state.key(KeyEvent::from(KeyCode::Enter));
    assert_eq!((&*state.question.search, &state.panel), ("q", &Panel::None));
    press(&mut state, "/x");
    state.key(KeyEvent::from(KeyCode::Esc));
    assert_eq!(state.question.search, "q");
}

#[test]
fn the_selected_row_stays_selected_where_it_moves() {
    let mut state = state();
    press(&mut state, "j");
    assert_eq!(selected(&state), "b");
    state.answered(reading(&["x", "c", "b", "a"]));
    assert_eq!(selected(&state), "b");
    state.answered(reading(&["x"]));
    assert_eq!(selected(&state), "x");
    state.answered(reading(&[]));
    assert_eq!(state.key(KeyEvent::from(KeyCode::Enter)), Effect::None);
    state.answered(reading(&["a", "b"]));
    assert_eq!(selected(&state), "b");
}

#[test]
fn the_selection_ends_at_the_first_and_the_last_row() {
    let mut state = state();
    for (code, expected) in [
        (KeyCode::Up, "a"),
        (KeyCode::PageDown, "c"),
        (KeyCode::Down, "c"),
        (KeyCode::Home, "a"),
        (KeyCode::End, "c"),
        (KeyCode::PageUp, "a"),
    ] {
        state.key(KeyEvent::from(code));
        assert_eq!(selected(&state), expected, "{code:?}");
    }
}

#[test]
fn enter_asks_why_and_the_answer_is_scrolled_and_closed() {
    let mut state = state();
    let effect = state.key(KeyEvent::from(KeyCode::Enter));
    assert!(matches!(&effect, Effect::Why(row) if row.pair.local.workload == "a"));
    state.explained("why".to_owned(), vec!["1".to_owned(), "2".to_owned()]);
    press(&mut state, "jjj");
    let Panel::Text { above, .. } = state.panel else {
        panic!("{:?}", state.panel)
    };
    assert_eq!(above, 1);
    assert_eq!(press(&mut state, "q"), [Effect::None]);
    assert_eq!(state.panel, Panel::None);
    press(&mut state, "J");
    assert!(matches!(&state.panel, Panel::Text { lines, .. } if lines.len() > 5));
}

#[test]
fn it_ends_by_q_and_by_control_c_wherever_it_is() {
    let mut state = state();
    assert_eq!(press(&mut state, "q"), [Effect::Quit]);
    press(&mut state, "/");
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(state.key(interrupt), Effect::Quit);
}

#[test]
fn pausing_asks_nothing() {
    let mut state = state();
    assert_eq!(press(&mut state, "p"), [Effect::None]);
    assert!(state.paused);
    press(&mut state, " ");
    assert!(!state.paused);
    press(&mut state, "?");
    assert_eq!(state.panel, Panel::Help);
}
