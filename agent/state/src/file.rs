//! The whole file as bytes.

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use zonemeter_model::{kept::Kept, strings::Strings};

use super::{
    frame::{Next, frame, next},
    host::HostStep,
    record::Step,
};

/// The first line. Its number goes up with every change of the format.
const VERSION: &[u8] = b"zonemeter totals 2\n";
/// Its steps end before the node's own part.
const BEFORE: &[u8] = b"zonemeter totals 1\n";

/// Whose totals these are.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Owner {
    /// Name of the Node object.
    pub(super) node: String,
    /// The machine's `boot_id`: interfaces keep their numbers only for as long as it runs.
    pub(super) boot: String,
}

/// What a file holds.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) owner: Owner,
    pub(super) kept: Kept,
    /// Bytes at the end that are a part of a frame.
    pub(super) torn: usize,
}

/// A new file.
///
/// # Errors
/// When there is too much for the format.
pub(super) fn whole(owner: &Owner, kept: &Kept) -> Result<Vec<u8>> {
    let owner = frame(&postcard::to_stdvec(owner)?)?;
    Ok([VERSION, &owner, &step(&Kept::default(), kept)?].concat())
}

/// What to append after a drain.
///
/// # Errors
/// When there is too much for the format.
pub(super) fn step(before: &Kept, after: &Kept) -> Result<Vec<u8>> {
    let mut payload = postcard::to_stdvec(&Step::between(before, after))?;
    payload.extend(postcard::to_stdvec(&HostStep::between(before, after))?);
    frame(&payload)
}

/// Reads a file of this node.
///
/// # Errors
/// When it is damaged, of another version or of another node. A file that ends amid its last step
/// is neither: its writer was killed, and the step was never whole.
pub(super) fn read(bytes: &[u8], node: &str) -> Result<Contents> {
    let (owner, mut rest) = owner(bytes)?;
    ensure!(
        owner.node == node,
        "it is of node {:?}, this is node {node:?}",
        owner.node
    );
    let (mut kept, mut texts, mut steps) = (Kept::default(), Strings::default(), 0);
    let torn = loop {
        let at = bytes.len() - rest.len();
        match next(rest).with_context(|| format!("byte {at}"))? {
            Next::End => break 0,
            Next::Torn => break rest.len(),
            Next::Frame(payload, after) => {
                apply(payload, &mut kept, &mut texts).with_context(|| format!("byte {at}"))?;
                (rest, steps) = (after, steps + 1);
            }
        }
    };
    ensure!(steps > 0, "it ends before the first totals");
    Ok(Contents { owner, kept, torn })
}

fn owner(bytes: &[u8]) -> Result<(Owner, &[u8])> {
    let rest = bytes.strip_prefix(VERSION);
    let rest = rest
        .or_else(|| bytes.strip_prefix(BEFORE))
        .with_context(|| {
            let line = bytes.split(|byte| *byte == b'\n').next();
            let line = String::from_utf8_lossy(line.unwrap_or_default());
            let begin: String = line.chars().take(40).collect();
            format!("it begins with {begin:?}, which is not of this version")
        })?;
    match next(rest).with_context(|| format!("byte {}", VERSION.len()))? {
        Next::Frame(payload, rest) => Ok((decoded(payload)?, rest)),
        Next::Torn | Next::End => anyhow::bail!("it ends before the first totals"),
    }
}

/// One step: what files of every version have, and behind it the node's own part.
fn apply(payload: &[u8], kept: &mut Kept, texts: &mut Strings) -> Result<()> {
    let (step, rest): (Step<'_>, _) = postcard::take_from_bytes(payload)?;
    step.apply(kept, texts)?;
    if rest.is_empty() {
        return Ok(());
    }
    let step: HostStep<'_> = decoded(rest)?;
    step.apply(kept, texts)
}

/// All of the payload, and nothing else.
fn decoded<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T> {
    let (value, rest) = postcard::take_from_bytes(payload)?;
    ensure!(rest.is_empty(), "a frame is longer than its contents");
    Ok(value)
}
