//! Pseudonymisation: configured fields, and texts inside entities, become salted hashes.
//!
//! Configured by `pii_enrichment_config`. Runs last, after the derived entities were validated, so
//! a hash is not checked against its schema; the lengths of fields are. The rules apply in the
//! order of the configuration. Only texts are hashed, alone or in an array; nothing is created.
//! Never fails.
//!
//! A path that cannot be read stops the start. (A running peer accepts it and hashes nothing.)
//! Data that is an array is hashed like any other, where the peer gives up the whole payload.

mod event;
pub(crate) mod hash;

use ::event::{Bump, Event, Field, json};

use crate::criterion::Criterion;
use crate::path::Path;
use crate::reader::Node;
use crate::tree::Tree;
use hash::Hash;

/// What is hashed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Pii {
    rules: Vec<Rule>,
    hash: Hash,
    hash_name: &'static str,
    salt: Salt,
    emit: bool,
    anonymous_only: bool,
}

/// A secret; it prints as stars.
#[derive(Clone)]
struct Salt(String);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[derive(Clone, Debug)]
enum Rule {
    Field(Field),
    Json { column: Field, criterion: Criterion, path: Path, path_text: String },
}

/// One value that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    field: Field,
    original: &'a str,
    modified: &'a str,
    /// The rule, where the value stood inside an entity, and the entity's schema.
    inside: Option<(usize, &'a str)>,
}

/// The columns that may be hashed whole.
const FIELDS: [Field; 18] = [
    Field::UserId,
    Field::UserIpaddress,
    Field::UserFingerprint,
    Field::DomainUserid,
    Field::NetworkUserid,
    Field::IpOrganization,
    Field::IpDomain,
    Field::TrOrderid,
    Field::TiOrderid,
    Field::MktTerm,
    Field::MktContent,
    Field::SeCategory,
    Field::SeAction,
    Field::SeLabel,
    Field::SeProperty,
    Field::MktClickid,
    Field::RefrDomainUserid,
    Field::DomainSessionid,
];

/// The columns whose entities may be hashed inside.
const COLUMNS: [Field; 3] = [Field::Contexts, Field::DerivedContexts, Field::UnstructEvent];

const HASHES: [(&str, Hash); 6] = [
    ("MD2", Hash::Md2),
    ("MD5", Hash::Md5),
    ("SHA-1", Hash::Sha1),
    ("SHA-256", Hash::Sha256),
    ("SHA-384", Hash::Sha384),
    ("SHA-512", Hash::Sha512),
];

impl Pii {
    /// Reads the data of a configuration.
    pub(crate) fn read(data: &Node<'_>) -> Option<Pii> {
        let parameters = data.field("parameters");
        parameters.only(&["pii", "strategy"])?;
        let flag = |name| match data.field(name).present() {
            Some(node) => node.flag(),
            None => Some(false),
        };
        let (emit, anonymous_only) = (flag("emitEvent"), flag("anonymousOnly"));
        let strategy = parameters.field("strategy").field("pseudonymize");
        strategy.only(&["hashFunction", "salt"]);
        let hash = strategy.field("hashFunction").choice(&HASHES);
        let salt = strategy.field("salt").secret();
        let rules: Vec<_> = parameters.field("pii").elements()?.iter().map(Rule::read).collect();
        let hash = hash?;
        Some(Pii {
            rules: rules.into_iter().collect::<Option<_>>()?,
            hash,
            hash_name: HASHES.iter().find(|(_, h)| *h == hash).map_or("", |(name, _)| *name),
            salt: Salt(salt?),
            emit: emit?,
            anonymous_only: anonymous_only?,
        })
    }

    /// Hashes what the rules name. Returns what changed, oldest first, if an event is to tell it.
    pub(crate) fn run<'a>(
        &self,
        event: &mut Event<'a>,
        headers: &[&str],
        arena: &'a Bump,
    ) -> Vec<Change<'a>> {
        let mut changes = Vec::new();
        if !self.applies(headers) {
            return changes;
        }
        let mut note = |change: Change<'a>| {
            if self.emit {
                changes.push(change);
            }
        };
        for (index, rule) in self.rules.iter().enumerate() {
            match rule {
                Rule::Field(field) => {
                    let Some(original) = event.get(*field) else { continue };
                    let modified = self.hashed(original, arena);
                    event.set(*field, Some(modified));
                    note(Change { field: *field, original, modified, inside: None });
                }
                Rule::Json { column, criterion, path, .. } => {
                    let Some(text) = event.get(*column) else { continue };
                    let mut hashed = |schema: &'a str, data: &'a str| {
                        self.data(data, path, arena, |original, modified| {
                            let inside = Some((index, schema));
                            note(Change { field: *column, original, modified, inside });
                        })
                    };
                    let text = entities(text, criterion, arena, &mut hashed);
                    event.set(*column, Some(crate::tree::respelled(text, arena)));
                }
            }
        }
        changes
    }

    /// Whether a payload with these headers is pseudonymised.
    pub(crate) fn applies(&self, headers: &[&str]) -> bool {
        !self.anonymous_only || is_anonymous(headers)
    }

    /// Whether events tell what was hashed.
    pub(crate) fn emits(&self) -> bool {
        self.emit
    }

    /// The value that a field would have.
    pub(crate) fn field<'a>(&self, field: Field, value: &'a str, arena: &'a Bump) -> &'a str {
        let rules = self.rules.iter().filter(|rule| matches!(rule, Rule::Field(f) if *f == field));
        rules.fold(value, |value, _| self.hashed(value, arena))
    }

    /// Whether a rule is for values inside the entities of a column.
    pub(crate) fn looks_inside(&self, wanted: Field) -> bool {
        let inside = |rule: &Rule| matches!(rule, Rule::Json { column, .. } if *column == wanted);
        self.rules.iter().any(inside)
    }

    /// A text as a hash and its length.
    pub(crate) fn opaque(&self, text: &[u8]) -> String {
        let arena = Bump::new();
        let hash = self.hash.hex(&[text, self.salt.0.as_bytes()], &arena);
        format!("{} {hash}, {} bytes", self.hash_name, text.len())
    }

    fn hashed<'a>(&self, value: &str, arena: &'a Bump) -> &'a str {
        self.hash.hex(&[value.as_bytes(), self.salt.0.as_bytes()], arena)
    }

    /// Hashes the texts that a path finds in some data; the data is printed anew even if the path
    /// finds nothing, which changes how numbers look.
    fn data<'a>(
        &self,
        data: &'a str,
        path: &Path,
        arena: &'a Bump,
        mut note: impl FnMut(&'a str, &'a str),
    ) -> &'a str {
        let tree = Tree::parse(data);
        let mut replacements = Vec::new();
        for text in tree.texts(&path.find_in_turn(&tree)) {
            let Some(original) = json::unescape(tree.raw(text), arena) else { continue };
            let modified = self.hashed(original, arena);
            note(original, modified);
            replacements.push((text, modified));
        }
        replacements.sort_unstable();
        tree.print(&replacements, arena)
    }
}

/// Rewrites the data of the entities of a column that match a criterion.
fn entities<'a>(
    column: &'a str,
    criterion: &Criterion,
    arena: &'a Bump,
    rewrite: &mut dyn FnMut(&'a str, &'a str) -> &'a str,
) -> &'a str {
    let Some(list) = json::member(column, "data") else { return column };
    let many = list.starts_with('[');
    let one = [list];
    let elements = json::Elements::of(list).into_iter().flatten();
    let entities: Vec<&str> = if many { elements.collect() } else { one.to_vec() };
    let matches = |entity: &&str| criterion.matches(schema(entity));
    if !entities.iter().any(matches) {
        return column;
    }
    let head = column.len() - list.len() - 1;
    let mut out = bumpalo::collections::String::with_capacity_in(column.len() + 128, arena);
    out.push_str(&column[..head]);
    out.push_str(if many { "[" } else { "" });
    for (index, entity) in entities.into_iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        let data = json::member(entity, "data").filter(|_| matches(&entity));
        let Some(data) = data else {
            out.push_str(entity);
            continue;
        };
        let start = data.as_ptr() as usize - entity.as_ptr() as usize;
        out.push_str(&entity[..start]);
        out.push_str(rewrite(schema(entity), data));
        out.push_str(&entity[start + data.len()..]);
    }
    out.push_str(if many { "]}" } else { "}" });
    out.into_bump_str()
}

fn schema(entity: &str) -> &str {
    json::member(entity, "schema").map_or("", |schema| schema.trim_matches('"'))
}

fn is_anonymous(headers: &[&str]) -> bool {
    let mut names = headers.iter().filter_map(|header| header.split_once(':'));
    names.any(|(name, _)| name.trim().eq_ignore_ascii_case("SP-Anonymous"))
}

impl Rule {
    fn read(node: &Node<'_>) -> Option<Rule> {
        node.only(&["pojo", "json"])?;
        let (pojo, inside) = (node.field("pojo").present(), node.field("json").present());
        match (pojo, inside) {
            (Some(pojo), None) => {
                pojo.only(&["field"])?;
                let choices = FIELDS.map(|field| (field.name(), field));
                pojo.field("field").choice(&choices).map(Rule::Field)
            }
            (None, Some(inside)) => {
                inside.only(&["field", "schemaCriterion", "jsonPath"])?;
                let columns = COLUMNS.map(|field| (field.name(), field));
                let column = inside.field("field").choice(&columns);
                let criterion = Criterion::read(&inside.field("schemaCriterion"));
                let node = inside.field("jsonPath");
                let path_text = node.text()?;
                let path = Path::parse(&path_text)
                    .map_err(|why| node.wrong(&format!("a path that can be followed ({why})")));
                let (column, criterion, path) = (column?, criterion?, path.ok()?);
                Some(Rule::Json { column, criterion, path, path_text })
            }
            _ => {
                node.wrong("either pojo or json");
                None
            }
        }
    }
}
