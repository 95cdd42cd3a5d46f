//! What is wrong with a file of settings, told without what stands in it: a PIN or a ticket may have got there.

use std::ops::Range;

/// Longest name of a key that is repeated.
const LONGEST: usize = 32;

/// Says on which line the mistake is, the key there and the kind of mistake; never a value, nor the line. `message` and `span` are
/// the reader's, of the place in `text`; of `message` only what names nothing but known keys is used, or begins with one of `ours`.
#[must_use]
pub fn mistake(text: &str, span: Option<Range<usize>>, message: &str, ours: &[&str]) -> String {
    let what =
        if ours.iter().any(|begin| message.starts_with(begin)) || message.starts_with("missing field `") {
            message
        } else if message.starts_with("unknown field") {
            "there is no such key"
        } else if message.starts_with("duplicate") {
            "it stands there twice"
        } else if message.starts_with("invalid type")
            || message.starts_with("invalid value")
            || message.starts_with("unknown variant")
            || message.starts_with("data did not match")
        {
            "what stands there is not what belongs there"
        } else {
            "this cannot be read"
        };
    let Some(before) = span.and_then(|span| text.get(..span.start)) else {
        return what.to_owned();
    };
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    match key(line) {
        Some(key) => format!("line {number}, key {key}: {what}"),
        None => format!("line {number}: {what}"),
    }
}

/// The key of a line, if it is one beyond doubt. A line within a text of several lines may have an equals sign as well.
fn key(line: &str) -> Option<&str> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= LONGEST
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c == '_' || c == '-');
    (is_name && !value.is_empty() && !value.starts_with('=')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_repeated() {
        let text = "url = \"x\"\npin = \"648219\"\n648219\nc2VjcmV0==\n";
        let at = |part: &str| text.find(part).map(|start| start..start + 1);
        for (span, message, told) in [
            (
                at("pin"),
                "unknown field `pin`",
                "line 2, key pin: there is no such key",
            ),
            (
                at("648219"),
                "invalid type: string \"648219\", expected u64",
                "line 2, key pin: what stands there is not what belongs there",
            ),
            (
                at("648219\n"),
                "key with no value: 648219",
                "line 3: this cannot be read",
            ),
            (at("c2"), "c2VjcmV0", "line 4: this cannot be read"),
            (None, "missing field `url`", "missing field `url`"),
            (at("pin"), "node: 1 to 7", "line 2, key pin: node: 1 to 7"),
            (Some(7000..7001), "x", "this cannot be read"),
        ] {
            assert_eq!(mistake(text, span, message, &["node: "]), told);
        }
    }
}
