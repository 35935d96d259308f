//! MD5 of many messages side by side.
//!
//! Each step of MD5 waits for the step before it, so one message leaves most of a core idle.
//! Here eight messages take each step together, one in each lane of a vector. A lane whose message
//! ends goes on with the next message. The digests are those of the `md-5` crate, which a property
//! test holds this to.

use md5::{Digest, Md5};
use wide::u32x8;

/// How many messages are hashed at a time.
const LANES: usize = 8;

/// Up to so many messages are hashed one after the other: lanes that stay empty cost as much as
/// the others, and this is where both ways take the same time.
const FEW: usize = 2;

/// Bytes of a block.
const BLOCK: usize = 64;

/// One word of the state or of a block in every lane.
type Words = [u32; LANES];

/// Hands over the digest of each message with the message's index, in any order.
pub(super) fn md5(messages: &[&[u8]], mut digest: impl FnMut(usize, [u8; 16])) {
    if messages.len() <= FEW {
        for (index, message) in messages.iter().enumerate() {
            digest(index, Md5::digest(message).into());
        }
        return;
    }
    // Long messages first, so that the lanes run dry at about the same time.
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_unstable_by_key(|index| std::cmp::Reverse(messages[*index].len()));
    let mut waiting = order.into_iter().map(|index| Lane::new(index, messages[index]));
    let mut lanes: [Option<Lane<'_>>; LANES] = [const { None }; LANES];
    let mut state = INITIAL.map(|word| [word; LANES]);
    loop {
        for (at, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_none()) {
            *lane = waiting.next();
            set(&mut state, at, INITIAL);
        }
        if lanes.iter().all(Option::is_none) {
            return;
        }
        let blocks = lanes.each_ref().map(|lane| lane.as_ref().map_or(&[0; BLOCK], Lane::block));
        compress(&mut state, blocks);
        for (at, slot) in lanes.iter_mut().enumerate() {
            let Some(lane) = slot else { continue };
            lane.next += 1;
            if lane.next == lane.blocks() {
                digest(lane.index, bytes(&state, at));
                *slot = None;
            }
        }
    }
}

/// A message on its way through a lane.
struct Lane<'m> {
    index: usize,
    /// The blocks that are whole.
    whole: &'m [[u8; BLOCK]],
    /// What is left of the message, padded.
    tail: [u8; 2 * BLOCK],
    tail_blocks: usize,
    /// The block whose turn it is.
    next: usize,
}

impl<'m> Lane<'m> {
    fn new(index: usize, message: &'m [u8]) -> Lane<'m> {
        /// One byte that marks the end and eight with the length.
        const PADDING: usize = 9;
        let (whole, rest) = message.as_chunks();
        let tail_blocks = (rest.len() + PADDING).div_ceil(BLOCK);
        let mut tail = [0; 2 * BLOCK];
        tail[..rest.len()].copy_from_slice(rest);
        tail[rest.len()] = 0x80;
        let bits = (message.len() as u64).wrapping_mul(8).to_le_bytes();
        tail[tail_blocks * BLOCK - bits.len()..tail_blocks * BLOCK].copy_from_slice(&bits);
        Lane { index, whole, tail, tail_blocks, next: 0 }
    }

    fn blocks(&self) -> usize {
        self.whole.len() + self.tail_blocks
    }

    fn block(&self) -> &[u8; BLOCK] {
        let (tail, _) = self.tail.as_chunks();
        self.whole.get(self.next).unwrap_or_else(|| &tail[self.next - self.whole.len()])
    }
}

/// The state before the first block.
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

fn set(state: &mut [Words; 4], lane: usize, words: [u32; 4]) {
    for (lanes, word) in state.iter_mut().zip(words) {
        lanes[lane] = word;
    }
}

/// The state of one lane as a digest.
fn bytes(state: &[Words; 4], lane: usize) -> [u8; 16] {
    let mut digest = [0; 16];
    for (bytes, words) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = words[lane].to_le_bytes();
    }
    digest
}

/// Takes one block in each lane.
fn compress(state: &mut [Words; 4], blocks: [&[u8; BLOCK]; LANES]) {
    let before = state.map(u32x8::new);
    let message = words(blocks);
    let [mut a, mut b, mut c, mut d] = before;
    // Four rounds of sixteen steps. A round has its function, its order of the message's words and
    // its four rotations; the four words of the state take turns.
    for at in [0, 4, 8, 12] {
        let f = |x: u32x8, y: u32x8, z: u32x8| z ^ (x & (y ^ z));
        let word = |step: usize| message[(at + step) % 16] + u32x8::splat(SINES[at + step]);
        a = turn::<7>(a + f(b, c, d) + word(0)) + b;
        d = turn::<12>(d + f(a, b, c) + word(1)) + a;
        c = turn::<17>(c + f(d, a, b) + word(2)) + d;
        b = turn::<22>(b + f(c, d, a) + word(3)) + c;
    }
    for at in [16, 20, 24, 28] {
        let g = |x: u32x8, y: u32x8, z: u32x8| y ^ (z & (x ^ y));
        let word =
            |step: usize| message[(5 * (at + step) + 1) % 16] + u32x8::splat(SINES[at + step]);
        a = turn::<5>(a + g(b, c, d) + word(0)) + b;
        d = turn::<9>(d + g(a, b, c) + word(1)) + a;
        c = turn::<14>(c + g(d, a, b) + word(2)) + d;
        b = turn::<20>(b + g(c, d, a) + word(3)) + c;
    }
    for at in [32, 36, 40, 44] {
        let h = |x: u32x8, y: u32x8, z: u32x8| x ^ y ^ z;
        let word =
            |step: usize| message[(3 * (at + step) + 5) % 16] + u32x8::splat(SINES[at + step]);
        a = turn::<4>(a + h(b, c, d) + word(0)) + b;
        d = turn::<11>(d + h(a, b, c) + word(1)) + a;
        c = turn::<16>(c + h(d, a, b) + word(2)) + d;
        b = turn::<23>(b + h(c, d, a) + word(3)) + c;
    }
    for at in [48, 52, 56, 60] {
        let i = |x: u32x8, y: u32x8, z: u32x8| y ^ (x | !z);
        let word = |step: usize| message[(7 * (at + step)) % 16] + u32x8::splat(SINES[at + step]);
        a = turn::<6>(a + i(b, c, d) + word(0)) + b;
        d = turn::<10>(d + i(a, b, c) + word(1)) + a;
        c = turn::<15>(c + i(d, a, b) + word(2)) + d;
        b = turn::<21>(b + i(c, d, a) + word(3)) + c;
    }
    for ((words, before), after) in state.iter_mut().zip(before).zip([a, b, c, d]) {
        *words = (before + after).to_array();
    }
}

/// Rotates every lane.
fn turn<const BITS: u32>(words: u32x8) -> u32x8 {
    words << BITS | words >> (32 - BITS)
}

/// The words of eight blocks, lane by lane.
fn words(blocks: [&[u8; BLOCK]; LANES]) -> [u32x8; 16] {
    let word = |block: &[u8; BLOCK], at: usize| u32::from_le_bytes(block.as_chunks().0[at]);
    std::array::from_fn(|at| u32x8::new(blocks.map(|block| word(block, at))))
}

/// The constants of the steps: the sines of 1 to 64 radians without sign, times 2^32.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(messages: &[Vec<u8>]) {
        let borrowed: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut digests = vec![None; messages.len()];
        md5(&borrowed, |index, digest| {
            assert_eq!(digests[index].replace(digest), None, "the digest of {index} comes once");
        });
        for (message, digest) in messages.iter().zip(digests) {
            assert_eq!(digest, Some(Md5::digest(message).into()), "{} bytes", message.len());
        }
    }

    #[test]
    fn every_length_around_the_ends_of_blocks_is_padded_right() {
        check(&(0..200).map(|length| vec![0xa5; length]).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn digests_are_those_of_one_message_alone(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..40),
        ) {
            check(&messages);
        }
    }

    #[test]
    fn the_constants_are_the_sines() {
        for (at, constant) in SINES.into_iter().enumerate() {
            let sine = ((at + 1) as f64).sin().abs();
            assert_eq!(constant, (sine * 4_294_967_296.0) as u32);
        }
    }
}
