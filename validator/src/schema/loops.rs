//! Finds the ways a value can be passed from node to node without getting any smaller.
//!
//! `$ref`, `allOf` and their kin hold the same value against other nodes. Where that would go on
//! for ever, or for too long, the node becomes a fault, so that no walk needs to count.

use crate::schema::table::{InPlace, Needs, Node, NodeId, Table};

/// Nodes that one value may be held against one after the other, each through the former.
/// Together with the depth of data this bounds the stack.
const IN_PLACE_LIMIT: u32 = 64;

/// Makes a fault of every node from which the same value could be passed on for ever, or too far.
pub(super) fn break_loops(table: &mut Table) {
    let mut heights = vec![Height::Unknown; table.nodes.len()];
    for id in 0..table.nodes.len() {
        height(table, &mut heights, id, 0);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Height {
    Unknown,
    InProgress,
    Is(u32),
}

fn height(table: &mut Table, heights: &mut [Height], id: usize, above: u32) -> u32 {
    match heights[id] {
        Height::Is(height) => return height,
        // The node that closes the loop is the one that was asked first.
        Height::InProgress => return IN_PLACE_LIMIT,
        Height::Unknown if above >= IN_PLACE_LIMIT => return IN_PLACE_LIMIT,
        Height::Unknown => heights[id] = Height::InProgress,
    }
    let below = neighbours(&table.nodes[id])
        .into_iter()
        .map(|next| height(table, heights, next as usize, above + 1))
        .max();
    let mut height = below.map_or(0, |below| below + 1);
    if height > IN_PLACE_LIMIT {
        let node = &mut table.nodes[id];
        node.in_place.clear();
        node.fault.get_or_insert("references go on for too long".into());
        height = 0;
    }
    heights[id] = Height::Is(height);
    height
}

/// The nodes that a value is passed on to.
fn neighbours(node: &Node) -> Vec<NodeId> {
    let mut ids: Vec<NodeId> = Vec::new();
    for rule in &node.in_place {
        match rule {
            InPlace::Reference(id) | InPlace::Not(id, _) => ids.push(*id),
            InPlace::All(list) | InPlace::Any(list) => ids.extend(list),
            InPlace::One(list) => ids.extend(list.iter().map(|(id, _)| id)),
        }
    }
    let dependencies = node.object.iter().flat_map(|rules| &rules.dependencies);
    ids.extend(dependencies.filter_map(|dependency| match dependency.needs {
        Needs::Node(id) => Some(id),
        Needs::Entries(_) => None,
    }));
    ids
}
