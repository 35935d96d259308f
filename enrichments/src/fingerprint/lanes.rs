//! MD5 of many messages side by side.
//!
//! Each step of MD5 waits for the step before it, so one message leaves most of a core idle.
//! Here eight messages, or sixteen where the processor has AVX-512, take each step together, one in
//! each lane of a vector. A lane whose message ends goes on with the next message. The digests are
//! those of the `md-5` crate, which a property test holds this to.

mod rounds;

use md5::{Digest, Md5};

use rounds::Words;

/// Up to so many messages are hashed one after the other: lanes that stay empty cost as much as
/// the others, and this is where both ways take the same time.
const FEW: usize = 2;

/// Bytes of a block.
const BLOCK: usize = 64;

/// Hands over the digest of each message with the message's index, in any order.
pub(super) fn md5(messages: &[&[u8]], mut digest: impl FnMut(usize, [u8; 16])) {
    if messages.len() <= FEW {
        for (index, message) in messages.iter().enumerate() {
            digest(index, Md5::digest(message).into());
        }
        return;
    }
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has what the function needs.
            let compress = |state: &mut _, block: &_| unsafe { rounds::avx512(state, block) };
            return side_by_side::<16>(messages, compress, digest);
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function needs.
            let compress = |state: &mut _, block: &_| unsafe { rounds::avx2(state, block) };
            return side_by_side::<8>(messages, compress, digest);
        }
    }
    side_by_side::<8>(messages, rounds::portable, digest);
}

/// Hashes in so many lanes; `compress` takes one block in each of them.
fn side_by_side<const LANES: usize>(
    messages: &[&[u8]],
    compress: impl Fn(&mut [Words<LANES>; 4], &[Words<LANES>; 16]),
    mut digest: impl FnMut(usize, [u8; 16]),
) {
    // Long messages first, so that the lanes run dry at about the same time.
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_unstable_by_key(|index| std::cmp::Reverse(messages[*index].len()));
    let mut waiting = order.into_iter().map(|index| Lane::new(index, messages[index]));
    let mut lanes: [Option<Lane<'_>>; LANES] = [const { None }; LANES];
    let mut state = rounds::INITIAL.map(|word| [word; LANES]);
    let mut words = [[0; LANES]; 16];
    let mut busy = LANES;
    while busy > 0 {
        busy = 0;
        for (at, slot) in lanes.iter_mut().enumerate() {
            if slot.is_none() {
                *slot = waiting.next();
                for (lanes, word) in state.iter_mut().zip(rounds::INITIAL) {
                    lanes[at] = word;
                }
            }
            // What an empty lane computes is never looked at.
            let Some(lane) = slot else { continue };
            busy += 1;
            for (words, bytes) in words.iter_mut().zip(lane.block().as_chunks().0) {
                words[at] = u32::from_le_bytes(*bytes);
            }
            lane.next += 1;
        }
        compress(&mut state, &words);
        for (at, slot) in lanes.iter_mut().enumerate() {
            if let Some(lane) = slot.take_if(|lane| lane.next == lane.blocks()) {
                digest(lane.index, bytes(&state, at));
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

/// The state of one lane as a digest.
fn bytes<const LANES: usize>(state: &[Words<LANES>; 4], lane: usize) -> [u8; 16] {
    let mut digest = [0; 16];
    for (bytes, words) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = words[lane].to_le_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every way that this processor can go.
    fn check(messages: &[Vec<u8>]) {
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        check_one("as it comes", &messages, |digest| md5(&messages, digest));
        check_one("portable", &messages, |digest| {
            side_by_side::<8>(&messages, rounds::portable, digest);
        });
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function needs.
            let compress = |state: &mut _, block: &_| unsafe { rounds::avx2(state, block) };
            check_one("AVX2", &messages, |digest| {
                side_by_side::<8>(&messages, compress, digest);
            });
        }
    }

    fn check_one(way: &str, messages: &[&[u8]], run: impl FnOnce(&mut dyn FnMut(usize, [u8; 16]))) {
        let mut digests = vec![None; messages.len()];
        run(&mut |index, digest| {
            assert_eq!(digests[index].replace(digest), None, "the digest of {index} comes once");
        });
        for (message, digest) in messages.iter().zip(digests) {
            assert_eq!(digest, Some(Md5::digest(message).into()), "{way}: {} bytes", message.len());
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
}
