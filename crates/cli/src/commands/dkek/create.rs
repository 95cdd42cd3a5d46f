//! `dkek create`.

use std::path::PathBuf;

use chancery_schsm::KekShare;
use clap::Args;

use super::{
    protect::{ProtectArgs, fill},
    sources::scheme,
};
use crate::{context::Context, error::CliError, report::Report, table::facts};

/// Makes a share file.
#[derive(Args)]
#[command(
    after_help = "Example: chancery dkek create backup.pbe\n         chancery dkek create backup.pbe --threshold 2 --shares 3 --page-dir pages\n\
The share is new and random; it is in no token until it is imported. Each custodian's share is shown alone, on a screen that is cleared \
afterwards, and two groups of it are typed back. Commitments that say nothing about the shares are written to FILE.commitments.json."
)]
pub(crate) struct Create {
    /// The share file to write
    #[arg(value_name = "FILE.pbe")]
    file: PathBuf,
    /// Take the new password from the first line of a file that nobody else may read; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "shares")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    protect: ProtectArgs,
}

impl Create {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let protection = self.protect.prepare(&self.file, self.password_file.as_deref())?;
        let mut drawn = Ok(());
        let share = KekShare::generate(|bytes| drawn = fill(bytes));
        drawn.map_err(|error| scheme(&error.into()))?;
        let view = protection.write(context, &self.file, &share)?;
        let mut text = facts(&view.facts());
        text.push_str(&format!(
            "next: chancery dkek import {} TOKEN\n",
            self.file.display()
        ));
        Report::new(&view, text)
    }
}
