//! Pieces of an input that say how long they are, cut from large blocks without copying.
//!
//! A block is read into again once nobody holds a piece of it any more. So a reader that drops its
//! pieces as it goes works in the same few megabytes, which stay in the processor's caches.

use std::io::{self, Read};

use bytes::{Buf, Bytes, BytesMut};

/// About what is processed at a time, so that two blocks are in use by turns.
const BLOCK: usize = 1 << 20;

/// Blocks that may be read into again; with more in use at a time some are made anew.
const REUSED: usize = 4;

/// What was read and not handed out yet.
#[derive(Default)]
pub(super) struct Blocks {
    unread: Bytes,
    used: Vec<Bytes>,
}

impl Blocks {
    /// How much of the next so many bytes is there: less only where the input ends.
    pub(super) fn fill(&mut self, bytes: usize, input: &mut impl Read) -> io::Result<&[u8]> {
        if self.unread.len() < bytes {
            self.read(bytes.max(BLOCK), input)?;
        }
        Ok(&self.unread[..bytes.min(self.unread.len())])
    }

    /// Cuts off bytes that are there.
    pub(super) fn take(&mut self, bytes: usize) -> Bytes {
        self.unread.split_to(bytes)
    }

    /// Passes over bytes that are there.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.unread.advance(bytes);
    }

    /// Reads a block of a size; what is unread of the one before comes first in it.
    fn read(&mut self, size: usize, input: &mut impl Read) -> io::Result<()> {
        let mut block = self.free(size);
        let mut filled = self.unread.len();
        block[..filled].copy_from_slice(&self.unread);
        while filled < block.len() {
            match input.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let block = block.freeze();
        self.unread = block.slice(..filled);
        if block.len() == BLOCK {
            self.used.push(block);
        }
        Ok(())
    }

    /// A block that nobody holds a piece of.
    fn free(&mut self, size: usize) -> BytesMut {
        let free = self.used.iter().position(|block| size == BLOCK && block.is_unique());
        let reused = free.map(|place| self.used.remove(place).try_into_mut());
        if self.used.len() == REUSED {
            self.used.remove(0);
        }
        reused.and_then(Result::ok).unwrap_or_else(|| BytesMut::zeroed(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, as pipes do.
    struct Trickle<'b>(&'b [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = buffer.len().min(30_000);
            self.0.read(&mut buffer[..bytes])
        }
    }

    #[test]
    fn pieces_are_those_of_the_input_whoever_holds_them() {
        let input: Vec<u8> = (0..20 * BLOCK as u32).map(|at| (at / 3) as u8).collect();
        for hold in [0, 1_000, usize::MAX] {
            let (mut blocks, mut source) = (Blocks::default(), Trickle(&input));
            let (mut at, mut length, mut held) = (0, 1, Vec::new());
            loop {
                let there = blocks.fill(length, &mut source).expect("no error").len();
                assert_eq!(there, length.min(input.len() - at));
                let piece = blocks.take(there);
                held.push((at, piece));
                if held.len() > hold {
                    held.remove(0);
                }
                for (at, piece) in held.iter().rev().take(3) {
                    assert!(piece == &input[*at..*at + piece.len()]);
                }
                if there < length {
                    break;
                }
                at += length;
                length = (length * 7 + 1) % 3_000 + usize::from(at > 5 * BLOCK) * 1_500_000;
            }
            assert!(held.iter().all(|(at, piece)| piece == &input[*at..*at + piece.len()]));
            assert!(blocks.used.len() <= REUSED);
        }
    }

    #[test]
    fn blocks_are_read_into_again() {
        let input = vec![7; 10 * BLOCK];
        let (mut blocks, mut source, mut seen) = (Blocks::default(), &input[..], Vec::new());
        for _ in 0..10 {
            let start = blocks.fill(BLOCK, &mut source).expect("no error").as_ptr() as usize;
            seen.push(start);
            blocks.skip(BLOCK);
        }
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() <= 2, "{} blocks", seen.len());
    }
}
