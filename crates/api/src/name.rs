//! Names of people, and of other things that people type.

use crate::{Failure, FailureKind};

/// Names are short, lower case and safe to print and to type.
///
/// # Errors
/// [`FailureKind::Invalid`] for anything else, with the rule.
pub fn check_name(name: &str) -> Result<(), Failure> {
    let ok = (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if ok {
        Ok(())
    } else {
        Err(Failure::new(FailureKind::Invalid, format!("{name:?} is no name"))
            .with_remedy("1 to 32 of a-z, 0-9 and -, not beginning with -"))
    }
}
