//! Foreign text on a terminal.

/// Shows foreign text on one line: control and formatting characters (among them those that turn the direction of writing) are written
/// as `\u{...}`, so that text cannot pose as something else.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let formatting = matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}');
        if c.is_control() || formatting {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// As [`one_line`], and no longer than so many characters of the text.
#[must_use]
pub fn short_line(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}... (cut)", one_line(text.get(..end).unwrap_or_default())),
        None => one_line(text),
    }
}

#[cfg(test)]
mod tests {
    use super::{one_line, short_line};

    #[test]
    fn text_that_is_too_long_is_cut_and_says_so() {
        assert_eq!(short_line("ü€x", 3), "ü€x");
        assert_eq!(short_line("ü€xy", 3), "ü€x... (cut)");
        assert_eq!(short_line("\n\n\n", 1), "\\u{a}... (cut)");
    }

    #[test]
    fn text_cannot_leave_its_line_or_turn_around() {
        assert_eq!(one_line("a\n\u{202e}b\u{1b}[2Jé"), "a\\u{a}\\u{202e}b\\u{1b}[2Jé");
    }
}
