//! `dkek convert` and `dkek resplit`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{
    protect::{FileView, ProtectArgs},
    sources::SourceArgs,
};
use crate::{context::Context, error::CliError, report::Report, table::facts};

/// Puts the share of a file under another password or under password shares.
#[derive(Args)]
#[command(
    after_help = "Example: chancery dkek convert backup.pbe --out backup-2.pbe --threshold 2 --shares 3\n\
The share, and so the key and its check value, stay the same. The old file stays as it is."
)]
pub(crate) struct Convert {
    /// The share file to read
    #[arg(value_name = "FILE.pbe")]
    file: PathBuf,
    /// The share file to write
    #[arg(long, value_name = "FILE.pbe")]
    out: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Take the new password from the first line of a file that nobody else may read
    #[arg(long, value_name = "FILE", conflicts_with = "shares")]
    new_password_file: Option<PathBuf>,
    #[command(flatten)]
    protect: ProtectArgs,
}

impl Convert {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let view = rewritten(
            context,
            &self.file,
            &self.out,
            &self.source,
            &self.protect,
            self.new_password_file.as_deref(),
        )?;
        report(context, &view, &self.file)
    }
}

/// Puts the share of a file under new password shares.
#[derive(Args)]
#[command(
    after_help = "Example: chancery dkek resplit backup.pbe --out backup-2.pbe --share-file a.txt --share-file b.txt --threshold 3 --shares 5\n\
Old shares cannot be taken back: they open every copy of the old file for ever, and the key in it is the same. Destroy the copies, or \
make a new share, and move to it, when somebody is no longer to be trusted."
)]
pub(crate) struct Resplit {
    /// The share file to read
    #[arg(value_name = "FILE.pbe")]
    file: PathBuf,
    /// The share file to write
    #[arg(long, value_name = "FILE.pbe")]
    out: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    protect: ProtectArgs,
}

impl Resplit {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        if !self.protect.splits() {
            return Err(CliError::Usage(
                "say how to split: --threshold and --shares; chancery dkek convert goes back to a password"
                    .to_owned(),
            ));
        }
        let view = rewritten(context, &self.file, &self.out, &self.source, &self.protect, None)?;
        report(context, &view, &self.file)
    }
}

fn rewritten(
    context: &Context,
    file: &Path,
    out: &Path,
    source: &SourceArgs,
    protect: &ProtectArgs,
    new_password_file: Option<&Path>,
) -> Result<FileView, CliError> {
    let protection = protect.prepare(out, new_password_file)?;
    let open = source.open(context, file)?;
    for remark in &open.remarks {
        context.tell(remark);
    }
    protection.write(context, out, &open.share)
}

fn report(context: &Context, view: &FileView, old: &Path) -> Result<Report, CliError> {
    context.tell(format!(
        "{} and what opens it stay valid: whoever has both still has the key. Destroy every copy of the file when that is not wanted",
        old.display()
    ));
    Report::new(view, facts(&view.facts()))
}
