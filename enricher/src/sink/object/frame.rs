//! Compressed frames that can be strung together: what a reader gets from the whole is the lines
//! of one frame after the other.

use std::io::Write;

/// How objects are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard frames.
    #[default]
    Zstd,
    /// Gzip members.
    Gzip,
    /// None.
    Plain,
}

/// Levels 2 and 3 take half as long again, and make no smaller objects of events: by less than one
/// in a hundred as columns, larger ones as JSON.
const ZSTD_LEVEL: i32 = 1;

/// Below it objects grow faster than the time falls.
const GZIP_LEVEL: u32 = 4;

impl Compression {
    /// The suffix of names, with its dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::Zstd => ".zst",
            Compression::Gzip => ".gz",
            Compression::Plain => "",
        }
    }

    /// One frame of lines.
    pub fn frame(self, lines: &[u8]) -> Vec<u8> {
        match self {
            Compression::Zstd => {
                zstd::bulk::compress(lines, ZSTD_LEVEL).expect("compressing into memory")
            }
            Compression::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(lines).expect("writing into memory");
                encoder.finish().expect("writing into memory")
            }
            Compression::Plain => lines.to_vec(),
        }
    }

    /// The lines of frames strung together.
    pub fn lines(self, frames: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut lines = Vec::new();
        match self {
            Compression::Zstd => zstd::stream::copy_decode(frames, &mut lines)?,
            Compression::Gzip => {
                std::io::copy(&mut flate2::read::MultiGzDecoder::new(frames), &mut lines)?;
            }
            Compression::Plain => lines.extend_from_slice(frames),
        }
        Ok(lines)
    }

    /// The compression that an object's name tells of.
    pub fn of(name: &str) -> Compression {
        match name.rsplit('.').next() {
            Some("zst") => Compression::Zstd,
            Some("gz") => Compression::Gzip,
            _ => Compression::Plain,
        }
    }
}

/// For lines that wait and are read once more by this process: what is fastest.
const PACKED_LEVEL: i32 = 1;

/// Lines that are going to be columns, as they wait.
pub(in crate::sink) fn pack(lines: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(lines, PACKED_LEVEL).expect("compressing into memory")
}

/// The lines of what was packed.
pub(in crate::sink) fn unpack(packed: &[u8]) -> String {
    let lines = zstd::stream::decode_all(packed).expect("it was packed by this process");
    String::from_utf8(lines).unwrap_or_else(|lines| {
        // The pipeline makes no such lines.
        String::from_utf8_lossy(lines.as_bytes()).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        assert_eq!(unpack(&pack("one\ntwö\n".as_bytes())), "one\ntwö\n");
    }

    #[test]
    fn frames_strung_together_read_as_one() {
        for compression in [Compression::Zstd, Compression::Gzip, Compression::Plain] {
            let mut object = compression.frame(b"one\ntwo\n");
            object.extend(compression.frame(b"three\n"));
            let lines = compression.lines(&object).expect("frames are whole");
            assert_eq!(lines, b"one\ntwo\nthree\n", "{compression:?}");
            assert_eq!(Compression::of(&format!("a.tsv{}", compression.suffix())), compression);
        }
    }
}
