//! Numbers as people read them.

/// SI steps, as network rates have them: 1 kB is 1000 bytes.
const STEPS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];

/// `987 B`, `12.3 MB`.
pub(super) fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut step = 0;
    // 999.95 would be shown as 1000.0
    while value >= 999.95 && step + 1 < STEPS.len() {
        value /= 1000.0;
        step += 1;
    }
    match step {
        0 => format!("{count} B"),
        _ => format!("{value:.1} {}", STEPS[step]),
    }
}

/// Every digit, in groups of three: `12,345,678`.
pub(super) fn exact(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_three_or_four_digits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.0 kB");
        assert_eq!(bytes(999_949), "999.9 kB");
        assert_eq!(bytes(999_950), "1.0 MB");
        assert_eq!(bytes(12_345_678), "12.3 MB");
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
    }

    #[test]
    fn exact_numbers_are_grouped_from_the_right() {
        assert_eq!(exact(7), "7");
        assert_eq!(exact(100), "100");
        assert_eq!(exact(1_000), "1,000");
        assert_eq!(exact(12_345_678), "12,345,678");
    }
}
