//! PINs: generated for a rehearsal, or typed twice; never from arguments or the environment.

use std::path::{Path, PathBuf};

use chancery_agent::{RehearsalPins, TokenPins, ask_secret};
use chancery_api::{FailureKind, SecretText};
use chancery_driver::{Pin, PinFormatError, SoPin};
use clap::Args;
use zeroize::Zeroizing;

use crate::error::CliError;

/// Where the PIN of the person who acts comes from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PinArgs {
    /// Take the PIN from the first line of a file that nobody else may read; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) pin_file: Option<PathBuf>,
}

/// A manager who approves at once what was asked.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ApproverArgs {
    /// Approve at once as this TrustCenter Manager; without it the request waits
    #[arg(long = "as", value_name = "MANAGER")]
    pub(crate) approver: Option<String>,
    /// Take the manager's PIN from a file; - for standard input
    #[arg(long, value_name = "FILE", requires = "approver")]
    pub(crate) as_pin_file: Option<PathBuf>,
}

/// A user PIN of 8 digits from the operating system's random source.
pub(crate) fn random_pin() -> Result<SecretText, CliError> {
    let mut pin = String::with_capacity(8);
    while pin.len() < 8 {
        // 250 is the largest multiple of 10 in a byte: above it digits would not be equally likely.
        let [byte] = random::<1>()?;
        if byte < 250 {
            pin.push(char::from(b'0' + byte % 10));
        }
    }
    Ok(SecretText::new(pin))
}

/// An SO-PIN of 16 hexadecimal digits from the operating system's random source.
pub(crate) fn random_so_pin() -> Result<SecretText, CliError> {
    let bytes = Zeroizing::new(random::<8>()?);
    Ok(SecretText::new(hex::encode(bytes.as_slice())))
}

/// Random bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        CliError::new(
            FailureKind::Unavailable,
            format!("the system has no random bytes: {error}"),
        )
    })?;
    Ok(bytes)
}

/// Asks for a new secret twice. Its form is checked before it has to be typed again.
fn ask_twice(
    what: &str,
    check: impl FnOnce(&str) -> Result<(), PinFormatError>,
) -> Result<SecretText, CliError> {
    let ask = |prompt: String| {
        ask_secret(&prompt).map(Zeroizing::new).map_err(|error| {
            CliError::with_remedy(
                FailureKind::Invalid,
                format!("no terminal to ask at: {error}"),
                "run this at a terminal, or with --rehearsal",
            )
        })
    };
    let first = ask(format!("New {what}: "))?;
    check(&first)
        .map_err(|error| CliError::new(FailureKind::Invalid, format!("{what}: {error}; nothing was done")))?;
    let second = ask(format!("New {what} again: "))?;
    if *first != *second {
        return Err(CliError::new(
            FailureKind::Invalid,
            format!("the two entries of the {what} differ: nothing was done"),
        ));
    }
    Ok(SecretText::new((*first).clone()))
}

/// Asks for the new user PIN of a token.
pub(crate) fn ask_user_pin(token: &str) -> Result<SecretText, CliError> {
    ask_twice(&format!("PIN for token {token} (6 to 16 characters)"), |text| {
        Pin::new(text).map(drop)
    })
}

/// Asks for the SO-PIN of a token.
pub(crate) fn ask_so_pin(token: &str) -> Result<SecretText, CliError> {
    ask_twice(
        &format!("SO-PIN for token {token} (16 hexadecimal digits)"),
        |text| SoPin::from_hex(text).map(drop),
    )
}

/// The PINs of a token in the rehearsal file; generated and durable in the file when it has none. A user PIN only when wanted.
pub(crate) fn rehearsal_pins(file: &Path, token: &str, with_user_pin: bool) -> Result<TokenPins, CliError> {
    let mut all = RehearsalPins::load(file)?;
    let known = all.tokens.get(token).cloned();
    let mut pins = match known.clone() {
        Some(pins) => pins,
        None => TokenPins {
            user_pin: None,
            so_pin: random_so_pin()?,
        },
    };
    if with_user_pin && pins.user_pin.is_none() {
        pins.user_pin = Some(random_pin()?);
    }
    if known.as_ref() != Some(&pins) {
        all.tokens.insert(token.to_owned(), pins.clone());
        all.save(file)?;
    }
    Ok(pins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_pins_have_their_form_and_stay_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rehearsal-pins.json");
        let hsm = rehearsal_pins(&file, "hsm-a", false).unwrap();
        assert!(hsm.user_pin.is_none());
        let so_pin = hsm.so_pin.secret_text();
        assert!(so_pin.len() == 16 && so_pin.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let alice = rehearsal_pins(&file, "alice", true).unwrap();
        let pin = alice.user_pin.clone().unwrap();
        assert!(pin.secret_text().len() == 8 && pin.secret_text().bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(rehearsal_pins(&file, "alice", true).unwrap(), alice);
        assert_eq!(rehearsal_pins(&file, "hsm-a", false).unwrap(), hsm);
    }
}
