//! Which lines of a route go to which of its destinations, in which form, and into which folder.
//!
//! A destination that wants every line as it is costs nothing: its share is all of them. For the
//! others each line is looked at once, as far as the last column that anybody asks for.

mod column;
mod condition;
mod folder;

use std::collections::HashMap;

use crate::{Lines, Route};
use column::{Reach, Seen};
pub use condition::{Condition, Mistake};
pub use folder::Folder;

/// What a destination wants of its route.
#[derive(Clone, Debug, Default)]
pub struct Want {
    /// Which lines; all of them where there is none.
    pub condition: Option<Condition>,
    /// In which form events are written.
    pub form: Form,
    /// By which columns lines go into folders; where there is none, or one without columns, the
    /// destination finds the folder itself.
    pub folder: Option<Folder>,
}

/// In which form a destination takes events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As the route has them: events as 131 columns, anything else as it is.
    #[default]
    Own,
    /// As one flat JSON object.
    Json,
}

/// The lines of one batch on one route.
#[derive(Clone, Debug, Default)]
pub struct Both {
    /// As the route has them.
    pub own: Lines,
    /// The same, one by one, as flat JSON; empty where no destination wants it.
    pub json: Lines,
}

/// What destinations get.
#[derive(Debug)]
pub struct Division {
    /// Of each destination, in order.
    pub shares: Vec<Share>,
    /// How many lines no destination wants.
    pub unwanted: usize,
}

/// What one destination gets.
#[derive(Debug)]
pub enum Share {
    /// All lines, in its form.
    All,
    /// These, by folder; those whose folder is the destination's to find have none.
    Some(Vec<(Option<String>, Lines)>),
}

impl Want {
    /// Whether it is everything, as it is.
    pub fn is_all(&self) -> bool {
        !self.chooses() && self.form == Form::Own
    }

    /// Whether lines have to be looked at for it.
    pub fn chooses(&self) -> bool {
        self.condition.is_some() || self.folders().is_some()
    }

    /// Whether it wants a line.
    pub fn takes(&self, route: Route, line: &[u8]) -> bool {
        let mut ends = Vec::new();
        let seen = Seen::within(route, self.reach(), line, &mut ends);
        self.condition.as_ref().is_none_or(|condition| condition.holds(&seen))
    }

    /// The folder of a line.
    pub fn folder_of(&self, route: Route, line: &[u8], now_ms: i64) -> String {
        let (mut ends, mut out) = (Vec::new(), String::new());
        let seen = Seen::within(route, self.reach(), line, &mut ends);
        self.folder.clone().unwrap_or_default().of(&seen, now_ms, &mut out);
        out
    }

    fn folders(&self) -> Option<&Folder> {
        self.folder.as_ref().filter(|folder| folder.has_columns())
    }

    fn reach(&self) -> Reach {
        let mut reach = Reach::default();
        let mut add = |column| reach.add(column);
        if let Some(condition) = &self.condition {
            condition.columns(&mut add);
        }
        if let Some(folder) = self.folders() {
            folder.columns(&mut add);
        }
        reach
    }
}

impl Form {
    /// The lines in this form.
    pub fn of(self, both: &Both) -> &Lines {
        match self {
            Form::Own => &both.own,
            Form::Json => &both.json,
        }
    }
}

/// Divides the lines of a route among its destinations.
pub fn divide(route: Route, both: &Both, wants: &[Want], now_ms: i64) -> Division {
    let mut shares: Vec<_> = wants.iter().map(Growing::of).collect();
    let mut reach = Reach::default();
    wants.iter().for_each(|want| reach = reach.max(want.reach()));
    let (mut ends, mut unwanted) = (Vec::new(), 0);
    let mut json = both.json.iter();
    for own in both.own.iter() {
        let json = json.next().unwrap_or_default();
        let seen = Seen::within(route, reach, own, &mut ends);
        let mut wanted = false;
        for (share, want) in shares.iter_mut().zip(wants) {
            let line = if want.form == Form::Json { json } else { own };
            wanted |= share.add(line, want, &seen, now_ms);
        }
        unwanted += usize::from(!wanted);
    }
    Division { shares: shares.into_iter().map(Growing::share).collect(), unwanted }
}

/// A share that grows.
enum Growing {
    All,
    Some { parts: Vec<(Option<String>, Lines)>, places: HashMap<String, usize>, folder: String },
}

impl Growing {
    fn of(want: &Want) -> Growing {
        match want.chooses() {
            true => {
                let (parts, places) = (Vec::new(), HashMap::new());
                Growing::Some { parts, places, folder: String::new() }
            }
            false => Growing::All,
        }
    }

    /// Adds a line, if it is wanted.
    fn add(&mut self, line: &[u8], want: &Want, seen: &Seen<'_>, now_ms: i64) -> bool {
        let Growing::Some { parts, places, folder } = self else { return true };
        if want.condition.as_ref().is_some_and(|condition| !condition.holds(seen)) {
            return false;
        }
        folder.clear();
        let folders = want.folders();
        if let Some(folders) = folders {
            folders.of(seen, now_ms, folder);
        }
        let place = places.get(folder.as_str()).copied().unwrap_or_else(|| {
            places.insert(folder.clone(), parts.len());
            parts.push((folders.map(|_| folder.clone()), Lines::default()));
            parts.len() - 1
        });
        parts[place].1.push_with(|out| out.extend_from_slice(line));
        true
    }

    fn share(self) -> Share {
        match self {
            Growing::All => Share::All,
            Growing::Some { parts, .. } => Share::Some(parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Event, Field};

    /// An enriched line.
    pub(super) fn line(app_id: &str, platform: &str, event_name: &str) -> Vec<u8> {
        let mut event = Event::new();
        let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
        event.set(Field::AppId, some(app_id));
        event.set(Field::Platform, some(platform));
        event.set(Field::EventName, some(event_name));
        event.set(Field::CollectorTstamp, Some("2024-05-01 10:11:11.000"));
        let mut line = Vec::new();
        event::tsv::write(&event, &mut line);
        line
    }

    fn want(condition: &str, form: Form, folder: &str) -> Want {
        let condition = Some(condition).filter(|text| !text.is_empty());
        let parse = |text| Condition::parse(text, Route::Enriched).expect("it is right");
        let folder = Folder::parse(folder, Route::Enriched).expect("it is right");
        Want { condition: condition.map(parse), form, folder: Some(folder) }
    }

    /// Of each folder of a share, how many lines.
    fn counts(share: &Share) -> Vec<(Option<&str>, usize)> {
        let Share::Some(parts) = share else { panic!("it is a part") };
        parts.iter().map(|(folder, lines)| (folder.as_deref(), lines.len())).collect()
    }

    fn both() -> Both {
        let mut both = Both::default();
        for (n, app_id) in ["shop", "blog", "shop", ""].into_iter().enumerate() {
            both.own.push_with(|out| out.extend(line(app_id, "web", "x")));
            both.json.push_with(|out| out.extend(format!("{{\"n\":{n}}}").into_bytes()));
        }
        both
    }

    #[test]
    fn each_destination_gets_what_it_wants_in_its_form() {
        let wants = [
            want("", Form::Own, ""),
            want("app_id == 'shop'", Form::Json, ""),
            want("app_id != ''", Form::Own, "{app_id}"),
            want("app_id == 'nobody'", Form::Own, ""),
        ];
        let division = divide(Route::Enriched, &both(), &wants, 0);
        assert!(matches!(division.shares[0], Share::All));
        assert_eq!(counts(&division.shares[1]), [(None, 2)]);
        assert_eq!(counts(&division.shares[2]), [(Some("shop/"), 2), (Some("blog/"), 1)]);
        assert!(counts(&division.shares[3]).is_empty());
        let Share::Some(parts) = &division.shares[1] else { panic!("it is a part") };
        assert_eq!(parts[0].1.as_bytes(), b"{\"n\":0}\n{\"n\":2}\n");
        assert_eq!(division.unwanted, 0, "the first one takes all");
    }

    #[test]
    fn what_nobody_wants_is_counted() {
        let wants = [want("app_id == 'shop'", Form::Own, ""), want("app_id == ''", Form::Own, "")];
        assert_eq!(divide(Route::Enriched, &both(), &wants, 0).unwanted, 1);
    }

    #[test]
    fn rows_tell_their_kind_and_what_their_event_had() {
        let bad = br#"{"schema":"iglu:com.snowplowanalytics.snowplow.badrows/schema_violations/jsonschema/2-0-0","data":{"payload":{"enriched":{"app_id":"shop","txn_id":7,"user_id":null},"raw":{"parameters":[{"name":"p","value":"web"}]}}}}"#;
        let request = br#"{"schema":"iglu:a/adapter_failures/jsonschema/1-0-0","data":{"payload":{"querystring":[{"name":"aid","value":"blog"}]}}}"#;
        let parked = br#"{"reason":{"killed_workers":3},"record":""}"#;
        let oversized = br#"{"route":"enriched","line":"x"}"#;
        for (route, line, condition, expected) in [
            (Route::Bad, &bad[..], "kind == 'schema_violations' and app_id == 'shop'", true),
            (Route::Bad, bad, "platform == 'web' and txn_id == '7' and user_id == ''", true),
            (Route::Bad, request, "app_id == 'blog' and kind == 'adapter_failures'", true),
            (Route::Bad, request, "platform == 'web'", false),
            (Route::Bad, b"no JSON", "kind == ''", true),
            (Route::Parked, parked, "kind == 'killed_workers'", true),
            (Route::Oversized, oversized, "kind == 'enriched'", true),
        ] {
            let condition = Condition::parse(condition, route).expect("it is right");
            let want = Want { condition: Some(condition), ..Want::default() };
            assert_eq!(want.takes(route, line), expected);
        }
        assert!(Condition::parse("app_id == 'x'", Route::Parked).is_err());
    }
}
