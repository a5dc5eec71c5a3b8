//! Numbers and names in as much room as there is.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Stands for what was cut.
const CUT: char = '…';

/// Three digits at most and a decimal unit, as AWS bills: `999`, `1.2k`, `34M`.
pub(super) fn short(value: f64) -> String {
    let mut value = value;
    for unit in ["", "k", "M", "G", "T", "P"] {
        if value < 999.5 {
            return match value < 9.95 && !unit.is_empty() {
                true => format!("{value:.1}{unit}"),
                false => format!("{value:.0}{unit}"),
            };
        }
        value /= 1000.0;
    }
    format!("{value:.0}E")
}

/// `9.46`, `12,345`; `-` where there is no price.
pub(super) fn dollars(amount: Option<f64>) -> String {
    match amount {
        None => "-".to_owned(),
        Some(amount) if amount < 9_999.995 => format!("{amount:.2}"),
        Some(amount) => grouped(amount.round() as u64),
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Cells of a terminal that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `room` cells; what is missing at its end is said by one sign.
pub(super) fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or_default();
        if used > room {
            break;
        }
        shown.push(character);
    }
    if room > 0 {
        shown.push(CUT);
    }
    shown
}

/// `namespace/name` in at most `room` cells: the name is worth more than its namespace.
pub(super) fn cut_name(text: &str, room: usize) -> String {
    let Some((namespace, name)) = text.split_once('/') else {
        return cut(text, room);
    };
    let left = room.saturating_sub(width(name) + 1);
    match width(text) <= room || left == 0 {
        true => cut(if left == 0 { name } else { text }, room),
        false => format!("{}/{name}", cut(namespace, left)),
    }
}

/// The text, and spaces up to `room` cells.
pub(super) fn pad(text: &str, room: usize, right: bool) -> String {
    let spaces = " ".repeat(room.saturating_sub(width(text)));
    match right {
        true => spaces + text,
        false => text.to_owned() + &spaces,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        for (value, shown) in [
            (0.0, "0"),
            (0.4, "0"),
            (9.6, "10"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (9_949.0, "9.9k"),
            (9_951.0, "10k"),
            (1.234e6, "1.2M"),
            (9.996e11, "1.0T"),
            (1e18, "1E"),
        ] {
            assert_eq!(short(value), shown, "{value}");
        }
    }

    #[test]
    fn dollars_are_in_cents_until_there_are_many() {
        for (amount, shown) in [
            (None, "-"),
            (Some(0.0), "0.00"),
            (Some(9.456), "9.46"),
            (Some(9_999.994), "9999.99"),
            (Some(9_999.996), "10,000"),
            (Some(1_234_567.0), "1,234,567"),
        ] {
            assert_eq!(dollars(amount), shown, "{amount:?}");
        }
    }

    #[test]
    fn names_are_cut_to_their_room_and_never_longer() {
        for (name, room, shown) in [
            ("shop/client", 11, "shop/client"),
            ("shop/client", 10, "sh…/client"),
            ("shop/client", 8, "…/client"),
            ("shop/client", 7, "client"),
            ("shop/client", 5, "clie…"),
            ("shop/client", 1, "…"),
            ("shop/client", 0, ""),
            ("network on-prem", 10, "network o…"),
            ("東京/大阪", 9, "東京/大阪"),
            ("東京/大阪", 8, "東…/大阪"),
            ("東京/大阪", 4, "大阪"),
            ("東京", 3, "東…"),
        ] {
            assert_eq!(cut_name(name, room), shown, "{name} in {room}");
            assert!(width(&cut_name(name, room)) <= room);
        }
    }

    #[test]
    fn padding_counts_cells_not_letters() {
        assert_eq!(pad("東京", 6, false), "東京  ");
        assert_eq!(pad("12", 4, true), "  12");
        assert_eq!(pad("long", 2, true), "long");
    }
}
