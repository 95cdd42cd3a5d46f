//! `dkek inspect`.

use std::path::PathBuf;

use chancery_schsm::Kcv;
use clap::Args;
use serde_json::json;

use super::{files, sources::SourceArgs};
use crate::{context::Context, error::CliError, report::Report, table::facts};

/// Shows what a share file is.
#[derive(Args)]
#[command(
    after_help = "Example: chancery dkek inspect backup.pbe\n         chancery dkek inspect backup.pbe --share-file alice.txt --share-file bob.txt\n\
Nothing is written, and no share is sent anywhere."
)]
pub(crate) struct Inspect {
    /// The share file
    #[arg(value_name = "FILE.pbe")]
    file: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Ask for the password
    #[arg(long, conflicts_with = "source")]
    password: bool,
    /// Key check value that the share must have
    #[arg(long, value_name = "KCV", value_parser = files::kcv)]
    kcv: Option<Kcv>,
}

impl Inspect {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let file = files::share_file(&self.file)?;
        let commitments = files::commitments_of(&self.file, &file);
        let mut lines = vec![
            ("file", self.file.display().to_string()),
            (
                "form",
                "share file: Salted__, salt, 48 bytes AES-256-CBC".to_owned(),
            ),
            ("salt", hex::encode(file.salt())),
        ];
        if let Some(found) = &commitments {
            lines.push((
                "shares",
                format!(
                    "{} are needed, set {}; see the commitments beside it",
                    found.how, found.set
                ),
            ));
        }
        let open = if self.source.is_given() || self.password {
            Some(self.source.open(context, &self.file)?)
        } else {
            None
        };
        if let Some(open) = &open {
            lines.push(("opened by", open.by.clone()));
            lines.push(("KCV", open.kcv.to_string()));
            lines.extend(open.remarks.iter().map(|remark| ("note", remark.clone())));
        } else {
            lines.push(("opened by", "nothing was tried: see --help".to_owned()));
        }
        let expected = match (self.kcv, &open) {
            (Some(expected), Some(open)) => {
                let fits = open.kcv == expected;
                lines.push((
                    "expected",
                    format!("{expected}: {}", if fits { "fits" } else { "DOES NOT FIT" }),
                ));
                Some(fits)
            }
            (Some(_), None) => {
                return Err(CliError::Usage(
                    "--kcv can be compared when something opens the file".to_owned(),
                ));
            }
            (None, _) => None,
        };
        let view = json!({
            "file": self.file.display().to_string(),
            "salt": hex::encode(file.salt()),
            "set": commitments.as_ref().map(|found| found.set.to_string()),
            "opened_by": open.as_ref().map(|open| open.by.clone()),
            "kcv": open.as_ref().map(|open| open.kcv.to_string()),
            "fits": expected,
            "remarks": open.as_ref().map(|open| open.remarks.clone()).unwrap_or_default(),
        });
        let report = Report::new(&view, facts(&lines))?;
        Ok(if expected == Some(false) {
            report.with_code(chancery_api::FailureKind::Refused.exit_code())
        } else {
            report
        })
    }
}
