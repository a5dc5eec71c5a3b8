//! A frame: `length | CRC of the payload | CRC of these eight bytes | payload`, numbers as 32 bits in
//! little endian, CRCs as in gzip.
//!
//! The second CRC tells a damaged length from a file that ends early: only the latter is what a
//! killed writer leaves.

use anyhow::{Context as _, Result, ensure};

const HEAD: usize = 12;

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A frame's payload, and the rest of the file.
    Frame(&'a [u8], &'a [u8]),
    /// The file ends with a part of a frame: its writer was killed.
    Torn,
    /// The file ends.
    End,
}

/// Makes a frame.
///
/// # Errors
/// When the payload is longer than 32 bits can say.
pub(super) fn frame(payload: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(payload.len()).context("more than 4 GiB of totals")?;
    let mut frame = Vec::with_capacity(HEAD + payload.len());
    frame.extend(length.to_le_bytes());
    frame.extend(crc32fast::hash(payload).to_le_bytes());
    frame.extend(crc32fast::hash(&frame).to_le_bytes());
    frame.extend(payload);
    Ok(frame)
}

/// Takes the next frame off.
///
/// # Errors
/// When the bytes are not what was written.
pub(super) fn next(bytes: &[u8]) -> Result<Next<'_>> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
        return Ok(match bytes.is_empty() {
            true => Next::End,
            false => Next::Torn,
        });
    };
    let [length, of_payload, of_head] = [0, 4, 8].map(|at| number(head, at));
    if crc32fast::hash(&head[..8]) != of_head {
        // A machine that lost power may leave room that was never written to. No head is all 0:
        // the CRC of eight zeroes is not.
        let never_written = bytes.iter().all(|byte| *byte == 0);
        ensure!(never_written, "the head of a frame is damaged");
        return Ok(Next::Torn);
    }
    let Some((payload, rest)) = rest.split_at_checked(length as usize) else {
        return Ok(Next::Torn);
    };
    ensure!(crc32fast::hash(payload) == of_payload, "a frame is damaged");
    Ok(Next::Frame(payload, rest))
}

fn number(head: &[u8; HEAD], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_that_of_gzip() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(
            frame(b"123456789").unwrap()[4..8],
            0xcbf4_3926_u32.to_le_bytes()
        );
    }

    #[test]
    fn frames_follow_each_other() {
        let bytes = [frame(b"one").unwrap(), frame(b"").unwrap()].concat();
        let Ok(Next::Frame(b"one", rest)) = next(&bytes) else {
            panic!("{:?}", next(&bytes));
        };
        assert_eq!(next(rest).unwrap(), Next::Frame(b"", b""));
        assert_eq!(next(b"").unwrap(), Next::End);
    }

    #[test]
    fn an_early_end_is_torn_and_every_changed_byte_is_damage() {
        let whole = frame(b"a payload").unwrap();
        for end in 1..whole.len() {
            assert_eq!(next(&whole[..end]).unwrap(), Next::Torn, "{end}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                assert!(next(&damaged).is_err(), "byte {at}, bit {bit}");
            }
        }
        assert_eq!(next(&[0; 100]).unwrap(), Next::Torn);
    }
}
