//! What commands that run for long log, and where to.

use std::{env, io};

use chancery_api::FailureKind;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::error::CliError;

/// Which lines are logged: `info`, or `warn,chancery_gateway=debug`.
const WHICH: &str = "CHANCERY_LOG";

/// Logs to standard error, from this level on unless the environment says otherwise.
///
/// # Errors
/// When what the environment says is not understood.
pub(crate) fn to_stderr(from: LevelFilter) -> Result<(), CliError> {
    let which = match env::var(WHICH) {
        Ok(text) => text.parse::<Targets>().map_err(|error| {
            CliError::with_remedy(
                FailureKind::Invalid,
                format!("{WHICH} is {text:?}, which does not say what to log: {error}"),
                format!("set it to a level, or to levels of parts: {WHICH}=warn,chancery_gateway=debug"),
            )
        })?,
        Err(_) => Targets::new().with_default(from),
    };
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(which).init();
    Ok(())
}
