//! Text for people.

use std::error::Error;

/// An error with its causes on one line, none said twice.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// What makes a word mean several, where there is not just one.
pub(crate) const fn plural(one: bool) -> &'static str {
    if one { "" } else { "s" }
}
