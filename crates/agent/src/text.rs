//! Foreign text on a terminal.

/// Whether a character shows nothing, moves what stands beside it, or is a space that is none of the keyboard's.
fn is_hidden(c: char) -> bool {
    // Default_Ignorable_Code_Point of the Unicode character database, interlinear annotations, and two that have no ink: U+2800, U+1D159.
    let hidden = matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D159}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}');
    hidden || c.is_control() || (c.is_whitespace() && c != ' ')
}

/// Shows foreign text on one line: control characters, those that show nothing and those that turn the direction of writing are
/// written as `\u{...}`, so that text cannot pose as something else.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// As [`one_line`], and no longer than so many characters of the text. Of several spaces in a row all but the first are written as
/// `\u{20}`: who may choose them chooses where a terminal begins its next line, and what stands there.
#[must_use]
pub fn short_line(text: &str, limit: usize) -> String {
    let (kept, end) = match text.char_indices().nth(limit) {
        Some((end, _)) => (text.get(..end).unwrap_or_default(), "... (cut)"),
        None => (text, ""),
    };
    one_line(kept).replace("  ", " \\u{20}") + end
}

/// Text of our own, of several lines, into which foreign text may have got: each line as [`one_line`]. What is foreign has to be on one
/// line before it gets there.
#[must_use]
pub fn own_lines(text: &str) -> String {
    text.split('\n').map(one_line).collect::<Vec<_>>().join("\n")
}

/// Foreign text in quotation marks, escaped, on one line, not too long. Backslashes and quotation marks are escaped first, so that
/// nothing foreign looks like an escape of ours.
pub(crate) fn quoted(text: &str, limit: usize) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    // Escaping makes up to two characters of one.
    let room = if text.chars().count() <= limit {
        limit.saturating_mul(2)
    } else {
        limit
    };
    format!("\"{}\"", short_line(&escaped, room))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_too_long_is_cut_and_says_so() {
        assert_eq!(short_line("ü€x", 3), "ü€x");
        assert_eq!(short_line("ü€xy", 3), "ü€x... (cut)");
        assert_eq!(short_line("\n\n\n", 1), "\\u{a}... (cut)");
    }

    #[test]
    fn text_cannot_leave_its_line_or_turn_around() {
        assert_eq!(one_line("a\n\u{202e}b\u{1b}[2Jé"), "a\\u{a}\\u{202e}b\\u{1b}[2Jé");
        assert_eq!(own_lines("a\n  b\u{1b}[2J\r\n"), "a\n  b\\u{1b}[2J\\u{d}\n");
    }

    #[test]
    fn text_cannot_hide() {
        for hidden in [
            '\u{00a0}',
            '\u{034f}',
            '\u{115f}',
            '\u{1160}',
            '\u{180b}',
            '\u{2003}',
            '\u{2028}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0100}',
            '\u{e01ef}',
        ] {
            let shown = one_line(&format!("a{hidden}b"));
            assert_eq!(shown, format!("a{}b", hidden.escape_unicode()));
        }
        assert_eq!(one_line("Grüße, 世界 ✓ a  b"), "Grüße, 世界 ✓ a  b");
    }

    #[test]
    fn text_cannot_fill_a_line() {
        assert_eq!(short_line("a   enforced by", 99), "a \\u{20} enforced by");
        assert_eq!(quoted("a\"\\\n", 9), "\"a\\\"\\\\\\u{a}\"");
        assert_eq!(quoted("abc", 2), "\"ab... (cut)\"");
    }
}
