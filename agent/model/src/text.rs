//! Text that others wrote (names, tags, messages of servers), for a terminal or a log.

use std::borrow::Cow;

/// The text on one line, with every character made visible that would move the cursor, change
/// colours, or change the order or the look of what stands around it: a line break becomes `\n`,
/// an escape `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match acts(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Control characters, and of Unicode's format characters those that are invisible or turn the
/// direction of writing (UAX #9); joiners, which scripts and emoji need, are left alone.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_made_visible_and_the_rest_is_left() {
        for (text, shown) in [
            ("private-a", "private-a"),
            ("größe 東京 👩‍🚀", "größe 東京 👩‍🚀"),
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\x1b[31mred\x1b[0m", r"\u{1b}[31mred\u{1b}[0m"),
            ("\x1b]0;title\x07", r"\u{1b}]0;title\u{7}"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("del\x7f nul\0", r"del\u{7f} nul\u{0}"),
            ("abc\u{202e}cba", r"abc\u{202e}cba"),
            ("\u{2066}x\u{2069}", r"\u{2066}x\u{2069}"),
            ("\u{200f}\u{61c}", r"\u{200f}\u{61c}"),
            ("line\u{2028}break\u{2029}", r"line\u{2028}break\u{2029}"),
            ("\u{feff}bom\u{200b}", r"\u{feff}bom\u{200b}"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert!(matches!(visible("plain"), Cow::Borrowed(_)));
    }
}
