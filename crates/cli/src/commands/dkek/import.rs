//! `dkek import`.

use std::path::PathBuf;

use chancery_api::FailureKind;
use chancery_driver::Selected;
use chancery_schsm::{Kcv, Kek};
use chancery_tokens::reach::{Intent, TokenTransport};
use clap::Args;
use serde_json::json;

use super::{files, sources::SourceArgs};
use crate::{
    commands::token::{failure::card, reaching::select},
    context::Context,
    error::CliError,
    report::Report,
    table::facts,
};

/// Imports a share into a token.
#[derive(Args)]
#[command(
    after_help = "Example: chancery dkek import backup.pbe hsm-b --share-file alice.txt --share-file bob.txt --kcv FCD76B667D1B2EBF\n\
The token must have been initialised for DKEK shares; no PIN is needed. The file is opened first and the token touched only when all of \
its padding is right. A share once imported cannot be taken back: only initialising empties a key domain."
)]
pub(crate) struct Import {
    /// The share file
    #[arg(value_name = "FILE.pbe")]
    file: PathBuf,
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Key domain
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    domain: u8,
    #[command(flatten)]
    source: SourceArgs,
    /// Key check value that the token must have when no share is missing any more
    #[arg(long, value_name = "KCV", value_parser = files::kcv)]
    kcv: Option<Kcv>,
}

impl Import {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        // What the token can take is found out before custodians are troubled.
        let (_, shares, _) = self.missing(context)?;
        let open = self.source.open(context, &self.file)?;
        for remark in &open.remarks {
            context.tell(remark);
        }
        let zero = Kek::new([0; 32]).kcv();
        if open.kcv == zero {
            return Err(CliError::new(
                FailureKind::Refused,
                format!(
                    "the share in {} is all zeros, which hides nothing: nothing was imported",
                    self.file.display()
                ),
            ));
        }
        // The only share is the key: what does not fit must not be imported.
        if let Some(expected) = self.kcv.filter(|expected| shares == 1 && *expected != open.kcv) {
            return Err(CliError::with_remedy(
                FailureKind::Refused,
                format!(
                    "the share in {} gives KCV {}, not {expected}: nothing was imported",
                    self.file.display(),
                    open.kcv
                ),
                "chancery dkek doctor --help",
            ));
        }
        let (name, _, mut token) = self.missing(context)?;
        let status = token
            .import_share(self.domain, &open.share)
            .map_err(|error| card(&name, &error))?;
        let complete = status.is_complete();
        let mut lines = vec![
            ("token", name.clone()),
            ("key domain", self.domain.to_string()),
            ("opened by", open.by.clone()),
            (
                "shares",
                format!("{}, {} still missing", status.shares, status.outstanding),
            ),
        ];
        if complete {
            lines.push(("KCV", status.kcv.to_string()));
        } else {
            lines.push(("KCV", format!("none yet; of this share alone {}", open.kcv)));
        }
        let fits = self
            .kcv
            .filter(|_| complete)
            .map(|expected| expected == status.kcv);
        if complete && let Some(wrong) = wrong_key(status.shares, status.kcv, open.kcv, self.kcv) {
            return Err(CliError::with_remedy(
                FailureKind::Refused,
                format!("{name} has all its shares, and {wrong}"),
                "wrap no key under it: initialise the token (chancery token init), which erases its keys, and import each share once; \
                 chancery dkek doctor finds out which share was another one",
            ));
        }
        let view = json!({
            "token": name,
            "domain": self.domain,
            "shares": status.shares,
            "outstanding": status.outstanding,
            "kcv": complete.then(|| status.kcv.to_string()),
            "share_kcv": open.kcv.to_string(),
            "fits": fits,
        });
        Report::new(&view, facts(&lines))
    }

    /// The token, if its key domain takes a share, with the number of shares in all.
    fn missing(&self, context: &Context) -> Result<(String, u8, Selected<TokenTransport>), CliError> {
        let (chosen, mut token) = select(context, Some(&self.token), Intent::Change)?;
        let name = chosen.to_string();
        let domain = self.domain;
        let status = token.key_domain(domain).map_err(|error| card(&name, &error))?;
        let refused = |message: String, remedy: &str| {
            Err(CliError::with_remedy(FailureKind::Conflict, message, remedy))
        };
        match status {
            None => refused(
                format!("{name} has no key domain {domain} that takes DKEK shares"),
                "chancery token init --help: a token is initialised for shares",
            ),
            Some(status) if status.is_complete() => refused(
                format!(
                    "key domain {domain} of {name} has all its shares; its KCV is {}",
                    status.kcv
                ),
                "initialise the token to begin anew, which erases its keys",
            ),
            Some(status) => Ok((name, status.shares, token)),
        }
    }
}

/// Why the key that a token made of its last share cannot be what was meant. Shares are joined by exclusive or: one that comes twice
/// takes itself out again.
fn wrong_key(shares: u8, key: Kcv, last: Kcv, expected: Option<Kcv>) -> Option<String> {
    if key == Kek::new([0; 32]).kcv() {
        Some("its DKEK is all zeros: the same share was imported twice, and keys wrapped under it would be as good as open".to_owned())
    } else if shares > 1 && key == last {
        Some(format!(
            "its DKEK is this share alone (KCV {key}): the others cancel each other out, because one of them was imported twice"
        ))
    } else {
        expected
            .filter(|expected| *expected != key)
            .map(|expected| format!("its KCV is {key}, not {expected}: a share was another one"))
    }
}

#[cfg(test)]
mod tests {
    use chancery_schsm::KekShare;

    use super::*;

    #[test]
    fn keys_of_shares_that_cancel_each_other_out_are_wrong() {
        let share = |byte: u8| KekShare::new([byte; 32]);
        let key = |parts: &[u8]| {
            let parts: Vec<_> = parts.iter().copied().map(share).collect();
            Kek::from_shares(&parts).map(|key| key.kcv())
        };
        let last = Kek::from(share(3)).kcv();
        let wrong = |parts: &[u8], expected| {
            let shares = u8::try_from(parts.len()).ok()?;
            wrong_key(shares, key(parts).ok()?, last, expected)
        };
        let says = |found: Option<String>, words: &str| found.is_some_and(|found| found.contains(words));
        assert!(says(wrong(&[3, 3], None), "all zeros"));
        assert!(says(wrong(&[3, 3], key(&[3, 3]).ok()), "all zeros"));
        assert!(says(wrong(&[5, 5, 3], None), "cancel each other out"));
        assert!(says(wrong(&[5, 3], Some(last)), "a share was another one"));
        assert_eq!(wrong(&[3], Some(last)), None);
        assert_eq!(wrong(&[5, 3], None), None);
        assert_eq!(wrong(&[5, 3], key(&[3, 5]).ok()), None);
    }
}
