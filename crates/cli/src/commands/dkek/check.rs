//! `dkek check`.

use std::path::PathBuf;

use chancery_api::FailureKind;
use chancery_dkek::{
    commitment::Commitments,
    text::{self, IdReading},
};
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::{files, typing};
use crate::{context::Context, error::CliError, report::Report};

/// Checks one's own share.
#[derive(Args)]
#[command(after_help = "Example: chancery dkek check backup.commitments.json\n\
It proves that a page holds the number that was fixed when the set was made. It does not prove that the shares together open the share \
file: only enough custodians together can show that, with chancery dkek inspect. Nothing is sent or written.")]
pub(crate) struct Check {
    /// The published commitments of the set
    #[arg(value_name = "COMMITMENTS")]
    commitments: PathBuf,
    /// Read the share from a file that nobody else may read; - for standard input; without it, it is typed
    #[arg(long, value_name = "FILE")]
    share_file: Option<PathBuf>,
}

impl Check {
    /// Runs the command.
    pub(crate) fn run(self, _context: &Context) -> Result<Report, CliError> {
        let published = files::read_commitments(&self.commitments)?;
        let text = match &self.share_file {
            Some(path) => files::private_text(path)?,
            None => typed(&published)?,
        };
        let refused = |message: String| {
            CliError::with_remedy(
                FailureKind::Refused,
                message,
                "compare with the page; if nothing was mistyped, tell whoever keeps the share file",
            )
        };
        let invalid = |message: String| CliError::new(FailureKind::Invalid, message);
        let texts = text::parse(&text).map_err(|error| invalid(error.to_string()))?;
        let [share] = texts.as_slice() else {
            return Err(invalid(format!("one share at a time: there are {}", texts.len())));
        };
        let id = share.id.secret_text();
        let (read, faults) = share.read(IdReading::Decimal);
        if let Some(fault) = faults.first() {
            return Err(refused(format!("share {id}: {fault}")));
        }
        let nonce = share.nonce.as_ref().ok_or_else(|| {
            invalid(format!(
                "share {id} has no nonce: without it nothing can be compared"
            ))
        })?;
        let read = read.ok_or_else(|| invalid(format!("share {id} cannot be read")))?;
        published
            .check(share.set, &read, nonce)
            .map_err(|error| refused(error.to_string()))?;
        let view = json!({
            "holds": true,
            "set": published.set.to_string(),
            "share": read.id,
            "threshold": published.how.threshold(),
            "shares": published.how.shares(),
            "salt": hex::encode(published.salt),
            "kcv": hex::encode_upper(published.kcv),
        });
        let text = format!(
            "share {} is the one that was made for set {} ({})\n\
             proven: the page holds the number that was fixed when the set was made\n\
             not proven: that {} of these shares open the share file with salt {}; chancery dkek inspect shows that, with the shares\n",
            read.id,
            published.set,
            published.how,
            published.how.threshold(),
            hex::encode(published.salt)
        );
        Report::new(&view, text)
    }
}

/// Lets the custodian type what is on the page. The prime is public, and known from the commitments.
fn typed(published: &Commitments) -> Result<Zeroizing<String>, CliError> {
    let mut screen = typing::open()?;
    screen
        .show(&format!(
            "Set {}: type the lines of your page.\n\n",
            published.set
        ))
        .map_err(typing::failed)?;
    let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
    text.push_str(&format!(
        "Set: {}\nNeeded: {}\nPrime: {}\n",
        published.set, published.how, published.prime
    ));
    for (label, prompt, behind) in [
        ("Share ID", "Share ID    : ", ""),
        ("Share value", "Share value : ", "  its check : "),
        ("Page check", "Page check  : ", ""),
        ("Nonce", "Nonce       : ", ""),
    ] {
        let line = screen.ask(prompt, true).map_err(typing::failed)?;
        if line.trim().is_empty() {
            continue;
        }
        text.push_str(&format!("{label}: "));
        text.push_str(&line);
        if !behind.is_empty() && !line.contains("check") {
            let checks = screen.ask(behind, true).map_err(typing::failed)?;
            if !checks.trim().is_empty() {
                text.push_str(" check ");
                text.push_str(&checks);
            }
        }
        text.push('\n');
    }
    Ok(text)
}
