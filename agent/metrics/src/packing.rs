//! Bodies of two parts, plain or packed by gzip (RFC 1952): the traffic, which is ready before
//! anybody asks, and what the agent says of itself at that moment.
//!
//! Packed parts are one member of one gzip file, for not everybody reads several members: each is
//! deflated by itself and ends on a byte, the first one without a final block (RFC 1951 §3.2.3).

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{self, Write as _},
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Bytes;
use crc32fast::Hasher;
use flate2::{Compression, write::DeflateEncoder};
use http_body::{Body, Frame, SizeHint};

/// Magic, deflate, no flags, no time, the fastest level, system unknown.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// Packs a part piece by piece.
#[derive(Debug)]
pub(super) struct Packer {
    encoder: DeflateEncoder<Vec<u8>>,
    unpacked: Unpacked,
    failure: Option<io::Error>,
}

/// What the trailer says of all parts together.
#[derive(Clone, Debug, Default)]
struct Unpacked {
    checksum: Hasher,
    /// Modulo 2³².
    length: u32,
}

/// A part of a body. Clones share its bytes.
#[derive(Clone, Debug)]
pub struct Part {
    bytes: Bytes,
    /// Where the part is packed.
    unpacked: Option<Unpacked>,
}

impl Default for Packer {
    /// The fastest level: it takes the usual scrape to a tenth, the slower ones not much further.
    fn default() -> Self {
        Self {
            encoder: DeflateEncoder::new(Vec::new(), Compression::fast()),
            unpacked: Unpacked::default(),
            failure: None,
        }
    }
}

impl Packer {
    pub(super) fn pack(&mut self, text: &str) {
        if self.failure.is_none() {
            self.unpacked.checksum.update(text.as_bytes());
            self.unpacked.length = self.unpacked.length.wrapping_add(text.len() as u32);
            self.failure = self.encoder.write_all(text.as_bytes()).err();
        }
    }

    /// Ends a part that another one follows.
    pub(super) fn part(mut self) -> io::Result<Part> {
        self.encoder.flush()?;
        let bytes = mem::take(self.encoder.get_mut());
        Part::packed(bytes, self.unpacked, self.failure)
    }

    /// Ends the last part.
    pub(super) fn last(self) -> io::Result<Part> {
        let bytes = self.encoder.finish()?;
        Part::packed(bytes, self.unpacked, self.failure)
    }
}

impl Part {
    /// One that is not packed.
    pub(super) fn plain(text: String) -> Self {
        Self {
            bytes: text.into_bytes().into(),
            unpacked: None,
        }
    }

    fn packed(bytes: Vec<u8>, unpacked: Unpacked, failure: Option<io::Error>) -> io::Result<Self> {
        match failure {
            Some(failure) => Err(failure),
            None => Ok(Self {
                bytes: bytes.into(),
                unpacked: Some(unpacked),
            }),
        }
    }

    /// This part and the last one as a body; both are packed, or neither is.
    pub(super) fn join(self, last: Self) -> Chunks {
        let (first, second) = (self.bytes, last.bytes);
        Chunks(match (self.unpacked, last.unpacked) {
            (Some(mut all), Some(rest)) => {
                all.checksum.combine(&rest.checksum);
                let mut trailer = all.checksum.finalize().to_le_bytes().to_vec();
                trailer.extend(all.length.wrapping_add(rest.length).to_le_bytes());
                let header = Bytes::from_static(&HEADER);
                [header, first, second, trailer.into()].into()
            }
            _ => [first, second].into(),
        })
    }
}

/// A body that is sent without being copied together, of known length.
#[derive(Debug)]
pub(super) struct Chunks(VecDeque<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|chunk| chunk.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn packed(texts: [&str; 2]) -> Vec<u8> {
        let [first, last] = texts.map(|text| {
            let mut packer = Packer::default();
            // In pieces, as a scrape packs.
            text.as_bytes()
                .chunks(70_000)
                .for_each(|piece| packer.pack(std::str::from_utf8(piece).unwrap()));
            packer
        });
        let chunks = first.part().unwrap().join(last.last().unwrap());
        let length = chunks.size_hint().exact().unwrap();
        let bytes: Vec<u8> = chunks.0.into_iter().flatten().collect();
        assert_eq!(bytes.len() as u64, length);
        bytes
    }

    #[test]
    fn two_parts_unpack_as_one_member() {
        let long = "zonemeter_pod_bytes_total 1\n".repeat(20_000);
        for (first, last) in [
            ("a", "b"),
            ("", "b"),
            ("a", ""),
            ("", ""),
            (&long, "# EOF\n"),
        ] {
            let packed = packed([first, last]);
            let mut decoder = flate2::bufread::GzDecoder::new(&packed[..]);
            let mut text = String::new();
            // Fails where checksum or length are wrong.
            decoder.read_to_string(&mut text).unwrap();
            assert_eq!(text, format!("{first}{last}"));
            assert!(decoder.into_inner().is_empty(), "more than one member");
        }
    }
}
