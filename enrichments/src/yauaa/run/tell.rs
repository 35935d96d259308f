//! Telling the listeners of a tree: which path and value each of its nodes has.

use super::{Place, Run};
use crate::yauaa::expression::Range;
use crate::yauaa::grammar::{Rule, bit};
use crate::yauaa::index::{DEAD, Name, Numbers, ShapeId, WHOLE};
use crate::yauaa::lexer::Kind;
use crate::yauaa::steps::{Exploit, Walker};
use crate::yauaa::tree::{NONE, NodeId};
use crate::yauaa::words::Splitter;

impl<'a> Run<'a, '_> {
    /// Tells the listeners of a node of the tree.
    pub(super) fn tell(&mut self, node: NodeId) -> Result<(), Exploit> {
        let tree = self.walker.tree;
        match tree.rule(node) {
            Rule::UserAgent => {
                self.places[0] = Some(Place::new(WHOLE, 0, 0));
                if self.witness.is_some() {
                    self.paths = vec![String::new(); tree.nodes.len()];
                    "agent".clone_into(&mut self.paths[0]);
                }
                self.told(0, WHOLE, 0, self.walker.text);
            }
            Rule::RootText | Rule::MultipleWords | Rule::TextVersions => {
                self.tell_words(node, Name::Text, Splitter::Words);
            }
            Rule::Product | Rule::CommentProduct | Rule::NameNoVersion => {
                self.tell_words(node, Name::Product, Splitter::Words);
            }
            Rule::NameEmail | Rule::NameUrl | Rule::NameUuid => self.tell_whole(node, Name::Name),
            Rule::NameWords | Rule::NameVersion => {
                self.tell_words(node, Name::Name, Splitter::Words);
            }
            Rule::NameKeyValue => self.tell_key_value_name(node),
            Rule::ProductVersion | Rule::VersionWithCommas => {
                let first = tree.children(node).next().map(|child| tree.rule(child));
                let single = [Rule::SingleVersion, Rule::SingleVersionWithCommas];
                if !first.is_some_and(|first| single.contains(&first)) {
                    self.tell_whole(node, Name::Version);
                }
            }
            Rule::VersionSingleWord => self.tell_whole(node, Name::Version),
            Rule::SingleVersion | Rule::SingleVersionWithCommas => {
                self.tell_words(node, Name::Version, Splitter::Version);
            }
            Rule::VersionWords | Rule::KeyValueProductVersion | Rule::KeyValueVersion => {
                self.tell_words(node, Name::Version, Splitter::Words);
            }
            Rule::CommentBlock => self.tell_whole(node, Name::Comments),
            Rule::CommentEntry => self.tell_words(node, Name::Entry, Splitter::Words),
            Rule::KeyValue | Rule::KeyWithoutValue => self.tell_whole(node, Name::KeyValue),
            Rule::KeyName => self.tell_words(node, Name::Key, Splitter::Words),
            Rule::SiteUrl => self.tell_token(node, Name::Url, Kind::Url)?,
            Rule::UuId => self.tell_token(node, Name::Uuid, Kind::Uuid)?,
            Rule::EmailAddress => self.tell_token(node, Name::Email, Kind::Email)?,
            Rule::Base64 => self.tell_token(node, Name::Base64, Kind::Base64)?,
            Rule::EmptyWord => {
                let place = self.place(node, &[Name::Text]);
                self.told(node, place.shape, place.numbers, "");
            }
            Rule::RootElements | Rule::ProductName | Rule::CommentSeparator | Rule::Token => {}
        }
        Ok(())
    }

    fn tell_whole(&mut self, node: NodeId, name: Name) {
        let place = self.place(node, &[name]);
        self.told(node, place.shape, place.numbers, self.source(node));
    }

    fn tell_token(&mut self, node: NodeId, name: Name, kind: Kind) -> Result<(), Exploit> {
        let Walker { tree, tokens, text, .. } = self.walker;
        let token = tree.children(node).find(|child| {
            let child = &tree.nodes[*child as usize];
            child.rule == Rule::Token
                && (child.made_up == bit(kind)
                    || (child.made_up == 0 && tokens[child.start as usize].kind == kind))
        });
        let value = tree.joined(token.ok_or(Exploit)?, text, tokens);
        let value = self.walker.arena.alloc_str(&value);
        let place = self.place(node, &[name]);
        self.told(node, place.shape, place.numbers, value);
        Ok(())
    }

    fn tell_key_value_name(&mut self, node: NodeId) {
        let Walker { tree, tokens, text, .. } = self.walker;
        let value = self.walker.arena.alloc_str(&tree.joined(node, text, tokens));
        let place = self.place(node, &[Name::Name, Name::KeyValue]);
        self.told(node, place.shape, place.numbers, value);
        // The name beside it is told as if it were the same child.
        if let Some((parent, above)) = self.parent(node) {
            let name = above.below(self.engine, Name::Name, above.children);
            let path = self.path(parent, Name::Name, above.children, "");
            self.told_as(node, &path, name.shape, name.numbers, self.source(node));
            self.tell_ranges(node, (parent, above, Name::Name), name, Splitter::Words);
        }
    }

    fn tell_words(&mut self, node: NodeId, name: Name, splitter: Splitter) {
        let place = self.place(node, &[name]);
        self.told(node, place.shape, place.numbers, self.source(node));
        if let Some((parent, above)) = self.parent(node) {
            self.tell_ranges(node, (parent, above, name), place, splitter);
        }
    }

    /// Tells of the words of a part that somebody wants. Their number is that of the last child,
    /// also where versions are numbered by themselves.
    fn tell_ranges(
        &mut self,
        node: NodeId,
        (parent, above, name): (NodeId, Place, Name),
        place: Place,
        splitter: Splitter,
    ) {
        if place.shape == DEAD {
            return;
        }
        let ranges = &self.engine.index.shapes[usize::from(place.shape)].ranges;
        let mut wanted: Vec<(Range, ShapeId)> = Vec::new();
        for (span, range, shape) in ranges {
            if span.includes(place.numbers) && !wanted.iter().any(|(other, _)| other == range) {
                wanted.push((*range, *shape));
            }
        }
        let text = self.source(node);
        let numbers = above.below(self.engine, name, above.children).numbers;
        // The library cuts differently where many ranges are wanted, and so do the rules expect.
        let words = (wanted.len() > 4).then(|| splitter.all(text));
        for (range, shape) in wanted {
            let value = match &words {
                None => splitter.range(text, range),
                Some(words) => Splitter::range_of(text, words, range),
            };
            if let Some(value) = value {
                let path = self.path(parent, name, above.children, &range.to_string());
                self.told_as(node, &path, shape, numbers, value);
            }
        }
    }

    fn source(&self, node: NodeId) -> &'a str {
        self.walker.source(node).unwrap_or("")
    }

    /// The nearest node above that was told, and its place.
    fn parent(&self, node: NodeId) -> Option<(NodeId, Place)> {
        let mut at = self.walker.tree.nodes[node as usize].parent;
        while at != NONE {
            if let Some(place) = self.places[at as usize] {
                return Some((at, place));
            }
            at = self.walker.tree.nodes[at as usize].parent;
        }
        None
    }

    /// Makes a node the next child of what is above it.
    fn place(&mut self, node: NodeId, names: &[Name]) -> Place {
        let (parent, _) = self.parent(node).expect("the top was told first");
        let above = self.places[parent as usize].as_mut().expect("just found");
        let counter = match names {
            [Name::Comments] => &mut above.comments,
            [Name::Version] => &mut above.versions,
            _ => &mut above.children,
        };
        *counter = counter.saturating_add(1);
        let (number, above) = (*counter, *above);
        let mut place = above.below(self.engine, names[0], number);
        for name in &names[1..] {
            place = place.below(self.engine, *name, 1);
        }
        self.places[node as usize] = Some(place);
        if self.witness.is_some() {
            let behind = if names.len() > 1 { ".(1)keyvalue" } else { "" };
            self.paths[node as usize] = self.path(parent, names[0], number, behind);
        }
        place
    }

    fn path(&self, parent: NodeId, name: Name, number: u8, behind: &str) -> String {
        match self.paths.get(parent as usize) {
            None => String::new(),
            Some(parent) => format!("{parent}.({number}){}{behind}", name.text()),
        }
    }

    fn told(&mut self, node: NodeId, shape: ShapeId, numbers: Numbers, value: &'a str) {
        if let Some(witness) = &mut self.witness {
            witness.part(&self.paths[node as usize], value);
        }
        self.inform(shape, numbers, value, node);
    }

    fn told_as(&mut self, node: NodeId, path: &str, shape: ShapeId, n: Numbers, value: &'a str) {
        if let Some(witness) = &mut self.witness {
            witness.part(path, value);
        }
        self.inform(shape, n, value, node);
    }
}
