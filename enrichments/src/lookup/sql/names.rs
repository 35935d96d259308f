//! How a column's label becomes the name of a property.

/// The styles of names that a configuration may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// As the server says it.
    AsIs,
    /// `some_column` becomes `someColumn`.
    CamelCase,
    /// `some_column` becomes `SomeColumn`.
    PascalCase,
    /// `SomeColumn1` becomes `_some_column_1`.
    SnakeCase,
    /// `SomeColumn` becomes `somecolumn`.
    LowerCase,
    /// `SomeColumn` becomes `SOMECOLUMN`.
    UpperCase,
}

impl Names {
    /// As configurations call them.
    pub(crate) const CHOICES: [(&'static str, Names); 6] = [
        ("AS_IS", Names::AsIs),
        ("CAMEL_CASE", Names::CamelCase),
        ("PASCAL_CASE", Names::PascalCase),
        ("SNAKE_CASE", Names::SnakeCase),
        ("LOWER_CASE", Names::LowerCase),
        ("UPPER_CASE", Names::UpperCase),
    ];

    /// The property's name for a label.
    pub fn of(self, label: &str) -> String {
        match self {
            Names::AsIs => label.to_owned(),
            Names::CamelCase => camel(label),
            Names::PascalCase => {
                let camel = camel(label);
                let mut characters = camel.chars();
                let first = characters.next().into_iter().flat_map(char::to_uppercase);
                first.chain(characters).collect()
            }
            Names::SnakeCase => snake(label),
            Names::LowerCase => label.to_lowercase(),
            Names::UpperCase => label.to_uppercase(),
        }
    }
}

/// An underscore before a small letter or a digit is left out, and the letter becomes a capital.
fn camel(label: &str) -> String {
    let mut name = String::with_capacity(label.len());
    let mut characters = label.chars().peekable();
    while let Some(character) = characters.next() {
        match characters.peek() {
            Some(next)
                if character == '_' && (next.is_ascii_lowercase() || next.is_ascii_digit()) =>
            {
                name.push(next.to_ascii_uppercase());
                characters.next();
            }
            _ => name.push(character),
        }
    }
    name
}

/// Every capital and every digit gets an underscore before it.
fn snake(label: &str) -> String {
    let mut name = String::with_capacity(label.len() + 4);
    for character in label.chars() {
        if character.is_ascii_uppercase() || character.is_ascii_digit() {
            name.push('_');
        }
        name.push(character.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_style() {
        let check = |label: &str, expected: [&str; 6]| {
            for ((name, style), expected) in Names::CHOICES.into_iter().zip(expected) {
                assert_eq!(style.of(label), expected, "{name} of {label}");
            }
        };
        check(
            "mixed_1_col",
            ["mixed_1_col", "mixed1Col", "Mixed1Col", "mixed__1_col", "mixed_1_col", "MIXED_1_COL"],
        );
        check("aB_c1D", ["aB_c1D", "aBC1D", "ABC1D", "a_b_c_1_d", "ab_c1d", "AB_C1D"]);
        check(
            "SomeCol1",
            ["SomeCol1", "SomeCol1", "SomeCol1", "_some_col_1", "somecol1", "SOMECOL1"],
        );
        check("_x__y_", ["_x__y_", "X_Y_", "X_Y_", "_x__y_", "_x__y_", "_X__Y_"]);
        check("ä_ö", ["ä_ö", "ä_ö", "Ä_ö", "ä_ö", "ä_ö", "Ä_Ö"]);
        check("", ["", "", "", "", "", ""]);
    }
}
