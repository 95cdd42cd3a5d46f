//! How work with key domains fails, in the words and exit codes of the command line.

use std::path::Path;

use chancery_api::FailureKind;
use chancery_driver::{
    IntroductionError,
    exchange::{ExchangeError, ExchangeFormatError},
};
use chancery_tokens::domain::DomainError;

use crate::{
    commands::token::{failure::card, key_failure::keys},
    error::{CliError, chain},
};

/// Work with a key domain that was not done.
pub(super) fn domain(called: &str, error: &DomainError) -> CliError {
    let message = format!("{called}: {}", chain(error));
    let with = |kind, remedy: &str| CliError::with_remedy(kind, message.clone(), remedy);
    const LIST: &str = "chancery token domain list TOKEN shows its key domains";
    match error {
        DomainError::Card(source) => card(called, source),
        DomainError::Key(error) => keys(called, error),
        DomainError::Exchange(error) => exchange(called, error),
        DomainError::Interrupted { work, .. } => {
            let step = format!(
                "put the token in again; chancery token resume {work} finishes this, chancery token undo {work} takes it back"
            );
            match error.card().map(|source| card(called, source)) {
                Some(CliError::Token { .. }) => CliError::Token {
                    message,
                    remedy: Some(step),
                },
                _ => with(FailureKind::Unavailable, &step),
            }
        }
        DomainError::NoPlaces => with(
            FailureKind::Refused,
            "chancery token init TOKEN --domains N makes places, and erases the token",
        ),
        DomainError::NoPlace { .. } | DomainError::NotThere { .. } => with(FailureKind::NotFound, LIST),
        DomainError::NoFreePlace { .. } => with(
            FailureKind::Conflict,
            "chancery token domain delete TOKEN N frees the place of one that is not needed",
        ),
        DomainError::Taken { .. } => with(FailureKind::Conflict, LIST),
        DomainError::HasKeys { .. } => with(
            FailureKind::Conflict,
            "delete these keys first, if nobody needs them: chancery token keys delete TOKEN KEY",
        ),
        DomainError::HasKek { .. } => with(
            FailureKind::Conflict,
            "--replace replaces it; what was wrapped under it then does not fit this token any more",
        ),
        DomainError::NoKek { .. } => with(FailureKind::NotFound, LIST),
        DomainError::NotExchange { .. } => with(
            FailureKind::Refused,
            "chancery token domain join TOKEN FILE makes an exchange key domain",
        ),
        DomainError::NoSuchKey(_) | DomainError::NoExchangeKey { .. } => with(FailureKind::NotFound, LIST),
        DomainError::SeveralExchangeKeys { .. } => with(FailureKind::Invalid, "say which with --key ID"),
        DomainError::NoSigner { .. } | DomainError::NoRequest(_) => with(
            FailureKind::Refused,
            "chancery token domain group create TOKEN makes a key for a group",
        ),
        DomainError::OtherCurve { .. } => with(
            FailureKind::Refused,
            "--new-key makes an exchange key on the right curve",
        ),
        DomainError::Proof(_) => with(
            FailureKind::Refused,
            "whoever handed it over can look at the token with chancery token info TOKEN; virtual tokens of another installation \
             are not known here",
        ),
        DomainError::Replaced { .. } => with(
            FailureKind::Refused,
            "chancery token resume ID finishes the work; chancery token undo ID --forget leaves the token as it is",
        ),
        DomainError::SameDevice(_)
        | DomainError::OtherGroup { .. }
        | DomainError::OtherDerivation { .. }
        | DomainError::OtherToken { .. } => CliError::new(FailureKind::Refused, message),
        DomainError::Format(_) => CliError::new(FailureKind::Invalid, message),
        _ => CliError::new(FailureKind::Unavailable, message),
    }
}

/// A membership or offer in a file that cannot be read.
pub(super) fn format(file: &Path, error: &ExchangeFormatError) -> CliError {
    CliError::new(
        FailureKind::Invalid,
        format!("{}: {}", file.display(), chain(error)),
    )
}

fn exchange(called: &str, error: &ExchangeError) -> CliError {
    let message = format!("{called}: {}", chain(error));
    let token = |remedy: Option<&str>| CliError::Token {
        message: message.clone(),
        remedy: remedy.map(str::to_owned),
    };
    match error {
        ExchangeError::Card(source) | ExchangeError::Introduction(IntroductionError::Card(source)) => {
            card(called, source)
        }
        ExchangeError::Introduction(_) => token(Some(
            "tokens know the roots of their makers, virtual tokens the one of their installation as well",
        )),
        ExchangeError::MembershipRefused { .. } => token(Some(
            "the token that signs for the group invites this token: chancery token domain invite",
        )),
        ExchangeError::AgreementRefused { .. } | ExchangeError::NoKek { .. } => token(None),
        ExchangeError::NoPlace { .. } => CliError::new(FailureKind::NotFound, message),
        ExchangeError::Taken { .. } => CliError::new(FailureKind::Conflict, message),
        _ => CliError::new(FailureKind::Refused, message),
    }
}
