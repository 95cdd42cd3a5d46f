//! Shares that custodians type, each alone on the screen.

use chancery_agent::{PrivateScreen, ScreenError};
use chancery_api::FailureKind;
use chancery_dkek::{
    commitment::Commitments,
    doctor::GivenShare,
    page::{SCREEN_HEIGHT, SCREEN_WIDTH},
    text::{self, IdReading, ShareText},
};
use zeroize::Zeroizing;

use crate::error::CliError;

/// How often a share may be typed before this is given up.
const TRIES: usize = 5;

/// Lets `count` custodians type their shares one after another. With the commitments of the set its prime is known, and the page check
/// can be asked for.
pub(super) fn custodians(count: u8, commitments: Option<&Commitments>) -> Result<Vec<GivenShare>, CliError> {
    let mut screen = open()?;
    let mut shares: Vec<GivenShare> = Vec::new();
    let mut prime = commitments.map(|commitments| format!("Prime: {}\n", commitments.prime));
    let head =
        commitments.map(|commitments| format!("Set: {}\nNeeded: {}\n", commitments.set, commitments.how));
    for number in 1..=count {
        screen
            .show(&format!(
                "Share {number} of {count}: this screen is for one custodian alone.\nNobody else looks. It is cleared afterwards.\n\n"
            ))
            .map_err(failed)?;
        screen
            .ask("Press Enter when you are ready. ", true)
            .map_err(failed)?;
        let mut notice = String::new();
        let mut text = None;
        for _ in 0..TRIES {
            screen
                .show(&format!("Share {number} of {count}\n\n{notice}"))
                .map_err(failed)?;
            let typed = one(&mut screen, head.as_deref(), prime.as_deref(), shares.is_empty())?;
            match judged(&typed, &shares) {
                Ok(share) => {
                    text = Some(share);
                    break;
                }
                Err(why) => notice = format!("{why}\nPlease type it again.\n\n"),
            }
        }
        let Some(text) = text else {
            return Err(CliError::new(
                FailureKind::Invalid,
                format!("share {number} of {count} was not typed right {TRIES} times"),
            ));
        };
        if prime.is_none() {
            prime = text
                .prime
                .as_ref()
                .map(|prime| format!("Prime: {}\n", prime.secret_text()));
        }
        shares.push(GivenShare {
            source: format!("custodian {number}"),
            text,
        });
    }
    Ok(shares)
}

/// What one custodian types, as a text with a share.
fn one(
    screen: &mut PrivateScreen,
    head: Option<&str>,
    prime: Option<&str>,
    first: bool,
) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    text.push_str(head.unwrap_or_default());
    let mut ask = |screen: &mut PrivateScreen, label: &str, prompt: &str, checks: bool| {
        let typed = screen.ask(prompt, true).map_err(failed)?;
        if typed.trim().is_empty() {
            return Ok::<_, CliError>(false);
        }
        text.push_str(label);
        text.push_str(": ");
        text.push_str(&typed);
        if checks && !typed.contains("check") {
            let typed = screen
                .ask("  its check   (Enter if there is none): ", true)
                .map_err(failed)?;
            if !typed.trim().is_empty() {
                text.push_str(" check ");
                text.push_str(&typed);
            }
        }
        text.push('\n');
        Ok(true)
    };
    let typed = if prime.is_none() {
        ask(screen, "Prime", "Prime       : ", true)?
    } else if !first && head.is_none() {
        ask(screen, "Prime", "Prime       (Enter: the same as before): ", true)?
    } else {
        false
    };
    ask(screen, "Share ID", "Share ID    : ", false)?;
    ask(screen, "Share value", "Share value : ", true)?;
    if head.is_some() {
        ask(
            screen,
            "Page check",
            "Page check  (Enter if there is none): ",
            false,
        )?;
    }
    if !typed {
        text.push_str(prime.unwrap_or_default());
    }
    Ok(text)
}

/// The share in a text, if nothing is wrong with it.
fn judged(text: &str, before: &[GivenShare]) -> Result<ShareText, String> {
    let share = match text::parse(text).as_deref() {
        Ok([share]) => share.clone(),
        Ok(_) => return Err("One share at a time.".to_owned()),
        Err(error) => return Err(format!("That is no share: {error}.")),
    };
    let (read, faults) = share.read(IdReading::Decimal);
    if let Some(fault) = faults.first() {
        return Err(format!("Share {}: {fault}.", share.id.secret_text()));
    }
    let twice = read.is_some_and(|read| {
        before
            .iter()
            .filter_map(|given| given.text.read(IdReading::Decimal).0)
            .any(|other| other.id == read.id && other.prime == read.prime)
    });
    if twice {
        return Err(format!("Share {} was typed already.", share.id.secret_text()));
    }
    Ok(share)
}

/// Lets shares be pasted, unseen.
pub(super) fn paste() -> Result<Zeroizing<String>, CliError> {
    let mut screen = open()?;
    // With the first line, which is asked for when nothing is shown any more of what is pasted.
    let mut prompt =
        "Paste the password shares. They are not shown. End with a line that is a single dot.\n\n";
    let mut text = Zeroizing::new(String::with_capacity(text::MAX_TEXT + 1));
    loop {
        let line = match screen.ask(std::mem::take(&mut prompt), false) {
            Ok(line) => line,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(failed(error)),
        };
        if line.trim() == "." || text.len() + line.len() >= text::MAX_TEXT {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// The screen for shares.
pub(super) fn open() -> Result<PrivateScreen, CliError> {
    PrivateScreen::open(SCREEN_WIDTH, SCREEN_HEIGHT).map_err(|error| no_screen(&error))
}

/// A screen that cannot be had.
pub(super) fn no_screen(error: &ScreenError) -> CliError {
    let remedy = match error {
        ScreenError::TooSmall { .. } => "make the terminal larger, then run this again",
        ScreenError::NoTerminal(_) | ScreenError::Plain(_) => {
            "run this at a terminal; or with files instead: --share-file to read shares, --without-terminal with --page-dir to write them"
        }
        _ => "run this again",
    };
    CliError::with_remedy(FailureKind::Invalid, error.to_string(), remedy)
}

/// The terminal failed, or the person gave up.
pub(super) fn failed(error: std::io::Error) -> CliError {
    CliError::new(
        FailureKind::Unavailable,
        format!("the terminal gave no answer ({error}): nothing was written"),
    )
}
