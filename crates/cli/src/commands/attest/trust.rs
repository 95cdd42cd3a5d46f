//! Which roots count, and on which day.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chancery_api::FailureKind;
use chancery_attest::{Input, MAX_INPUT};
use chancery_cvc::{AnchorError, TrustAnchors};
use chancery_node::SystemClock;
use clap::Args;
use time::{
    Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339, macros::format_description,
};

use crate::{
    commands::read_input,
    context::Context,
    error::{CliError, chain},
};

/// Roots and day.
#[derive(Args, Clone, Debug)]
pub(crate) struct TrustArgs {
    /// Roots that count: production (DESRCACC100001), own (of the virtual tokens here), test (UTSRCACC100001), pico, or a
    /// file with a root certificate; may be repeated [default: production and own]
    #[arg(long, value_name = "WHAT")]
    trust: Vec<String>,
    /// The day whose dates count, as 2026-06-01 or 2026-06-01T12:00:00Z [default: today]
    #[arg(long, value_name = "TIME", value_parser = day)]
    at: Option<Date>,
}

impl TrustArgs {
    /// The roots that count.
    pub(super) fn anchors(&self, context: &Context) -> Result<TrustAnchors, CliError> {
        let mut anchors = TrustAnchors::none();
        if self.trust.is_empty() {
            add_production(&mut anchors)?;
            match own_root(context) {
                Ok(Some(root)) => {
                    anchors
                        .add_bytes(&root)
                        .map_err(|error| bad_root("own", &error))?;
                }
                Ok(None) => {}
                // Evidence of others can be verified on a machine whose installation has a problem.
                Err(error) => context.tell(format!(
                    "(the root of the virtual tokens here does not count: {})",
                    error.text().trim()
                )),
            }
            return Ok(anchors);
        }
        for what in &self.trust {
            match what.as_str() {
                "production" => add_production(&mut anchors)?,
                "test" => drop(anchors.add_test_root().map_err(|error| bad_root(what, &error))?),
                "pico" => drop(anchors.add_pico_roots().map_err(|error| bad_root(what, &error))?),
                "own" => {
                    let root = own_root(context)?.ok_or_else(|| {
                        CliError::with_remedy(
                            FailureKind::NotFound,
                            "there are no virtual tokens here, and so no root of their own",
                            "name the data directory with --data-dir, or the root's file with --trust FILE",
                        )
                    })?;
                    anchors.add_bytes(&root).map_err(|error| bad_root(what, &error))?;
                }
                file => {
                    let root = root_in(Path::new(file))?;
                    anchors.add_bytes(&root).map_err(|error| bad_root(file, &error))?;
                }
            }
        }
        Ok(anchors)
    }

    /// The day whose dates count.
    pub(super) fn day(&self) -> Date {
        self.at.unwrap_or_else(|| SystemClock.today())
    }
}

fn add_production(anchors: &mut TrustAnchors) -> Result<(), CliError> {
    // Built in: what fails is the crypto library, when it lacks the curve.
    let production = TrustAnchors::production().map_err(|error| bad_root("production", &error))?;
    for root in production.iter() {
        anchors
            .add(root.certificate().clone())
            .map_err(|error| bad_root("production", &error))?;
    }
    Ok(())
}

/// The root of the virtual tokens here; nothing is made when there is none.
fn own_root(context: &Context) -> Result<Option<Vec<u8>>, CliError> {
    let Some(data) = context.data_if_any()? else {
        return Ok(None);
    };
    let made = fs::read_dir(data.factory()).is_ok_and(|mut entries| entries.next().is_some());
    if !made {
        return Ok(None);
    }
    Ok(Some(context.factory(&data)?.root_certificate().to_vec()))
}

/// The root certificate in a file, binary or hexadecimal.
fn root_in(file: &Path) -> Result<Vec<u8>, CliError> {
    if !file.exists() {
        let text = format!(
            "--trust {}: there is no such file, and it is none of production, own, test, pico",
            file.display()
        );
        return Err(CliError::new(FailureKind::NotFound, text));
    }
    let limit = u64::try_from(MAX_INPUT).unwrap_or(u64::MAX);
    match Input::recognise(&read_input(&PathBuf::from(file), limit)?) {
        Ok(Input::Chain(bytes)) => Ok(bytes),
        _ => Err(CliError::new(
            FailureKind::Invalid,
            format!("--trust {}: not a card verifiable certificate", file.display()),
        )),
    }
}

fn bad_root(what: &str, error: &AnchorError) -> CliError {
    CliError::new(FailureKind::Invalid, format!("--trust {what}: {}", chain(error)))
}

fn day(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339).map(|time| time.to_offset(UtcOffset::UTC).date()))
        .map_err(|_| format!("{text:?} is no day or time, such as 2026-06-01 or 2026-06-01T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times() {
        for good in ["2026-06-01", "2026-06-01T12:00:00Z", "2026-06-02T00:30:00+02:00"] {
            assert_eq!(day(good).unwrap().to_string(), "2026-06-01", "{good}");
        }
        for bad in [
            "",
            "2026-13-01",
            "2026-02-30",
            "yesterday",
            "1.6.2026",
            "2026-06-01T12:00:00",
        ] {
            assert!(day(bad).is_err(), "{bad}");
        }
    }
}
