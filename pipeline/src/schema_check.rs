//! Asks the snapshot of schemas about self-describing JSON, and notes what it does not know.

use event::json::{Members, unescape};
use event::reason::{ClientError, Reason};
use event::schema_key::{ParseError, Parts};
use event::{Bump, Criterion, Entity, SchemaKey, SchemaVer};
use validator::{Lookup, Schemas};

use super::envelopes::Envelopes;
use super::proven::Proven;
use super::{Settings, Unavailable, Validation};

/// A self-describing JSON taken apart.
#[derive(Clone, Copy, Debug)]
pub struct SelfDescribing<'a> {
    /// The Iglu URI.
    pub uri: &'a str,
    /// The data, compact JSON.
    pub data: &'a str,
}

impl<'a> SelfDescribing<'a> {
    /// Takes compact JSON apart. Other members than `schema` and `data` are passed over.
    pub fn parse(json: &'a str, arena: &'a Bump) -> Result<SelfDescribing<'a>, ParseError> {
        let (mut uri, mut data) = (None, None);
        for (key, value) in Members::of(json).into_iter().flatten() {
            match key {
                "\"schema\"" => uri = unescape(value, arena).filter(|_| value.starts_with('"')),
                "\"data\"" => data = Some(value),
                _ => {}
            }
        }
        let (Some(uri), Some(data)) = (uri, data) else {
            return Err(ParseError::InvalidDataPayload);
        };
        Parts::parse(uri)?;
        Ok(SelfDescribing { uri, data })
    }

    /// Whether its schema satisfies a criterion.
    pub fn satisfies(&self, criterion: &Criterion) -> bool {
        Parts::parse(self.uri).is_ok_and(|parts| criterion.matches(parts))
    }
}

/// Why a step cannot go on with what it has.
#[derive(Debug)]
pub enum Stop {
    /// For these reasons, which are the verdict.
    Refused(Vec<Reason>),
    /// A schema is not there; it has been noted as needed or as unavailable.
    Pending,
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Stop {
        Stop::Refused(vec![reason])
    }
}

/// What the snapshot says of one self-describing JSON.
#[derive(Debug)]
pub enum Verdict {
    /// It is valid, perhaps against the schema that superseded its own.
    Valid(Option<SchemaVer>),
    /// It is not, or its schema is missing.
    Invalid(Box<ClientError>),
    /// Its schema must be resolved first, or cannot be had.
    Pending,
}

/// Validates against one snapshot.
pub struct SchemaCheck<'s> {
    schemas: &'s Schemas,
    validation: Validation,
    on_unavailable: Unavailable,
    /// The quick way, for what is in the usual form and valid.
    pub(super) envelopes: Envelopes<'s>,
    /// What need not be checked again.
    pub proven: Proven,
    /// The keys not known so far.
    pub needs: Vec<SchemaKey>,
    /// Whether something of the present event, or record, is not known so far.
    pub pending: bool,
    /// The Iglu URIs, of the present event or record, of schemas that cannot be had.
    pub unavailable: Vec<String>,
}

impl<'s> SchemaCheck<'s> {
    /// Bounds what one batch may ask for at a time; a bot's invented keys wait for another round.
    const NEEDS_MAX: usize = 1_000;

    /// With nothing needed yet.
    pub fn new(schemas: &'s Schemas, settings: &Settings) -> SchemaCheck<'s> {
        SchemaCheck {
            schemas,
            validation: settings.validation,
            on_unavailable: settings.unavailable,
            envelopes: Envelopes::new(schemas, settings.validation),
            proven: Proven::default(),
            needs: Vec::new(),
            pending: false,
            unavailable: Vec::new(),
        }
    }

    /// The snapshot.
    pub fn schemas(&self) -> &'s Schemas {
        self.schemas
    }

    /// Validates data against the schema of that URI.
    pub fn check(&mut self, uri: &str, data: &str) -> Verdict {
        if self.validation == Validation::Syntax {
            return Verdict::Valid(None);
        }
        match self.schemas.get(uri) {
            Some(Lookup::Found(schema)) => match schema.check(data) {
                Ok(()) => Verdict::Valid(schema.superseded_by()),
                Err(error) => Verdict::Invalid(error),
            },
            Some(Lookup::Unavailable(_)) if self.on_unavailable == Unavailable::Park => {
                if !self.unavailable.iter().any(|noted| noted == uri) {
                    self.unavailable.push(uri.to_owned());
                }
                Verdict::Pending
            }
            Some(Lookup::Missing(history) | Lookup::Unavailable(history)) => {
                let history = history.to_vec();
                Verdict::Invalid(Box::new(ClientError::Resolution { history }))
            }
            None => {
                self.need(uri);
                Verdict::Pending
            }
        }
    }

    /// As [`check`](Self::check), for an entity that an enrichment made.
    pub fn check_derived(&mut self, entity: &Entity<'_>) -> Verdict {
        let schema = match self.schemas.get(entity.uri) {
            Some(Lookup::Found(schema)) if self.validation == Validation::Full => schema,
            _ => return self.check(entity.uri, entity.data),
        };
        if self.proven.has(entity, schema) {
            return Verdict::Valid(schema.superseded_by());
        }
        let verdict = self.check(entity.uri, entity.data);
        if let Verdict::Valid(_) = verdict {
            self.proven.add(entity, schema);
        }
        verdict
    }

    /// As [`check`](Self::check), where being valid is all that matters.
    pub fn require(&mut self, json: SelfDescribing<'_>) -> Result<(), Stop> {
        match self.check(json.uri, json.data) {
            Verdict::Valid(_) => Ok(()),
            Verdict::Invalid(error) => {
                Err(Reason::Iglu { schema_key: json.uri.to_owned(), error: *error }.into())
            }
            Verdict::Pending => Err(Stop::Pending),
        }
    }

    /// What was found missing since this was last asked, besides what is needed: the URIs of
    /// schemas that cannot be had. None while something is needed first.
    pub fn take_missing(&mut self) -> Option<Vec<String>> {
        let unavailable = std::mem::take(&mut self.unavailable);
        (!std::mem::take(&mut self.pending)).then_some(unavailable)
    }

    fn need(&mut self, uri: &str) {
        self.pending = true;
        let key = SchemaKey::parse(uri).expect("the URI was parsed before");
        if self.needs.len() < Self::NEEDS_MAX && !self.needs.contains(&key) {
            self.needs.push(key);
        }
    }
}
