//! A fingerprint that somebody heard by telephone, before anything counts.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use chancery_api::FailureKind;

use crate::{commands::typed_line, context::Context, error::CliError};

/// What is compared.
pub(crate) struct Comparison<'a> {
    /// What it is: `invitation`, `card`.
    pub(crate) what: &'a str,
    /// What of it is read out.
    pub(crate) of_it: &'a str,
    /// Who reads it out.
    pub(crate) who: &'a str,
    /// What has happened when it is another one.
    pub(crate) nothing: &'a str,
    /// Where it came from; somebody at the terminal cannot type when that is standard input.
    pub(crate) file: &'a Path,
    /// What was heard, where it was given beforehand.
    pub(crate) heard: Option<&'a str>,
}

impl Comparison<'_> {
    /// Lets go on who heard the right one. It is not shown before: who could copy it here would have compared nothing.
    pub(crate) fn confirm(&self, context: &Context, is_right: impl Fn(&str) -> bool) -> Result<(), CliError> {
        let Self {
            what,
            of_it,
            who,
            nothing,
            ..
        } = self;
        let heard = match self.heard {
            Some(heard) => heard.to_owned(),
            None if io::stdin().is_terminal() && self.file != Path::new("-") => {
                context.tell(format!("Have {who} read the {of_it} to you by telephone."));
                typed_line("Type it as you hear it, or Enter to accept nothing: ")?
            }
            None => {
                return Err(CliError::with_remedy(
                    FailureKind::Blocked,
                    format!("nobody is here to compare the {of_it}: {nothing}"),
                    format!("--fingerprint with what {who} read to you"),
                ));
            }
        };
        if heard.trim().is_empty() {
            return Err(CliError::new(FailureKind::Blocked, *nothing));
        }
        if is_right(&heard) {
            return Ok(());
        }
        Err(CliError::with_remedy(
            FailureKind::Refused,
            format!(
                "THE {} IS ANOTHER ONE than this {what}'s: {nothing}",
                of_it.to_uppercase()
            ),
            format!("if it was not mistyped somebody exchanged the {what}: ask {who} for it on another way"),
        ))
    }
}
