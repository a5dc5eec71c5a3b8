//! By what the index finds a flow: NH (UMAC, RFC 4418, section 5.2.2). Nobody who does not know the seed
//! can choose addresses that meet in one bucket.

/// One of the values that are hashed; each has a seed of its own.
#[inline(always)]
pub fn half(value: u64, seed: [u32; 2]) -> u64 {
    let low = (value as u32).wrapping_add(seed[0]);
    let high = ((value >> 32) as u32).wrapping_add(seed[1]);
    u64::from(low) * u64::from(high)
}

/// One number of all halves. Their sum grows evenly from an address to the next one, and a product would,
/// too: with one seed in twenty the addresses of a subnet would meet in few buckets. So its high bits are
/// mixed into its low ones before. `seed[1]` must be odd.
///
/// The verifier of some kernels (6.18.15) takes what was once added to a number for a part of it until its
/// bytes are swapped, and refuses the number as an index where the seed is large.
#[inline(always)]
pub fn finish<const N: usize>(halves: [u64; N], seed: [u64; 2]) -> u32 {
    let sum = halves.into_iter().fold(0, u64::wrapping_add);
    let mixed = sum ^ sum >> 32;
    let product = mixed.wrapping_add(seed[0]).wrapping_mul(seed[1]);
    ((product >> 32) as u32).swap_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::BUCKET_FLOWS;

    const BUCKETS: u32 = 8192;
    const FLOWS: u32 = 30_000;
    const LOCAL: u64 = 0x0107_a8c0;

    /// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn random(number: u64) -> u64 {
        let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn halves(seed: u64) -> [u32; 2] {
        [seed as u32, (seed >> 32) as u32]
    }

    /// Flows that find their bucket full.
    fn without_room(hash: impl Fn(u32) -> u32) -> usize {
        let mut buckets = [0usize; BUCKETS as usize];
        for number in 0..FLOWS {
            buckets[(hash(number) % BUCKETS) as usize] += 1;
        }
        let over = buckets.map(|flows| flows.saturating_sub(BUCKET_FLOWS));
        over.iter().sum()
    }

    #[test]
    fn addresses_that_follow_each_other_meet_in_few_buckets_whatever_the_seed() {
        for load in 0..100 {
            let seed = |number: u64| random(load * 8 + number);
            let last = [seed(0), seed(1) | 1];
            let seed = |number: u64| halves(seed(number));
            let ipv4 = without_room(|number| {
                let peer = u64::from((0x0ac8_0000 + number).to_be());
                finish([half(LOCAL | peer << 32, seed(2)), half(17, seed(3))], last)
            });
            let ipv6 = without_room(|number| {
                let peer = u64::from(number).to_be();
                let halves = [half(LOCAL, seed(2)), half(peer, seed(3)), half(17, seed(4))];
                finish(halves, last)
            });
            // By chance, 30,000 flows in 8,192 buckets: 159 (Poisson, 3.66 for each).
            assert!(ipv4 < 300 && ipv6 < 300, "load {load}: {ipv4}, {ipv6}");
        }
    }

    #[test]
    fn each_bit_of_a_value_counts() {
        let hash = |value| {
            finish(
                [half(value, halves(random(1))), half(7, halves(random(2)))],
                [3, random(4) | 1],
            )
        };
        let all = (0..64).map(|bit| hash(1 << bit));
        assert!(all.clone().all(|one| one != hash(0)));
        assert!((1..64).all(|bit| all.clone().nth(bit) != all.clone().nth(bit - 1)));
    }
}
