//! Draws the table over itself where a terminal looks on, and prints it one after the other
//! elsewhere.

use crate::progress;

/// Moves the cursor up this many lines.
const UP: &str = "\x1b[{}A";
/// Deletes from the cursor to the end of its line, and of the screen.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Remembers how much of the screen the last drawing took.
pub(super) struct Screen {
    redraws: bool,
    drawn: usize,
}

impl Screen {
    pub(super) fn new(redraws: bool) -> Self {
        Self { redraws, drawn: 0 }
    }

    /// Shows `lines` in place of what was shown before.
    pub(super) fn draw(&mut self, lines: &[String]) {
        progress::put(&self.frame(lines));
        self.drawn = lines.len();
    }

    fn frame(&self, lines: &[String]) -> String {
        if !self.redraws {
            return lines
                .iter()
                .chain([&String::new()])
                .map(|line| format!("{line}\n"))
                .collect();
        }
        let up = match self.drawn {
            0 => String::new(),
            drawn => UP.replace("{}", &drawn.to_string()),
        };
        let drawn: String = lines
            .iter()
            .map(|line| format!("{line}{CLEAR_LINE}\n"))
            .collect();
        format!("{up}{drawn}{CLEAR_BELOW}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<String> {
        vec!["a".to_owned(), "b".to_owned()]
    }

    #[test]
    fn without_a_terminal_there_are_plain_lines_only() {
        let mut screen = Screen::new(false);
        screen.drawn = 2;
        assert_eq!(screen.frame(&lines()), "a\nb\n\n");
    }

    #[test]
    fn the_second_drawing_covers_the_first() {
        let mut screen = Screen::new(true);
        assert_eq!(screen.frame(&lines()), "a\x1b[K\nb\x1b[K\n\x1b[J");
        screen.drawn = 2;
        assert!(screen.frame(&lines()).starts_with("\x1b[2Aa\x1b[K\n"));
    }
}
