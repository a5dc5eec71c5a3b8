//! What a socket buffer becomes on the wire. Pure arithmetic, so that it is tested on the host
//! and runs in the kernel.

use crate::Count;

/// Counts one socket buffer as the packets that it becomes on the wire.
///
/// A super-packet (GSO on the way out, GRO on the way in) carries its headers once; on the wire
/// each segment carries them again. So its layer-3 bytes are
/// `length + (segments - 1) * headers`, exact for TCP and for UDP segmentation offload.
///
/// - `length`: layer-3 bytes of the buffer (IP header and up).
/// - `headers`: bytes of the IP header, its extensions and the transport header.
/// - `segments`, `segment_size`: `gso_segs` and `gso_size` of the buffer. A buffer from an
///   untrusted source (`SKB_GSO_DODGY`) has a size but no number of segments: then the number is
///   the payload divided by the size, rounded up, as `net/core/gso.c` will do.
#[inline(always)]
pub fn on_wire(length: u32, headers: u32, segments: u32, segment_size: u32) -> Count {
    let segments = match segments {
        0 if segment_size != 0 && length > headers => (length - headers).div_ceil(segment_size),
        0 => 1,
        known => known,
    };
    let repeated = u64::from(segments - 1) * u64::from(headers);
    Count {
        bytes: u64::from(length) + repeated,
        packets: u64::from(segments),
    }
}

/// Folds a connection's ephemeral port to 0 and keeps the port that names the service.
///
/// Exactly one port inside `ephemeral` (lowest and highest, both included) is folded; where both
/// or neither lie in it, nothing tells which end serves, and both are kept.
#[inline(always)]
pub fn fold_ephemeral(local: u16, peer: u16, ephemeral: [u16; 2]) -> (u16, u16) {
    let inside = |port: u16| port >= ephemeral[0] && port <= ephemeral[1];
    match (inside(local), inside(peer)) {
        (true, false) => (0, peer),
        (false, true) => (local, 0),
        _ => (local, peer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_packet_is_itself() {
        assert_eq!(
            on_wire(84, 28, 0, 0),
            Count {
                bytes: 84,
                packets: 1
            }
        );
        assert_eq!(
            on_wire(84, 28, 1, 0),
            Count {
                bytes: 84,
                packets: 1
            }
        );
    }

    #[test]
    fn a_super_packet_is_its_segments() {
        // 5 segments of 1448 bytes and 52 bytes of headers each.
        assert_eq!(
            on_wire(52 + 5 * 1448, 52, 5, 1448),
            Count {
                bytes: 5 * 1500,
                packets: 5
            }
        );
        // The last segment is short.
        assert_eq!(
            on_wire(52 + 4 * 1448 + 100, 52, 5, 1448),
            Count {
                bytes: 4 * 1500 + 152,
                packets: 5
            }
        );
    }

    #[test]
    fn segments_are_divided_where_the_source_did_not_say() {
        assert_eq!(
            on_wire(28 + 14_000, 28, 0, 1400),
            Count {
                bytes: 10 * 1428,
                packets: 10
            }
        );
        assert_eq!(on_wire(28 + 13_001, 28, 0, 1400).packets, 10);
        assert_eq!(
            on_wire(20, 28, 0, 1400),
            Count {
                bytes: 20,
                packets: 1
            }
        );
    }

    #[test]
    fn only_a_lone_ephemeral_port_is_folded() {
        let range = [32768, 60999];
        assert_eq!(fold_ephemeral(40000, 80, range), (0, 80));
        assert_eq!(fold_ephemeral(80, 32768, range), (80, 0));
        assert_eq!(fold_ephemeral(60999, 32768, range), (60999, 32768));
        assert_eq!(fold_ephemeral(61000, 53, range), (61000, 53));
    }
}
