//! How far a shard is in a table, and which property of the table says so.

use std::cmp::Ordering;
use std::fmt::{self, Display};
use std::str::FromStr;

/// What the names of the properties begin with that say where shards are.
pub(crate) const POSITION: &str = "snowmelt.position.";

/// A shard of a stream, as tables name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(String);

impl Shard {
    /// The shard of that name in the stream of that name.
    pub fn new(stream: &str, shard: &str) -> Shard {
        Shard(format!("{stream}.{shard}"))
    }

    /// The shard that a property of a table is about; `None` if it is about something else.
    pub(crate) fn of_property(property: &str) -> Option<Shard> {
        property.strip_prefix(POSITION).map(|name| Shard(name.to_owned()))
    }

    /// The property that says where it is: `snowmelt.position.<stream>.<shard>`.
    pub fn property(&self) -> String {
        format!("{POSITION}{}", self.0)
    }

    /// The shard that is called so.
    pub(crate) fn named(name: &str) -> Shard {
        Shard(name.to_owned())
    }

    /// The stream's name and the shard's, joined by a dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a shard is in a table: everything before that place is in it, and nothing after.
///
/// In the table it is the text `<epoch>/<place>`. A commit compares marks for equality only. Their
/// order is that of epochs, and in an epoch that of the numbers of places; it tells which one of a
/// shard's chain is further.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The number of the owner who brought it there, among all who were.
    pub epoch: u64,
    /// The place, which means something to its owner alone: `<sequence>/<sub-sequence>` of the last
    /// record for a shard of a stream. Empty at the beginning.
    pub place: String,
}

impl Ord for Mark {
    fn cmp(&self, other: &Mark) -> Ordering {
        let number = |text: &'_ str| -> (usize, String) {
            let text = text.trim_start_matches('0');
            (text.len(), text.to_owned())
        };
        let places = |mark: &Mark| mark.place.split('/').map(number).collect::<Vec<_>>();
        let epochs = self.epoch.cmp(&other.epoch);
        // Numbers that differ by zeros before them are two marks all the same.
        let by_numbers = || places(self).cmp(&places(other));
        epochs.then_with(by_numbers).then_with(|| self.place.cmp(&other.place))
    }
}

impl PartialOrd for Mark {
    fn partial_cmp(&self, other: &Mark) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Mark {
    /// The same place in another epoch.
    pub fn in_epoch(&self, epoch: u64) -> Mark {
        Mark { epoch, place: self.place.clone() }
    }
}

/// How a mark is told where there may be none.
pub(crate) fn told(mark: Option<&Mark>) -> String {
    mark.map_or_else(|| "nowhere".to_owned(), Mark::to_string)
}

impl Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.place)
    }
}

/// A text that says nothing of where a shard is.
#[derive(Debug, thiserror::Error)]
#[error("expected <epoch>/<place>, found {0:?}")]
pub struct NotAMark(String);

impl FromStr for Mark {
    type Err = NotAMark;

    fn from_str(text: &str) -> Result<Mark, NotAMark> {
        let read = || {
            let (epoch, place) = text.split_once('/')?;
            // A sign or a leading zero is not what we write.
            let epoch = epoch.parse::<u64>().ok().filter(|n| n.to_string() == epoch)?;
            Some(Mark { epoch, place: place.to_owned() })
        };
        read().ok_or_else(|| NotAMark(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_is_written() {
        for text in ["0/", "7/49590338271490256608559692538361571095921575989136588898/3", "1/a/b"]
        {
            assert_eq!(text.parse::<Mark>().expect("there").to_string(), text);
        }
        for text in ["", "7", "/3", "-1/3", "+1/3", "01/3", "x/3", "18446744073709551616/3"] {
            assert!(text.parse::<Mark>().is_err(), "{text}");
        }
    }

    #[test]
    fn marks_are_ordered_by_their_numbers() {
        let mut marks = ["2/9/0", "1/", "2/10/1", "2/", "1/95/0", "2/10/0", "10/1/0"];
        marks.sort_by_key(|text| text.parse::<Mark>().expect("there"));
        assert_eq!(marks, ["1/", "1/95/0", "2/", "2/9/0", "2/10/0", "2/10/1", "10/1/0"]);
    }

    #[test]
    fn a_property_names_its_shard() {
        let shard = Shard::new("raw", "shardId-000000000000");
        assert_eq!(shard.property(), "snowmelt.position.raw.shardId-000000000000");
        assert_eq!(Shard::of_property(&shard.property()), Some(shard));
        assert_eq!(Shard::of_property("write.format.default"), None);
    }
}
