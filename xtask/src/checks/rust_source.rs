//! Rust source text without its comments.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Every `.rs` file below `folder`, in order; none when there is no such folder.
///
/// # Errors
/// When a folder cannot be listed.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        let listing = || Failure::io(format!("listing {}", folder.display()));
        for entry in std::fs::read_dir(&folder).map_err(listing())? {
            let path = entry.map_err(listing())?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some("rs".as_ref()) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a source file.
///
/// # Errors
/// When the file cannot be read or is not UTF-8.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(Failure::io(format!("reading {}", path.display())))
}

/// How many lines hold anything but white space and comments.
pub(crate) fn code_lines(source: &str) -> usize {
    without_comments(source)
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count()
}

/// The source with comments left out; line breaks stay where they are.
pub(crate) fn without_comments(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, is_comment) = token(rest).unwrap_or_else(|| (first.len_utf8(), false));
        let (text, after) = rest.split_at(length);
        if is_comment {
            code.extend(text.chars().filter(|c| *c == '\n'));
        } else {
            code.push_str(text);
        }
        rest = after;
    }
    code
}

/// Length in bytes of the comment, string or character `text` begins with, and whether it is a comment.
fn token(text: &str) -> Option<(usize, bool)> {
    if text.starts_with("//") {
        Some((text.find('\n').unwrap_or(text.len()), true))
    } else if text.starts_with("/*") {
        Some((block_comment(text), true))
    } else if text.starts_with('"') {
        Some((quoted(text, '"'), false))
    } else if text.starts_with('\'') {
        // A character, unless it is a lifetime: that has no quote after the next character.
        let body = text.get(1..)?;
        let next = body.chars().next()?;
        let is_character = next == '\\' || body.get(next.len_utf8()..)?.starts_with('\'');
        is_character.then(|| (quoted(text, '\''), false))
    } else {
        raw_string(text).map(|length| (length, false))
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(rest) = text.get(position..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            position += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of a literal in quotes with backslash escapes, or all of `text` when it does not end.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return position + 1;
        }
    }
    text.len()
}

/// Length of a raw string such as `r#"…"#`. Called in the middle of names too: `for"x"` would be taken for one, which
/// the formatter never writes.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(
        body.find(&end)
            .map_or(text.len(), |position| start + position + end.len()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_strings_stay() {
        let source = "let a = \"// no\"; // yes\n/* one /* two */\n still */ let b = r#\"/* \"no\" */\"#;\n";
        assert_eq!(
            without_comments(source),
            "let a = \"// no\"; \n\n let b = r#\"/* \"no\" */\"#;\n"
        );
        assert_eq!(code_lines(source), 2);
    }

    #[test]
    fn quotes_in_characters_and_lifetimes_do_not_confuse() {
        let source = "fn f<'a>(x: &'a str) { x == '\"' || y == '\\'' } // gone";
        assert_eq!(
            without_comments(source),
            "fn f<'a>(x: &'a str) { x == '\"' || y == '\\'' } "
        );
    }

    #[test]
    fn text_that_does_not_end_ends_at_the_end() {
        for source in ["/* a", "\"a", "r#\"a", "'", "'\\", "// é", "/* é /* */"] {
            assert!(without_comments(source).len() <= source.len());
        }
    }
}
