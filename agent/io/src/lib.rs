//! What the agent and its commands share in reading and writing: [`files`] that others provide,
//! once or again when they change ([`reread`]), the standard [`output`], numbers of flags.

pub mod files;
pub mod output;
pub mod reread;

/// Reads a whole number of a range, both ends included.
pub fn number<N: TryFrom<u64>>(
    lowest: u64,
    highest: u64,
) -> impl Fn(&str) -> Result<N, String> + Clone {
    move |text| {
        let number = text.parse().ok();
        let number = number.filter(|number| (lowest..=highest).contains(number));
        let number = number.and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| format!("a whole number from {lowest} to {highest}"))
    }
}
