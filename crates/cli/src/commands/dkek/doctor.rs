//! `dkek doctor`.

use std::path::{Path, PathBuf};

use chancery_api::FailureKind;
use chancery_dkek::{
    doctor::{
        Case, Diagnosis, Finding, Standing, Target, TargetKind, Unmendable, for_a_lost_key, for_a_wrong_key,
        for_a_zero_key,
    },
    typed::Typed,
};
use chancery_schsm::{KeyContainer, blob};
use chancery_tokens::reach::Intent;
use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    files,
    protect::{FileView, ProtectArgs},
    sources::{ask, by, run},
    typing,
};
use crate::{
    commands::{
        read_input,
        token::{failure::card, reaching::select},
    },
    context::Context,
    error::CliError,
    report::Report,
};

/// Finds out what fits what.
#[derive(Args)]
#[command(
    after_help = "Example: chancery dkek doctor backup.pbe --share-file shares.txt --token hsm-a --wrapped key.bin\n         \
chancery dkek doctor backup.pbe --share-file shares.txt --as-typed notes.txt --kcv C4DA565080E886D9 --mend real.pbe --threshold 2 --shares 3\n\
Works offline; a token is only asked for its key check values. It knows what older tools did wrong: passwords that lost leading zeros, \
share ids of 10 and more, and wrong shares that passed the padding check, so that a wrong key went into a token. Exit code 7 when \
something does not fit and was not mended."
)]
pub(crate) struct Doctor {
    /// Share files; several when the key has several shares
    #[arg(value_name = "FILE.pbe")]
    files: Vec<PathBuf>,
    /// Password shares, in any form, from a file that nobody else may read; repeat it; - for standard input
    #[arg(long = "share-file", value_name = "FILE")]
    share_files: Vec<PathBuf>,
    /// Let so many custodians type their shares, each alone on a screen of its own
    #[arg(long, value_name = "COUNT", conflicts_with = "paste", value_parser = clap::value_parser!(u8).range(2..=32))]
    typed: Option<u8>,
    /// Paste password shares, on a screen of its own
    #[arg(long)]
    paste: bool,
    /// What was typed into sc-hsm-tool at the import: prime, then id and value of each share, in a private file; repeat it
    #[arg(long = "as-typed", value_name = "FILE")]
    as_typed: Vec<PathBuf>,
    /// Password from the first line of a private file; repeat it
    #[arg(long = "password-file", value_name = "FILE")]
    password_files: Vec<PathBuf>,
    /// Ask for a password
    #[arg(long)]
    password: bool,
    /// Token whose key domains are to be explained: device id, label or name; repeat it
    #[arg(long = "token", value_name = "TOKEN")]
    tokens: Vec<String>,
    /// Key check value of a token that is not here, as KCV or NAME=KCV; repeat it
    #[arg(long = "kcv", value_name = "[NAME=]KCV", value_parser = named_kcv)]
    kcvs: Vec<Target>,
    /// Wrapped key (.bin, .wky or bare); repeat it
    #[arg(long = "wrapped", value_name = "FILE")]
    wrapped: Vec<PathBuf>,
    /// Most passwords to try, about 3 s each
    #[arg(long, value_name = "COUNT", default_value_t = 60)]
    effort: usize,
    /// Write a right share file: of the key that every token and wrapped key named really has, or of the key in the file when none is
    #[arg(long, value_name = "FILE.pbe")]
    mend: Option<PathBuf>,
    /// Take the password of the mended file from the first line of a private file
    #[arg(long, value_name = "FILE", conflicts_with = "shares", requires = "mend")]
    new_password_file: Option<PathBuf>,
    #[command(flatten)]
    protect: ProtectArgs,
}

impl Doctor {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let protection = match &self.mend {
            Some(_) if self.files.len() != 1 => {
                return Err(CliError::Usage("one share file is mended at a time".to_owned()));
            }
            Some(out) => Some(self.protect.prepare(out, self.new_password_file.as_deref())?),
            None if self.protect.splits() => {
                return Err(CliError::Usage(
                    "--threshold and --shares are for --mend".to_owned(),
                ));
            }
            None => None,
        };
        let case = self.case(context)?;
        if case.files.is_empty() && case.shares.is_empty() && case.targets.is_empty() {
            return Err(CliError::Usage("there is nothing to look at".to_owned()));
        }
        let found = run(context, &case)?;
        let mended = match (protection, &self.mend) {
            (Some(protection), Some(out)) => match found.to_mend(0) {
                Ok(opened) => Mended::Written(protection.write(context, out, &opened.share)?),
                Err(why) => Mended::Refused(not_mended(&case, &why)),
            },
            _ => Mended::No,
        };
        let healthy = if case.files.is_empty() {
            found.findings.iter().all(|finding| !finding.is_trouble())
        } else {
            found.is_healthy()
        };
        let report = Report::new(
            &view(&case, &found, healthy, &mended),
            text(&case, &found, healthy, &mended),
        )?;
        Ok(if healthy || matches!(mended, Mended::Written(_)) {
            report
        } else {
            report.with_code(FailureKind::Refused.exit_code())
        })
    }

    /// Collects all there is.
    fn case(&self, context: &Context) -> Result<Case, CliError> {
        let mut case = Case {
            effort: self.effort,
            look_for_imports: true,
            ..Case::default()
        };
        for path in &self.files {
            case.files
                .push((path.display().to_string(), files::share_file(path)?));
        }
        case.targets = self.targets(context)?;
        for path in &self.password_files {
            case.passwords
                .push((path.display().to_string(), files::password_file(path)?));
        }
        if self.password {
            let asked = ask("Password of the share file: ")?;
            case.passwords
                .push(("typed".to_owned(), Zeroizing::new(asked.as_bytes().to_vec())));
        }
        case.shares = files::share_texts(&self.share_files)?;
        if let Some(count) = self.typed {
            case.shares.extend(typing::custodians(count, None)?);
        }
        if self.paste {
            case.shares.extend(files::given(&typing::paste()?, "pasted")?);
        }
        for path in &self.as_typed {
            let shares = files::share_texts(std::slice::from_ref(path))?;
            let typed = Typed::from_texts(shares.iter().map(|given| &given.text)).ok_or_else(|| {
                CliError::new(
                    FailureKind::Invalid,
                    format!("{} does not say which prime was typed", path.display()),
                )
            })?;
            case.typed.push((path.display().to_string(), typed));
        }
        Ok(case)
    }

    fn targets(&self, context: &Context) -> Result<Vec<Target>, CliError> {
        let mut targets = Vec::new();
        for wanted in &self.tokens {
            let (chosen, mut token) = select(context, Some(wanted), Intent::Read)?;
            let name = chosen.to_string();
            let domains = token.key_domains().map_err(|error| card(&name, &error))?;
            let complete: Vec<_> = domains
                .iter()
                .filter(|(_, status)| status.is_complete())
                .collect();
            if complete.is_empty() {
                return Err(CliError::new(
                    FailureKind::Conflict,
                    format!("{name} has no key domain with all its shares"),
                ));
            }
            for (number, status) in complete {
                targets.push(Target {
                    name: format!("{name}, key domain {number}"),
                    kind: TargetKind::Token,
                    kcv: status.kcv,
                });
            }
        }
        targets.extend(self.kcvs.iter().cloned());
        for path in &self.wrapped {
            targets.push(wrapped(path)?);
        }
        Ok(targets)
    }
}

/// The check value in a wrapped key.
fn wrapped(path: &Path) -> Result<Target, CliError> {
    let bytes = read_input(path, 64 * 1024)?;
    let container = KeyContainer::parse(&bytes).ok();
    let blob = container.as_ref().map_or(bytes.as_slice(), KeyContainer::blob);
    let kcv = blob::key_type_of(blob)
        .and_then(|_| blob::kcv_of(blob))
        .map_err(|error| {
            CliError::new(
                FailureKind::Invalid,
                format!("{} is no wrapped key: {error}", path.display()),
            )
        })?;
    Ok(Target {
        name: path.display().to_string(),
        kind: TargetKind::WrappedKey,
        kcv,
    })
}

/// `KCV` or `NAME=KCV`.
fn named_kcv(text: &str) -> Result<Target, String> {
    let (name, kcv) = text.rsplit_once('=').unwrap_or((text, text));
    Ok(Target {
        name: name.to_owned(),
        kind: TargetKind::Token,
        kcv: files::kcv(kcv)?,
    })
}

/// What became of `--mend`.
enum Mended {
    /// Nothing was to be mended.
    No,
    /// A file was written.
    Written(FileView),
    /// None was written, for this reason.
    Refused(String),
}

/// Why no mended file is written, and what to do.
fn not_mended(case: &Case, why: &Unmendable) -> String {
    let name = |index: &usize| {
        case.targets
            .get(*index)
            .map_or("?", |target| target.name.as_str())
    };
    match why {
        Unmendable::Closed => why.to_string(),
        Unmendable::Unexplained { target } => format!(
            "no key that was found fits {}, so a file would be no backup of it; give what was typed (--as-typed) or more shares, or leave \
             it out to write the key that is in the file",
            name(target)
        ),
        Unmendable::Differ { one, other } => format!(
            "{} and {} have different keys, and one file cannot fit both; mend a file for each, naming one of them at a time",
            name(one),
            name(other)
        ),
    }
}

/// What can be done, when something can.
fn advice(found: &Diagnosis) -> &'static [&'static str] {
    let any = |wanted: fn(&Finding) -> bool| found.findings.iter().any(wanted);
    if any(|finding| matches!(finding, Finding::WrongKeyImported { .. })) {
        for_a_wrong_key()
    } else if any(|finding| matches!(finding, Finding::Unexplained { .. })) {
        for_a_lost_key()
    } else if any(|finding| matches!(finding, Finding::ZeroKey { .. })) {
        for_a_zero_key()
    } else {
        &[]
    }
}

fn standing(standing: &Standing) -> &'static str {
    match standing {
        Standing::Unknown => "unknown",
        Standing::Right => "right",
        Standing::Wrong { .. } => "wrong",
        Standing::Duplicate { .. } => "duplicate",
        Standing::OtherSet => "other-set",
        Standing::Unreadable => "unreadable",
    }
}

fn text(case: &Case, found: &Diagnosis, healthy: bool, mended: &Mended) -> String {
    let one_line = chancery_agent::one_line;
    let mut text = String::new();
    for (index, (name, _)) in case.files.iter().enumerate() {
        match found
            .opened
            .iter()
            .find(|opened| opened.file == index && opened.right)
        {
            Some(opened) => text.push_str(&format!("{}: opened by {}\n", one_line(name), by(case, opened))),
            None => text.push_str(&format!("{}: not opened\n", one_line(name))),
        }
    }
    for share in &found.shares {
        text.push_str(&format!(
            "share {} ({}): {}\n",
            one_line(&share.id),
            one_line(&share.source),
            standing(&share.standing)
        ));
    }
    for (index, key) in found.keys.iter().enumerate() {
        let kind = if key.right {
            ""
        } else {
            ", as sc-hsm-tool imports it"
        };
        text.push_str(&format!("KCV {}{kind}", key.kcv));
        let fits: Vec<_> = case
            .targets
            .iter()
            .zip(&found.fits)
            .filter(|(_, keys)| keys.contains(&index))
            .map(|(target, _)| one_line(&target.name))
            .collect();
        if !fits.is_empty() {
            text.push_str(&format!(": fits {}", fits.join("; ")));
        }
        text.push('\n');
    }
    for finding in &found.findings {
        let mark = if finding.is_trouble() { "!" } else { "-" };
        text.push_str(&format!("{mark} {}\n", one_line(&finding.to_string())));
    }
    for (number, step) in advice(found).iter().enumerate() {
        text.push_str(&format!("  {}. {step}\n", number + 1));
    }
    match mended {
        Mended::No => {}
        Mended::Written(file) => text.push_str(&crate::table::facts(&file.facts())),
        Mended::Refused(why) => text.push_str(&format!("! not mended: {}\n", one_line(why))),
    }
    if healthy {
        text.push_str("everything given belongs together\n");
    }
    text
}

fn view(case: &Case, found: &Diagnosis, healthy: bool, mended: &Mended) -> Value {
    json!({
        "healthy": healthy,
        "files": case.files.iter().enumerate().map(|(index, (name, file))| {
            let opened = found.opened.iter().find(|opened| opened.file == index && opened.right);
            json!({
                "file": name,
                "salt": hex::encode(file.salt()),
                "opened_by": opened.map(|opened| by(case, opened)),
            })
        }).collect::<Vec<_>>(),
        "shares": found.shares.iter().map(|share| json!({
            "id": share.id,
            "source": share.source,
            "standing": standing(&share.standing),
            "groups": match &share.standing {
                Standing::Wrong { groups } => groups.clone(),
                _ => Vec::new(),
            },
            "faults": share.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "keys": found.keys.iter().map(|key| json!({ "kcv": key.kcv.to_string(), "right": key.right })).collect::<Vec<_>>(),
        "targets": case.targets.iter().zip(&found.fits).map(|(target, keys)| json!({
            "name": target.name,
            "kind": match target.kind { TargetKind::Token => "token", TargetKind::WrappedKey => "wrapped-key" },
            "kcv": target.kcv.to_string(),
            "explained": !keys.is_empty(),
        })).collect::<Vec<_>>(),
        "findings": found.findings.iter().map(|finding| json!({
            "code": finding.code(),
            "text": finding.to_string(),
            "trouble": finding.is_trouble(),
        })).collect::<Vec<_>>(),
        "advice": advice(found),
        "tried": found.tried,
        "mended": match mended { Mended::Written(file) => Some(file), _ => None },
        "not_mended": match mended { Mended::Refused(why) => Some(why), _ => None },
    })
}
