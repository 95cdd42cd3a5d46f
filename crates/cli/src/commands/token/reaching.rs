//! The token a command is about.

use std::{fmt, path::PathBuf};

use chancery_cvc::TrustAnchors;
use chancery_driver::Selected;
use chancery_node::SystemClock;
use chancery_tokens::reach::{Found, Intent, Places, Reached, TokenTransport};
use chancery_vtoken::TokenName;
use clap::Args;

use crate::{context::Context, error::CliError};

/// Which token.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct TokenArgs {
    /// Device id, label, or name of a virtual token; device:, label: or name: before it says which
    #[arg(value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

/// Where tokens are looked for: in the data directory, if there is one, and in readers.
pub(crate) fn places(context: &Context) -> Result<Places, CliError> {
    let places = Places::new().with_readers().with_clock(|| SystemClock.now());
    Ok(match context.data_if_any()? {
        Some(data) => places
            .with_virtual_tokens(data.tokens(), data.at_rest())
            .with_sockets(data.path().join("readers")),
        None => places,
    })
}

/// Reaches the token called `wanted`; it is held until what this gives is dropped.
pub(crate) fn reach(context: &Context, wanted: Option<&str>, intent: Intent) -> Result<Reached, CliError> {
    Ok(places(context)?.reach(wanted, intent)?)
}

/// Which token was chosen; displays as what to call it in a sentence.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    found: Found,
}

impl Chosen {
    /// The token that was reached.
    pub(crate) fn of(reached: &Reached) -> Self {
        Self {
            found: reached.found().clone(),
        }
    }

    /// Device id, empty when the token did not say it.
    pub(crate) fn device(&self) -> &str {
        self.found.device.as_deref().unwrap_or_default()
    }

    /// Its name as a virtual token of this data directory.
    pub(crate) fn virtual_name(&self) -> Option<&str> {
        self.found.way.virtual_name().map(TokenName::as_str)
    }

    /// What was found.
    pub(crate) const fn found(&self) -> &Found {
        &self.found
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.found.called())
    }
}

/// Reaches the token called `wanted` and selects its application. It is held until the card is dropped.
pub(crate) fn select(
    context: &Context,
    wanted: Option<&str>,
    intent: Intent,
) -> Result<(Chosen, Selected<TokenTransport>), CliError> {
    let reached = reach(context, wanted, intent)?;
    let chosen = Chosen::of(&reached);
    Ok((chosen, reached.select()?))
}

/// Where the journals of work of several steps are; the data directory is made when it is missing.
pub(crate) fn journal_directory(context: &Context) -> Result<PathBuf, CliError> {
    Ok(context.data_or_new()?.path().join("journal"))
}

/// Whom a device certificate must come from: the production root, the makers of test devices, and the factory of the virtual
/// tokens here.
pub(crate) fn anchors(context: &Context) -> Result<TrustAnchors, CliError> {
    let refuse = |error: &dyn std::error::Error| {
        CliError::new(chancery_api::FailureKind::Refused, crate::error::chain(error))
    };
    let mut anchors = match context.data_if_any()? {
        Some(data) => chancery_node::trust_anchors(&data, &data.at_rest(), SystemClock.today())
            .map_err(|error| refuse(&error))?,
        None => TrustAnchors::production().map_err(|error| refuse(&error))?,
    };
    anchors.add_test_root().map_err(|error| refuse(&error))?;
    anchors.add_pico_roots().map_err(|error| refuse(&error))?;
    Ok(anchors)
}
