//! Medians, and how far they are to be trusted.

/// Lower quartile, median and upper quartile.
pub(super) fn quartiles(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let middle = median(values.clone())?;
    let quarter = (values.len() - 1) / 4;
    Some([values[quarter], middle, values[values.len() - 1 - quarter]])
}

/// The middle one, or the mean of the two in the middle.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Each value of a round beside the other one of the same round.
pub(super) fn paired(one: &[f64], other: &[f64], of: fn(f64, f64) -> f64) -> Vec<f64> {
    one.iter()
        .zip(other)
        .map(|(one, other)| of(*one, *other))
        .collect()
}

/// The standard error of a median of values that lie about it as chance has it: 1.253 of the
/// mean's, whose deviation is the quartiles' distance by 1.349.
pub(super) fn error(values: &[f64]) -> Option<f64> {
    let [low, _, high] = quartiles(values.to_vec())?;
    Some(1.253 * (high - low) / 1.349 / (values.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn quartiles_stand_around_the_median() {
        assert_eq!(quartiles(vec![]), None);
        assert_eq!(quartiles(vec![5.0]), Some([5.0, 5.0, 5.0]));
        let five = vec![5.0, 1.0, 4.0, 2.0, 3.0];
        assert_eq!(quartiles(five), Some([2.0, 3.0, 4.0]));
    }

    #[test]
    fn a_median_of_more_values_is_surer() {
        let few: Vec<f64> = (0..9).map(f64::from).collect();
        let many: Vec<f64> = few.iter().cycle().take(900).copied().collect();
        let [few, many] = [few, many].map(|values| error(&values).unwrap());
        // The same spread, and 100 times as many.
        assert!((few / many - 10.0).abs() < 0.1, "{few} {many}");
    }
}
