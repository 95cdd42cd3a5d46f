//! `hsm init`.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr};

use chancery_api::{FailureKind, Intent, SecretText};
use clap::Args;
use zeroize::Zeroizing;

use crate::{
    act::{self, Actor, decide_with},
    commands::read_input,
    context::Context,
    error::CliError,
    report::Report,
    secrets::{PinArgs, ask_so_pin, rehearsal_pins},
};

/// Initialises tokens as HSMs.
#[derive(Args)]
#[command(
    after_help = "Example: chancery hsm init hsm-a hsm-b --quorum 2of3 --shares 2 --as alice\n\
Erases the tokens; one that holds keys is refused. The key domain's shares are generated in the node's memory, imported \
into each token and forgotten. There is no user PIN: custodians alone open an HSM, and no setting replaces one."
)]
pub(crate) struct Init {
    /// Tokens; the HSMs get the same names
    #[arg(required = true, value_name = "TOKEN")]
    tokens: Vec<String>,
    /// Custodians needed and custodians in all
    #[arg(long, value_name = "NofM")]
    quorum: QuorumSpec,
    /// Shares of the key domain's key
    #[arg(long, default_value_t = 2)]
    shares: u8,
    /// The TrustCenter Manager who decides
    #[arg(long = "as", value_name = "NAME")]
    actor: String,
    #[command(flatten)]
    pin: PinArgs,
    /// Take the SO-PINs from a file that nobody else may read, a line `TOKEN SO-PIN` each; - for standard input
    #[arg(long, value_name = "FILE")]
    so_pin_file: Option<PathBuf>,
}

/// `2of3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuorumSpec {
    required: u8,
    total: u8,
}

impl FromStr for QuorumSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no quorum, such as 2of3");
        let (required, total) = text.split_once("of").ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u8>().map_err(|_| wrong());
        let (required, total) = (number(required)?, number(total)?);
        if (1..=total).contains(&required) {
            Ok(Self { required, total })
        } else {
            Err(wrong())
        }
    }
}

impl Init {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let so_pins = self.so_pins(context)?;
        let actor = Actor::new(&self.actor, self.pin.pin_file.as_deref());
        let intent = Intent::HsmInit {
            tokens: self.tokens.clone(),
            required: self.quorum.required,
            total: self.quorum.total,
            shares: self.shares,
        };
        let hsms = act::hsms(decide_with(context, actor, intent, so_pins)?)?;
        let mut text = super::states(&hsms);
        text.push_str("next: chancery custodian register PERSON --hsm NAME,NAME --as MANAGER\n");
        Report::new(&hsms, text)
    }

    /// SO-PINs by token. In a rehearsal they are durable before a token knows them, and the same when this is repeated.
    fn so_pins(&self, context: &Context) -> Result<BTreeMap<String, SecretText>, CliError> {
        if let Some(path) = &self.so_pin_file {
            let text = Zeroizing::new(read_private(path)?);
            return from_lines(&text, &self.tokens);
        }
        let mut so_pins = BTreeMap::new();
        let rehearsal = context.is_rehearsal()?;
        let data = context.data()?;
        for token in &self.tokens {
            let so_pin = if rehearsal {
                rehearsal_pins(&Context::rehearsal_file(&data), token, false)?.so_pin
            } else {
                ask_so_pin(token)?
            };
            so_pins.insert(token.clone(), so_pin);
        }
        if rehearsal {
            let file = Context::rehearsal_file(&data);
            context.tell(format!(
                "(rehearsal: the SO-PINs are generated and kept in {})",
                file.display()
            ));
        }
        Ok(so_pins)
    }
}

fn read_private(path: &std::path::Path) -> Result<String, CliError> {
    use std::os::unix::fs::PermissionsExt as _;
    if path != std::path::Path::new("-") {
        let metadata = std::fs::metadata(path).map_err(CliError::file("read", path))?;
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            return Err(CliError::with_remedy(
                FailureKind::Invalid,
                format!("others may read {}", path.display()),
                format!("chmod 600 {}", path.display()),
            ));
        }
    }
    String::from_utf8(read_input(path, LIMIT)?)
        .map_err(|_| CliError::new(FailureKind::Invalid, format!("{} is no text", path.display())))
}

/// Longest file of SO-PINs, in bytes.
const LIMIT: u64 = 16 * 1024;

fn from_lines(text: &str, tokens: &[String]) -> Result<BTreeMap<String, SecretText>, CliError> {
    let mut so_pins = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(token), Some(so_pin), None) = (words.next(), words.next(), words.next()) else {
            return Err(CliError::new(
                FailureKind::Invalid,
                "a line of the SO-PIN file is not TOKEN SO-PIN",
            ));
        };
        if tokens.iter().any(|wanted| wanted == token) {
            so_pins.insert(token.to_owned(), SecretText::new(so_pin.to_owned()));
        }
    }
    match tokens.iter().find(|token| !so_pins.contains_key(*token)) {
        Some(missing) => Err(CliError::new(
            FailureKind::Invalid,
            format!("the SO-PIN file has no line for {missing}"),
        )),
        None => Ok(so_pins),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_written_n_of_m() {
        assert_eq!(
            "2of3".parse(),
            Ok(QuorumSpec {
                required: 2,
                total: 3
            })
        );
        for bad in [
            "", "2", "of", "2of", "of3", "0of3", "4of3", "2of300", "-1of3", "2 of 3",
        ] {
            assert!(bad.parse::<QuorumSpec>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn so_pins_are_found_by_token_and_never_repeated_in_an_error() {
        let tokens = ["hsm-a".to_owned(), "hsm-b".to_owned()];
        let pins = from_lines(
            "hsm-b 1122334455667788\n\nhsm-a 8877665544332211\nother x\n",
            &tokens,
        )
        .unwrap();
        assert_eq!(pins["hsm-a"].secret_text(), "8877665544332211");
        assert_eq!(pins.len(), 2);
        let error = from_lines("hsm-a 8877665544332211", &tokens).unwrap_err().text();
        assert!(error.contains("hsm-b") && !error.contains("8877"), "{error}");
        let error = from_lines("hsm-a 88776655 44332211", &tokens).unwrap_err().text();
        assert!(!error.contains("8877"), "{error}");
    }
}
