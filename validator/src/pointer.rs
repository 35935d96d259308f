//! JSON pointers: made while walking a document, followed to find a place again.

use std::borrow::Cow;

use crate::document::Value;

/// Appends a step.
pub(crate) fn push(pointer: &mut String, name: &str) {
    pointer.push('/');
    if name.contains(['~', '/']) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
}

/// A pointer with one step more.
pub(crate) fn join(pointer: &str, name: &str) -> String {
    let mut longer = pointer.to_owned();
    push(&mut longer, name);
    longer
}

/// The value at a pointer.
pub(crate) fn find<'a, 'v>(root: &'a Value<'v>, pointer: &str) -> Option<&'a Value<'v>> {
    let mut value = root;
    for step in pointer.split('/').skip(1) {
        let step = match step.contains('~') {
            true => Cow::Owned(step.replace("~1", "/").replace("~0", "~")),
            false => Cow::Borrowed(step),
        };
        value = match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            value => value.get(&step)?,
        };
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_is_found() {
        let root = crate::document::parse(r#"{"a/b":[{"~":1},{"c":2}]}"#, 9).expect("it is JSON");
        let mut pointer = String::new();
        for step in ["a/b", "0", "~"] {
            push(&mut pointer, step);
        }
        assert_eq!(pointer, "/a~1b/0/~0");
        assert_eq!(find(&root, &pointer).map(Value::to_json), Some("1".to_owned()));
        assert!(find(&root, "/a~1b/2").is_none());
        assert!(find(&root, "").is_some());
    }
}
