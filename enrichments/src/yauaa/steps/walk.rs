//! Walking the tree: up, to siblings, and down to children by name and number.

use super::{Exploit, Found, Step, Walker};
use crate::yauaa::grammar::Rule;
use crate::yauaa::index::Name;
use crate::yauaa::tree::{NONE, NodeId};
use crate::yauaa::words::Splitter;

impl<'a> Walker<'a> {
    /// How the words of a part are cut: versions at other marks than the rest.
    pub(super) fn splitter(&self, node: NodeId) -> Splitter {
        let only = (node != NONE).then(|| self.tree.only_child(node)).flatten();
        match only.map(|child| self.tree.rule(child)) {
            Some(
                Rule::SingleVersion
                | Rule::SingleVersionWithCommas
                | Rule::ProductVersion
                | Rule::VersionSingleWord
                | Rule::VersionWithCommas,
            ) => Splitter::Version,
            _ => Splitter::Words,
        }
    }

    /// The part that a part belongs to; parts that only wrap one other do not count.
    pub(super) fn up(&self, node: NodeId) -> Option<NodeId> {
        let mut parent = (node != NONE).then(|| self.tree.nodes[node as usize].parent)?;
        loop {
            if parent == NONE {
                return None;
            }
            match self.tree.rule(parent) {
                Rule::ProductName | Rule::ProductVersion | Rule::VersionWithCommas => {
                    parent = self.tree.nodes[parent as usize].parent;
                }
                _ => return Some(parent),
            }
        }
    }

    pub(super) fn next(&self, node: NodeId, count: u8) -> Option<NodeId> {
        let siblings = self.tree.children(self.up(node)?).skip_while(|child| *child != node);
        let mut after = siblings.skip(1).filter(|child| !self.tree.separates(*child));
        after.nth(usize::from(count) - 1)
    }

    pub(super) fn previous(&self, node: NodeId) -> Option<NodeId> {
        let mut previous = None;
        let mut children = self.tree.children(self.up(node)?).peekable();
        while let Some(child) = children.next() {
            // A part that is wrapped is not among these: then all but the last are before it.
            if child == node || children.peek().is_none() {
                break;
            }
            if !self.tree.separates(child) {
                previous = Some(child);
            }
        }
        previous
    }

    pub(super) fn previous_by(&self, node: NodeId, count: u8) -> Result<Option<NodeId>, Exploit> {
        const MOST: usize = 19;
        let Some(parent) = self.up(node) else { return Ok(None) };
        let mut before = Vec::new();
        for child in self.tree.children(parent) {
            if child == node {
                let at = before.len().checked_sub(usize::from(count));
                return Ok(at.map(|at| before[at]));
            }
            if !self.tree.separates(child) {
                before.push(child);
            }
            let last = self.tree.last_child(parent) == Some(child);
            if before.len() > MOST && !last {
                return Err(Exploit);
            }
        }
        Ok(None)
    }

    /// Goes on with the first child of a name and number from which the rest leads somewhere.
    pub(super) fn down(
        &self,
        rest: &'a [Step],
        node: NodeId,
        (first, last, name): (u8, u8, Name),
    ) -> Result<Option<Found<'a>>, Exploit> {
        if node == NONE {
            return Ok(None);
        }
        let mut parent = node;
        if self.tree.rule(node) == Rule::UserAgent
            && self.wanted(node, first, last, name).next().is_none()
        {
            match self.tree.last_child(node) {
                Some(child) => parent = child,
                None => return Ok(None),
            }
        }
        if !has_children(self.tree.rule(parent)) {
            return Ok(None);
        }
        if self.tree.rule(parent) == Rule::NameKeyValue && matches!(name, Name::Key | Name::Value) {
            return self.down_key_value(rest, parent, name);
        }
        for child in self.wanted(parent, first, last, name) {
            if let Some(found) = self.step(rest, child, None)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn wanted(
        &self,
        node: NodeId,
        first: u8,
        last: u8,
        name: Name,
    ) -> impl Iterator<Item = NodeId> {
        // Versions and comments are numbered by themselves, the others among all children.
        let alone = matches!(name, Name::Version | Name::Comments);
        let children = self.tree.children(node).filter(|child| !self.tree.separates(*child));
        let fits = move |child: &NodeId| is_named(self.tree.rule(*child), name);
        let numbered = children.filter(move |child| !alone || fits(child)).enumerate();
        let wanted = usize::from(first.max(1)) - 1..usize::from(last);
        numbered.filter(move |(at, child)| wanted.contains(at) && fits(child)).map(|(_, c)| c)
    }

    fn down_key_value(
        &self,
        rest: &'a [Step],
        node: NodeId,
        name: Name,
    ) -> Result<Option<Found<'a>>, Exploit> {
        let of = |rule: Rule| {
            let children = self.tree.children(node);
            children.filter(move |child| self.tree.rule(*child) == rule)
        };
        let kinds: &[Rule] = match name {
            Name::Key => &[Rule::KeyName],
            _ => &[
                Rule::MultipleWords,
                Rule::KeyValueProductVersion,
                Rule::SiteUrl,
                Rule::EmailAddress,
                Rule::UuId,
            ],
        };
        let kind = kinds.iter().find(|rule| of(**rule).next().is_some());
        for child in kind.into_iter().flat_map(|rule| of(*rule)) {
            if let Some(found) = self.step(rest, child, None)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Whether paths lead down from what a rule matched.
fn has_children(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::UserAgent
            | Rule::RootElements
            | Rule::Product
            | Rule::NameNoVersion
            | Rule::CommentProduct
            | Rule::ProductName
            | Rule::NameKeyValue
            | Rule::ProductVersion
            | Rule::VersionWithCommas
            | Rule::KeyValue
            | Rule::KeyWithoutValue
            | Rule::CommentBlock
            | Rule::CommentEntry
    )
}

/// Whether a path means what a rule matched by a name.
fn is_named(rule: Rule, name: Name) -> bool {
    match name {
        Name::KeyValue => {
            matches!(rule, Rule::KeyValue | Rule::KeyWithoutValue | Rule::NameKeyValue)
        }
        Name::Product => matches!(rule, Rule::Product | Rule::CommentProduct | Rule::NameNoVersion),
        Name::Uuid => matches!(rule, Rule::UuId | Rule::NameUuid),
        Name::Base64 => rule == Rule::Base64,
        Name::Url => matches!(rule, Rule::SiteUrl | Rule::NameUrl),
        Name::Email => matches!(rule, Rule::EmailAddress | Rule::NameEmail),
        Name::Text => matches!(
            rule,
            Rule::MultipleWords
                | Rule::TextVersions
                | Rule::EmptyWord
                | Rule::RootText
                | Rule::KeyValueVersion
        ),
        Name::Name => rule == Rule::ProductName,
        Name::Version => matches!(
            rule,
            Rule::ProductVersion
                | Rule::VersionWithCommas
                | Rule::VersionWords
                | Rule::VersionSingleWord
        ),
        Name::Comments => rule == Rule::CommentBlock,
        Name::Key => rule == Rule::KeyName,
        Name::Value => matches!(
            rule,
            Rule::UuId
                | Rule::MultipleWords
                | Rule::SiteUrl
                | Rule::EmailAddress
                | Rule::KeyValueVersion
                | Rule::KeyValueProductVersion
        ),
        Name::Entry => rule == Rule::CommentEntry,
    }
}
