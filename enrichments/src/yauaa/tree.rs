//! The tree of a user agent, and how to walk it.

use super::grammar::Rule;
use super::lexer::Token;
use super::stacks::{NOBODY, Stack};

/// A node's number. Nodes are numbered in the order in which reading came to them, so a node's
/// number is below those of its children and of all that follows.
pub(super) type NodeId = u32;

/// No node.
pub(super) const NONE: NodeId = u32::MAX;

/// What a rule matched, or a token.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) rule: Rule,
    pub(super) parent: NodeId,
    pub(super) first_child: NodeId,
    pub(super) last_child: NodeId,
    pub(super) next: NodeId,
    /// Its first token, and the one after its last.
    pub(super) start: u32,
    pub(super) end: u32,
    /// The state that the rule was called from, and all callers.
    pub(super) from: u16,
    pub(super) callers: Stack,
    /// Of a token that is not in the text, the kind that was missing.
    pub(super) made_up: u32,
}

impl Node {
    pub(super) fn new(rule: Rule, parent: NodeId, at: usize) -> Node {
        let (start, end) = (at as u32, at as u32);
        let (first_child, last_child, next) = (NONE, NONE, NONE);
        let (from, callers, made_up) = (0, NOBODY, 0);
        Node { rule, parent, first_child, last_child, next, start, end, from, callers, made_up }
    }
}

/// The nodes of one text.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// Whether the text broke the grammar somewhere.
    pub(super) broken: bool,
}

impl Tree {
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.broken = false;
    }

    /// Adds a node as the last child of its parent.
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        let (id, parent) = (self.nodes.len() as NodeId, node.parent);
        self.nodes.push(node);
        if parent != NONE {
            let last = std::mem::replace(&mut self.nodes[parent as usize].last_child, id);
            if last == NONE {
                self.nodes[parent as usize].first_child = id;
            } else {
                self.nodes[last as usize].next = id;
            }
        }
        id
    }

    pub(super) fn rule(&self, node: NodeId) -> Rule {
        self.nodes[node as usize].rule
    }

    /// All children, tokens too.
    pub(super) fn children(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let first = self.nodes[node as usize].first_child;
        std::iter::successors((first != NONE).then_some(first), |node| {
            let next = self.nodes[*node as usize].next;
            (next != NONE).then_some(next)
        })
    }

    pub(super) fn last_child(&self, node: NodeId) -> Option<NodeId> {
        let last = self.nodes[node as usize].last_child;
        (last != NONE).then_some(last)
    }

    /// The child if there is exactly one.
    pub(super) fn only_child(&self, node: NodeId) -> Option<NodeId> {
        let Node { first_child, last_child, .. } = self.nodes[node as usize];
        (first_child != NONE && first_child == last_child).then_some(first_child)
    }

    /// Whether a node only separates others: tokens and the separators of comments.
    pub(super) fn separates(&self, node: NodeId) -> bool {
        matches!(self.rule(node), Rule::Token | Rule::CommentSeparator)
    }

    /// The part of the text that a node covers.
    pub(super) fn text<'t>(&self, node: NodeId, text: &'t str, tokens: &[Token]) -> &'t str {
        let Node { start, end, .. } = self.nodes[node as usize];
        if end <= start {
            return "";
        }
        let (first, last) = (&tokens[start as usize], &tokens[end as usize - 1]);
        text.get(first.start as usize..last.end as usize).unwrap_or("")
    }

    /// The texts of a node's tokens, joined.
    pub(super) fn joined(&self, node: NodeId, text: &str, tokens: &[Token]) -> String {
        if self.rule(node) == Rule::Token {
            let node = &self.nodes[node as usize];
            return match node.made_up {
                0 if node.end == node.start => "<EOF>".to_owned(),
                0 => {
                    let token = &tokens[node.start as usize];
                    text[token.start as usize..token.end as usize].to_owned()
                }
                kind => format!("<missing {}>", super::grammar::kind_name(kind)),
            };
        }
        self.children(node).map(|child| self.joined(child, text, tokens)).collect()
    }
}
