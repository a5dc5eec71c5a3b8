//! What a socket buffer becomes on the wire. Pure arithmetic, so that it is tested on the host
//! and runs in the kernel.

use core::hint::cold_path;

use crate::Count;

/// Counts one socket buffer as the packets that it becomes on the wire.
///
/// A super-packet (GSO on the way out, GRO on the way in) carries its headers once; on the wire
/// each segment carries them again. So its layer-3 bytes are
/// `length + (segments - 1) * headers`, exact for TCP and for UDP segmentation offload.
///
/// - `length`: layer-3 bytes of the buffer (IP header and up).
/// - `headers`: bytes of the IP header, its extensions and the transport header.
/// - `segments`, `segment_size`: `gso_segs` and `gso_size` of the buffer. Without a size it is one
///   packet (`skb_is_gso` in `include/linux/skbuff.h`). A buffer from an untrusted source
///   (`SKB_GSO_DODGY`) has a size but no number of segments: then the number is the payload divided
///   by the size, rounded up, as `net/core/gso.c` will do.
#[inline(always)]
pub fn on_wire(length: u32, headers: u32, segments: u32, segment_size: u32) -> Count {
    let segments = match (segment_size, segments) {
        (0, _) => 1,
        (size, 0) if length > headers => {
            cold_path();
            (length - headers).div_ceil(size)
        }
        (_, 0) => 1,
        (_, known) => known,
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
    let [lowest, highest] = ephemeral.map(i32::from);
    // The sign says it, which costs fewer branches than comparisons: below 0 is outside.
    let outside = |port: u16| (i32::from(port) - lowest) | (highest - i32::from(port));
    let (local_outside, peer_outside) = (outside(local), outside(peer));
    let one_outside = local_outside ^ peer_outside;
    let folded = |port: u16, other_outside: i32| match one_outside & other_outside < 0 {
        true => 0,
        false => port,
    };
    (folded(local, peer_outside), folded(peer, local_outside))
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
        for segments in [1, 2] {
            assert_eq!(
                on_wire(84, 28, segments, 0),
                Count {
                    bytes: 84,
                    packets: 1
                }
            );
        }
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

    #[test]
    fn every_pair_of_ports_is_folded_by_the_range() {
        let ranges = [[32768, 60999], [0, 65535], [1, 1], [65535, 65535], [0, 0]];
        let ports = [0, 1, 2, 53, 32767, 32768, 40000, 60999, 61000, 65534, 65535];
        for range in ranges {
            for (local, peer) in ports.iter().flat_map(|a| ports.iter().map(|b| (*a, *b))) {
                let [of_local, of_peer] = [local, peer].map(|p| (range[0]..=range[1]).contains(&p));
                let expected = (
                    if of_local && !of_peer { 0 } else { local },
                    if of_peer && !of_local { 0 } else { peer },
                );
                let folded = fold_ephemeral(local, peer, range);
                assert_eq!(folded, expected, "{local} {peer} {range:?}");
            }
        }
    }
}
