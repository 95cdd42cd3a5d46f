//! PINs for work on tokens: typed, from a file, from standard input; never from arguments or the environment.

use std::{
    fs::File,
    io::{self, Read},
    os::{fd::AsFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use chancery_agent::{RehearsalPins, TokenPins, ask_secret};
use chancery_api::FailureKind;
use chancery_driver::{Authenticated, Pin, PinFormatError, PinStatus, Selected, SoPin};
use chancery_tokens::reach::TokenTransport;
use clap::Args;
use zeroize::Zeroizing;

use super::{failure::card, reaching::Chosen};
use crate::{context::Context, error::CliError};

/// Longest line read as a secret, in bytes.
const MOST_BYTES: usize = 256;

/// Where the user PIN comes from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct UserPinArgs {
    /// Take the PIN from the first line of a file that nobody else may read; - for a line of standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) pin_file: Option<PathBuf>,
}

/// Where the SO-PIN comes from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SoPinArgs {
    /// Take the SO-PIN (16 hexadecimal digits) from a file that nobody else may read; - for a line of standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) so_pin_file: Option<PathBuf>,
}

/// Unlocks a token by its user PIN. The tries left are known before anybody is asked, and the last one is warned of.
///
/// Comes right after [`select`](super::reaching::select).
pub(crate) fn unlock(
    context: &Context,
    chosen: &Chosen,
    mut token: Selected<TokenTransport>,
    source: &UserPinArgs,
) -> Result<Authenticated<TokenTransport>, CliError> {
    let called = &chosen.to_string();
    let failed = |error: &chancery_driver::Error| card(called, error);
    let status = token.pin_status().map_err(|error| failed(&error))?;
    if status == PinStatus::QuorumOpen {
        return Err(CliError::with_remedy(
            FailureKind::Blocked,
            format!("{called} is opened by its custodians, not by a PIN"),
            "attach it to the trust center and unlock it there: chancery hsm unlock --help",
        ));
    }
    refuse_hopeless(called, status)?;
    let pin = user_pin(context, chosen, source, status)?;
    token
        .verify_pin(&pin)
        .map_err(|failed| card(called, &failed.into_error()))
}

/// Refuses where no PIN can be right: blocked, transport PIN, none at all.
pub(crate) fn refuse_hopeless(called: &str, status: PinStatus) -> Result<(), CliError> {
    let (message, remedy) = match status {
        PinStatus::Blocked => (
            "its PIN is blocked",
            "chancery token pin unblock TOKEN, with the SO-PIN, if the token was set up for it",
        ),
        PinStatus::TransportPin => (
            "its transport PIN has to be replaced before it can be used",
            "chancery token pin change TOKEN",
        ),
        PinStatus::Absent => (
            "it has no PIN: it is not initialised",
            "chancery token init TOKEN",
        ),
        _ => return Ok(()),
    };
    Err(CliError::Token {
        message: format!("{called}: {message}"),
        remedy: Some(remedy.to_owned()),
    })
}

/// Says on standard error how many tries are left, and plainly when it is the last.
pub(crate) fn tell_tries(context: &Context, called: &str, what: &str, tries: Option<u8>) {
    match tries {
        Some(1) => context.tell(format!(
            "{called}: LAST TRY for the {what}. A wrong one blocks it."
        )),
        Some(tries) => context.tell(format!("{called}: {tries} tries left for the {what}")),
        None => {}
    }
}

/// The user PIN of a token: from the file named, from the rehearsal file of an installation that has one, or typed. How many tries
/// are left is said to who types it, and that it is the last one to everybody; on that nothing is spent that nobody asked for.
pub(crate) fn user_pin(
    context: &Context,
    chosen: &Chosen,
    source: &UserPinArgs,
    status: PinStatus,
) -> Result<Pin, CliError> {
    let called = chosen.to_string();
    let tries = match status {
        PinStatus::NotVerified { tries_left } => Some(tries_left),
        _ => None,
    };
    if source.pin_file.is_none() || tries == Some(1) {
        tell_tries(context, &called, "PIN", tries);
    }
    if source.pin_file.is_none()
        && let Some(pin) = rehearsal_pin(context, chosen, status)?
    {
        return Ok(pin);
    }
    let text = secret(
        source.pin_file.as_deref(),
        &format!("PIN for {called}: "),
        "--pin-file",
    )?;
    pin_of(&text)
}

/// The SO-PIN of a token, typed or from the file named.
pub(crate) fn so_pin(called: &str, source: &SoPinArgs) -> Result<SoPin, CliError> {
    let prompt = format!("SO-PIN for {called} (16 hexadecimal digits): ");
    let text = secret(source.so_pin_file.as_deref(), &prompt, "--so-pin-file")?;
    SoPin::from_hex(&text).map_err(|error| malformed("SO-PIN", &error))
}

/// A new user PIN: from the file named, or typed twice.
pub(crate) fn new_user_pin(
    what: &str,
    called: &str,
    file: Option<&Path>,
    option: &str,
) -> Result<Pin, CliError> {
    pin_of(&new_user_pin_text(what, called, file, option)?)
}

/// A PIN that was typed.
pub(crate) fn pin_of(text: &str) -> Result<Pin, CliError> {
    Pin::new(text.as_bytes()).map_err(|error| malformed("PIN", &error))
}

/// As [`new_user_pin`], for who has to keep it as well.
pub(crate) fn new_user_pin_text(
    what: &str,
    called: &str,
    file: Option<&Path>,
    option: &str,
) -> Result<Zeroizing<String>, CliError> {
    new_secret(
        &format!("{what} for {called} (6 to 16 characters)"),
        file,
        option,
        |text| Pin::new(text).map(drop),
    )
}

/// A new SO-PIN: from the file named, or typed twice.
pub(crate) fn new_so_pin(
    what: &str,
    called: &str,
    file: Option<&Path>,
    option: &str,
) -> Result<SoPin, CliError> {
    new_so_pin_text(what, called, file, option).map(|(pin, _)| pin)
}

/// As [`new_so_pin`], with its digits for who has to keep them as well.
pub(crate) fn new_so_pin_text(
    what: &str,
    called: &str,
    file: Option<&Path>,
    option: &str,
) -> Result<(SoPin, Zeroizing<String>), CliError> {
    let text = new_secret(
        &format!("{what} for {called} (16 hexadecimal digits)"),
        file,
        option,
        |text| SoPin::from_hex(text).map(drop),
    )?;
    let pin = SoPin::from_hex(&text).map_err(|error| malformed(what, &error))?;
    Ok((pin, text))
}

/// One line that is a secret: of a file that nobody else may read, of standard input for `-`, or typed without being shown.
pub(crate) fn secret(file: Option<&Path>, prompt: &str, option: &str) -> Result<Zeroizing<String>, CliError> {
    match file {
        Some(path) if path == Path::new("-") => File::from(
            io::stdin()
                .as_fd()
                .try_clone_to_owned()
                .map_err(CliError::file("read", path))?,
        )
        .line(path),
        Some(path) => open_private(path)?.line(path),
        None => ask_secret(prompt).map(Zeroizing::new).map_err(|error| {
            CliError::with_remedy(
                FailureKind::Invalid,
                format!("no terminal to ask at: {error}"),
                format!("use {option} FILE, or {option} - for standard input"),
            )
        }),
    }
}

fn new_secret(
    what: &str,
    file: Option<&Path>,
    option: &str,
    check: impl FnOnce(&str) -> Result<(), PinFormatError>,
) -> Result<Zeroizing<String>, CliError> {
    let first = secret(file, &format!("New {what}: "), option)?;
    check(&first).map_err(|error| malformed(what, &error))?;
    if file.is_none() {
        let second = secret(None, &format!("New {what} again: "), option)?;
        if *first != *second {
            return Err(CliError::new(
                FailureKind::Invalid,
                format!("the two entries of the {what} differ: nothing was done"),
            ));
        }
    }
    Ok(first)
}

/// The rehearsal file of this installation, if it is for rehearsal and the token is one of its virtual ones; with the token's name.
fn rehearsal_file<'a>(context: &Context, chosen: &'a Chosen) -> Result<Option<(PathBuf, &'a str)>, CliError> {
    let (Some(name), Some(data)) = (chosen.virtual_name(), context.data_if_any()?) else {
        return Ok(None);
    };
    let initialised = data.installation_file().try_exists().unwrap_or(false);
    if initialised && !context.is_rehearsal()? {
        return Ok(None);
    }
    Ok(Some((Context::rehearsal_file(&data), name)))
}

/// The PIN that the rehearsal file of this installation has for a virtual token, by its name. It may be out of date, so that the
/// last try is never spent on it, nor any on a transport PIN.
fn rehearsal_pin(context: &Context, chosen: &Chosen, status: PinStatus) -> Result<Option<Pin>, CliError> {
    let Some((file, name)) = rehearsal_file(context, chosen)? else {
        return Ok(None);
    };
    let pins = RehearsalPins::load(&file)?;
    let Some(pin) = pins.tokens.get(name).and_then(|pins| pins.user_pin.as_ref()) else {
        return Ok(None);
    };
    let file = file.display();
    if matches!(
        status,
        PinStatus::NotVerified { tries_left: 0 | 1 } | PinStatus::TransportPin
    ) {
        context.tell(format!(
            "(rehearsal: the PIN of token {name} in {file} may be out of date and is not tried)"
        ));
        return Ok(None);
    }
    context.tell(format!(
        "(rehearsal: the PIN of token {name} is taken from {file})"
    ));
    Pin::new(pin.secret_text())
        .map(Some)
        .map_err(|error| malformed("PIN", &error))
}

/// Keeps new PINs of a token in the rehearsal file, if that has PINs of the token. The token has them already: what goes wrong is
/// said and no failure.
pub(crate) fn keep_rehearsal_pins(context: &Context, chosen: &Chosen, change: impl FnOnce(&mut TokenPins)) {
    let kept = || -> Result<(), CliError> {
        let Some((file, name)) = rehearsal_file(context, chosen)? else {
            return Ok(());
        };
        let mut pins = RehearsalPins::load(&file)?;
        let Some(of_token) = pins.tokens.get_mut(name) else {
            return Ok(());
        };
        change(of_token);
        pins.save(&file)?;
        context.tell(format!(
            "(rehearsal: the new PIN of token {name} is in {})",
            file.display()
        ));
        Ok(())
    };
    if let Err(error) = kept() {
        context.tell(format!(
            "(rehearsal: the new PIN was not kept: {})",
            error.text().trim()
        ));
    }
}

fn malformed(what: &str, error: &PinFormatError) -> CliError {
    CliError::new(FailureKind::Invalid, format!("{what}: {error}; nothing was done"))
}

/// Opens a file that nobody but its owner may read; pipes and descriptors are as private as who made them.
fn open_private(path: &Path) -> Result<File, CliError> {
    let file = File::open(path).map_err(CliError::file("read", path))?;
    let metadata = file.metadata().map_err(CliError::file("read", path))?;
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return Err(CliError::with_remedy(
            FailureKind::Invalid,
            format!("others may read {}", path.display()),
            format!("chmod 600 {}", path.display()),
        ));
    }
    Ok(file)
}

/// A source of lines, read without a buffer that would keep what it held.
trait Line {
    fn line(self, path: &Path) -> Result<Zeroizing<String>, CliError>;
}

impl Line for File {
    fn line(mut self, path: &Path) -> Result<Zeroizing<String>, CliError> {
        let failed = |error: io::Error| CliError::file("read", path)(error);
        let mut line = Zeroizing::new(Vec::with_capacity(MOST_BYTES));
        let mut byte = Zeroizing::new([0]);
        while line.len() < MOST_BYTES {
            match self.read(byte.as_mut_slice()) {
                Ok(0) => break,
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) => line.extend_from_slice(byte.as_slice()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let text = std::str::from_utf8(&line)
            .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "the line is no text")))?;
        Ok(Zeroizing::new(text.trim_end_matches('\r').to_owned()))
    }
}
