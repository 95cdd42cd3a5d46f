//! `audit`.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use chancery_agent::one_line;
use chancery_api::{AuditLog, FailureKind};
use chancery_node::DataDir;
use clap::{Args, Subcommand};
use openssl::x509::X509;
use serde_json::json;

mod source;

use crate::{
    context::Context,
    error::CliError,
    progress::Progress,
    report::Report,
    table::facts,
    verify::{Checker, Record, Verdict},
};

/// The audit log.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery audit verify")]
pub(crate) enum AuditCommand {
    /// Show events, or write everything an outsider needs to check them
    Log(Log),
    /// Check the log; needs no node and no trust in one
    Verify(Verify),
}

impl AuditCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Log(command) => command.run(context),
            Self::Verify(command) => command.run(context),
        }
    }
}

/// Shows events.
#[derive(Args)]
#[command(
    after_help = "Example: chancery audit log --limit 20\n         chancery audit log --export audit.jsonl"
)]
pub(crate) struct Log {
    /// First leaf; the last ones when absent
    #[arg(long)]
    from: Option<u64>,
    /// At most this many, up to 1000
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Write a bundle that chancery audit verify --bundle reads, a record a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "limit"])]
    export: Option<PathBuf>,
}

impl Log {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        if let Some(path) = &self.export {
            return export(context, path);
        }
        let from = match self.from {
            Some(from) => from,
            None => {
                let size = context.call(&AuditLog { from: 0, limit: 1 })?.size;
                size.saturating_sub(u64::from(self.limit))
            }
        };
        let page = context.call(&AuditLog {
            from,
            limit: self.limit,
        })?;
        let mut text = String::new();
        for leaf in &page.leaves {
            let member = |name: &str| {
                leaf.event
                    .get(name)
                    .and_then(|value| value.as_str())
                    .unwrap_or("-")
            };
            let actor = leaf.event.get("actor");
            let who = match actor {
                Some(actor) if actor.get("name").is_some() => actor
                    .get("name")
                    .and_then(|name| name.as_str())
                    .unwrap_or_default()
                    .to_owned(),
                Some(actor) if actor.get("uid").is_some() => format!("user {}", actor["uid"]),
                Some(actor) if actor.get("act").is_some() => "as decided".to_owned(),
                _ => "the node".to_owned(),
            };
            let data = leaf
                .event
                .get("data")
                .map(ToString::to_string)
                .unwrap_or_default();
            let data: String = data.chars().take(120).collect();
            text.push_str(&format!(
                "{:>6}  {}  {:24}  {:12}  {}\n",
                leaf.index,
                one_line(member("time")),
                one_line(member("event")),
                one_line(&who),
                one_line(&data)
            ));
        }
        text.push_str(&format!("{} leaves in all\n", page.size));
        Report::new(&page, text)
    }
}

fn export(context: &Context, path: &Path) -> Result<Report, CliError> {
    let data = context.data()?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(CliError::file("write", path))?;
    let records = write_bundle(&data, file, path).inspect_err(|_| {
        // Half a bundle is of no use, and would be in the way of the next; the first error is the one that counts.
        let _ = std::fs::remove_file(path);
    })?;
    let text = format!(
        "{records} records are in {0}; check them anywhere: chancery audit verify --bundle {0}",
        path.display()
    );
    Report::new(&json!({ "bundle": path, "records": records }), text)
}

/// Writes every record to a file that was just made; how many there are.
fn write_bundle(data: &DataDir, file: File, path: &Path) -> Result<u64, CliError> {
    let failed = || CliError::file("write", path);
    let mut out = BufWriter::new(file);
    let mut records = 0_u64;
    let _progress = Progress::start("reading the log");
    source::read(data, &mut |record| {
        records += 1;
        serde_json::to_writer(&mut out, &record)
            .map_err(io::Error::from)
            .map_err(failed())?;
        out.write_all(b"\n").map_err(failed())
    })?;
    out.into_inner()
        .map_err(|error| failed()(error.into_error()))?
        .sync_all()
        .map_err(failed())?;
    Ok(records)
}

/// Checks the log.
#[derive(Args)]
#[command(
    after_help = "Example: chancery audit verify\n         chancery audit verify --bundle audit.jsonl --root root.pem\n\
Exit code 7 when something does not hold. Compare the first manager's key with what was written down at init."
)]
pub(crate) struct Verify {
    /// Check a bundle instead of the data directory
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The root certificate (PEM) that must have certified the audit key
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

impl Verify {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let _progress = Progress::start("checking the log");
        let mut judge = Judge {
            checker: None,
            root: self.root.as_deref().map(read_root).transpose()?,
            root_seen: false,
        };
        match &self.bundle {
            Some(path) => read_bundle(path, &mut |record| judge.take(record))?,
            None => source::read(&context.data()?, &mut |record| judge.take(record))?,
        }
        let verdict = judge.finish()?;
        let text = show(&verdict);
        let code = if verdict.holds {
            0
        } else {
            FailureKind::Refused.exit_code()
        };
        Ok(Report::new(&verdict, text)?.with_code(code))
    }
}

/// The checker, once there is a header, and the root that was brought from elsewhere.
struct Judge {
    checker: Option<Checker>,
    root: Option<Vec<u8>>,
    root_seen: bool,
}

impl Judge {
    fn take(&mut self, record: Record) -> Result<(), CliError> {
        let refuse =
            |why: String| CliError::new(FailureKind::Refused, format!("the log cannot be checked: {why}"));
        match (&mut self.checker, record) {
            (None, Record::Header(header)) => self.checker = Some(Checker::new(header).map_err(refuse)?),
            (None, _) => return Err(refuse("it does not begin with its header".to_owned())),
            (Some(checker), record) => {
                if let (Record::Ca(ca), Some(root)) = (&record, &self.root) {
                    self.root_seen |= ca
                        .certificate
                        .as_ref()
                        .is_some_and(|certificate| certificate.0 == *root);
                }
                checker.take(record);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Verdict, CliError> {
        let checker = self
            .checker
            .ok_or_else(|| CliError::new(FailureKind::Invalid, "there is nothing to check"))?;
        let mut verdict = checker.finish();
        if self.root.is_some() && !self.root_seen {
            verdict
                .problems
                .push("the root certificate given is not that of a CA of this log".to_owned());
            verdict.holds = false;
        }
        Ok(verdict)
    }
}

fn read_root(path: &Path) -> Result<Vec<u8>, CliError> {
    let text = super::read_input(path, 64 * 1024)?;
    X509::from_pem(&text).and_then(|root| root.to_der()).map_err(|_| {
        CliError::new(
            FailureKind::Invalid,
            format!("{} is no certificate in PEM", path.display()),
        )
    })
}

/// Longest line of a bundle, in bytes: an act over 500 requests fits.
const LONGEST_LINE: u64 = 8 * 1024 * 1024;

fn read_bundle(path: &Path, sink: &mut dyn FnMut(Record) -> Result<(), CliError>) -> Result<(), CliError> {
    let failed = || CliError::file("read", path);
    let mut lines = BufReader::new(File::open(path).map_err(failed())?);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = (&mut lines)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .map_err(failed())?;
        if read == 0 {
            break;
        }
        let record = serde_json::from_slice(&line).map_err(|error| {
            CliError::new(
                FailureKind::Invalid,
                format!("{}, line {number} is no record: {error}", path.display()),
            )
        })?;
        sink(record)?;
    }
    Ok(())
}

fn show(verdict: &Verdict) -> String {
    let certified = match &verdict.audit_key_certified_by {
        Some(ca) => format!("certified by CA {ca}"),
        None => "not certified by a CA yet".to_owned(),
    };
    let mut text = facts(&[
        ("installation", verdict.installation.clone()),
        (
            "first manager",
            format!("key SHA-256 {}", verdict.first_manager_key),
        ),
        (
            "audit key",
            format!("{}, {certified}", verdict.audit_key.as_deref().unwrap_or("none")),
        ),
        ("leaves", format!("{}, root {}", verdict.leaves, verdict.root)),
        (
            "checkpoints",
            format!(
                "{}, the newest covers {} leaves",
                verdict.checkpoints, verdict.signed_leaves
            ),
        ),
        (
            "acts",
            format!(
                "{} by {} people, all signatures checked",
                verdict.acts, verdict.people
            ),
        ),
        ("certificates", verdict.certificates.to_string()),
    ]);
    if verdict.holds {
        text.push_str("the log holds\n");
    } else {
        text.push_str("THE LOG DOES NOT HOLD:\n");
        for problem in &verdict.problems {
            text.push_str(&format!("  - {}\n", one_line(problem)));
        }
    }
    text
}
