//! Whether values are all different, in a time that grows as they do.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

use hashbrown::HashTable;

use crate::document::Value;
use crate::number;

/// Chosen anew by each process, so that nobody can send values that all fall together.
static STATE: LazyLock<foldhash::quality::RandomState> = LazyLock::new(Default::default);

/// Whether no two of the values are the same. `compared` counts the pairs that were looked at.
pub(crate) fn are_distinct<'v, 'd: 'v>(
    values: impl Iterator<Item = &'v Value<'d>>,
    compared: &mut usize,
) -> bool {
    let mut seen: HashTable<(u64, &Value<'_>)> = HashTable::new();
    for value in values {
        let hash = hash(value);
        let same = |(other_hash, other): &(u64, &Value<'_>)| {
            *other_hash == hash && {
                *compared += 1;
                other.same(value)
            }
        };
        if seen.find(hash, same).is_some() {
            return false;
        }
        seen.insert_unique(hash, (hash, value), |(hash, _)| *hash);
    }
    true
}

/// The same for values that are the same.
fn hash(value: &Value<'_>) -> u64 {
    let mut hasher = STATE.build_hasher();
    std::mem::discriminant(value).hash(&mut hasher);
    match value {
        Value::Null => {}
        Value::Bool(value) => value.hash(&mut hasher),
        Value::Number(literal) => number::hash(literal, &mut hasher),
        Value::String(text) => text.hash(&mut hasher),
        Value::Array(items) => {
            items.len().hash(&mut hasher);
            items.iter().for_each(|item| hasher.write_u64(hash(item)));
        }
        // The order of members does not matter.
        Value::Object(members) => {
            let member = |(name, value): &(_, Value<'_>)| STATE.hash_one((name, hash(value)));
            let sum = members.iter().map(member).fold(0_u64, u64::wrapping_add);
            hasher.write_u64(sum);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;
    use proptest::prelude::*;

    fn compared(items: impl Iterator<Item = String>) -> (bool, usize) {
        let text = format!("[{}]", items.collect::<Vec<_>>().join(","));
        let Ok(Value::Array(items)) = document::parse(&text, 40) else { panic!("it is a list") };
        let mut compared = 0;
        (are_distinct(items.iter(), &mut compared), compared)
    }

    #[test]
    fn different_values_are_hardly_ever_compared() {
        for count in [1_000, 100_000] {
            let (distinct, pairs) = compared((0..count).map(|item: u32| item.to_string()));
            assert!(distinct && pairs < 10, "{count}: {pairs} pairs");
            let objects =
                (0..count).map(|item| format!(r#"{{"a":{{"b":[{item},"x"]}},"c":null}}"#));
            let (distinct, pairs) = compared(objects);
            assert!(distinct && pairs < 10, "{count}: {pairs} pairs");
        }
        let (distinct, pairs) = compared((0..100_000).map(|item| (item % 50_000).to_string()));
        assert!(!distinct && pairs < 10, "{pairs} pairs");
    }

    #[test]
    fn large_objects_are_compared_member_by_member() {
        // Forty thousand members in another order: looking each one up would take minutes.
        let object = |order: &dyn Fn(u32) -> u32| {
            let members = (0..40_000).map(|index| format!(r#""{}":1"#, order(index)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        };
        let two = [object(&|index| index), object(&|index| 39_999 - index)];
        assert_eq!(compared(two.into_iter()), (false, 1));
    }

    fn values() -> impl Strategy<Value = String> {
        let numbers = ["0", "-0", "0.0", "1", "1.0", "10e-1", "100", "1e2", "-1", "0.10", "1e-1"];
        let leaf = prop_oneof![
            prop::sample::select(numbers.to_vec()).prop_map(str::to_owned),
            prop::sample::select(vec!["null", "true", "\"a\"", r#""\u0061""#])
                .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            let members = prop::collection::vec(
                (prop::sample::select(vec!["a", "b", "c"]), inner.clone()),
                0..3,
            );
            prop_oneof![
                prop::collection::vec(inner, 0..3)
                    .prop_map(|items| format!("[{}]", items.join(","))),
                members.prop_map(|members| {
                    let member = |(name, value): &(&str, String)| format!("\"{name}\":{value}");
                    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_the_same_is_found(items in prop::collection::vec(values(), 0..6)) {
            let text = format!("[{}]", items.join(","));
            let Ok(Value::Array(values)) = document::parse(&text, 40) else { panic!("a list") };
            let pair = |(index, value): (usize, &Value<'_>)| {
                values[..index].iter().any(|other| other.same(value))
            };
            let expected = !values.iter().enumerate().any(pair);
            prop_assert_eq!(compared(items.into_iter()).0, expected);
        }
    }
}
