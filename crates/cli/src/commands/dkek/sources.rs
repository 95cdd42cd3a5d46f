//! What opens a share file: a password, or password shares typed, pasted or read from files.

use std::path::{Path, PathBuf};

use chancery_agent::ask_secret;
use chancery_api::FailureKind;
use chancery_dkek::{
    SchemeError,
    commitment::Commitments,
    doctor::{Case, Diagnosis, Finding, GivenShare, How, Opened, examine},
};
use chancery_schsm::{Kcv, Kek, KekShare, ShareFile};
use clap::Args;
use zeroize::Zeroizing;

use super::{files, typing};
use crate::{context::Context, error::CliError, progress::Progress};

/// By what a share file is opened; its password is asked for when nothing is said.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SourceArgs {
    /// Take the password from the first line of a file that nobody else may read; - for standard input
    #[arg(long, value_name = "FILE", group = "source")]
    pub(super) password_file: Option<PathBuf>,
    /// Take password shares from a file that nobody else may read, in any form; repeat it; - for standard input
    #[arg(long = "share-file", value_name = "FILE", group = "source")]
    pub(super) share_files: Vec<PathBuf>,
    /// Let so many custodians type their shares, each alone on a screen of its own
    #[arg(long, value_name = "COUNT", group = "source", value_parser = clap::value_parser!(u8).range(2..=32))]
    pub(super) typed: Option<u8>,
    /// Paste password shares, in any form, on a screen of its own
    #[arg(long, group = "source")]
    pub(super) paste: bool,
}

/// What there is to try.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) passwords: Vec<(String, Zeroizing<Vec<u8>>)>,
    pub(super) shares: Vec<GivenShare>,
}

/// A share file that was opened.
pub(super) struct OpenFile {
    pub(super) share: KekShare,
    pub(super) kcv: Kcv,
    /// By what, in words.
    pub(super) by: String,
    /// What was noticed all the same.
    pub(super) remarks: Vec<String>,
}

impl SourceArgs {
    /// Whether anything was said.
    pub(super) fn is_given(&self) -> bool {
        self.password_file.is_some() || !self.share_files.is_empty() || self.typed.is_some() || self.paste
    }

    /// Collects what opens the file called `name`.
    pub(super) fn collect(&self, name: &str, commitments: Option<&Commitments>) -> Result<Sources, CliError> {
        let mut sources = Sources::default();
        if let Some(path) = &self.password_file {
            let from = path.display().to_string();
            sources.passwords.push((from, files::password_file(path)?));
        } else if !self.share_files.is_empty() {
            sources.shares = files::share_texts(&self.share_files)?;
        } else if let Some(count) = self.typed {
            sources.shares = typing::custodians(count, commitments)?;
        } else if self.paste {
            sources.shares = files::given(&typing::paste()?, "pasted")?;
        } else {
            let asked = ask(&format!("Password of {name}: "))?;
            sources
                .passwords
                .push(("typed".to_owned(), Zeroizing::new(asked.as_bytes().to_vec())));
        }
        Ok(sources)
    }

    /// Opens a share file, or says why nothing opens it.
    pub(super) fn open(&self, context: &Context, path: &Path) -> Result<OpenFile, CliError> {
        let file = files::share_file(path)?;
        let commitments = files::commitments_of(path, &file);
        let name = path.display().to_string();
        let sources = self.collect(&name, commitments.as_ref())?;
        let case = Case {
            files: vec![(name.clone(), file)],
            shares: sources.shares,
            passwords: sources.passwords,
            effort: EFFORT,
            ..Case::default()
        };
        let found = run(context, &case)?;
        let opened = found.opened.iter().find(|opened| opened.right);
        let Some(opened) = opened else {
            return Err(closed(&name, &case, &found));
        };
        let remarks = found
            .findings
            .iter()
            .filter(|finding| finding.is_trouble())
            .map(ToString::to_string)
            .collect();
        Ok(OpenFile {
            share: opened.share.clone(),
            kcv: Kek::from(opened.share.clone()).kcv(),
            by: by(&case, opened),
            remarks,
        })
    }
}

/// Most passwords tried when a file is to be opened and not examined.
const EFFORT: usize = 12;

/// Examines a case, showing that it takes time.
pub(super) fn run(context: &Context, case: &Case) -> Result<Diagnosis, CliError> {
    let mut told = false;
    let mut derive = |file: &ShareFile, password: &[u8]| {
        if !told && !context.json() {
            context.tell("deriving the key of the share file from its password takes about 3 seconds");
            told = true;
        }
        let _progress = Progress::start("deriving the key of the share file");
        file.derive(password, |_| ())
    };
    examine(case, &mut derive).map_err(|error| scheme(&error))
}

/// Why nothing opens a file, with everything that is wrong with the shares.
fn closed(name: &str, case: &Case, found: &Diagnosis) -> CliError {
    if case.shares.is_empty() {
        return CliError::with_remedy(
            FailureKind::Refused,
            format!("{name}: wrong password, or damaged share file"),
            "chancery dkek doctor --help",
        );
    }
    let mut message = format!("these password shares do not open {name}");
    for finding in &found.findings {
        if !matches!(finding, Finding::Closed { .. }) {
            message.push_str(&format!("\n  {finding}"));
        }
    }
    let sets = sets(case);
    if sets.len() > 1 {
        message.push_str("\n  they are of different sets:");
        for (set, sources) in sets {
            message.push_str(&format!("\n    {set}: {}", sources.join(", ")));
        }
    }
    CliError::with_remedy(
        FailureKind::Refused,
        message,
        "compare the shares with their pages; chancery dkek doctor --help",
    )
}

/// Which shares are of which set, as their pages say, or by their prime where they do not.
fn sets(case: &Case) -> Vec<(String, Vec<&str>)> {
    let mut sets: Vec<(String, Vec<&str>)> = Vec::new();
    for given in &case.shares {
        let set = match (&given.text.set, &given.text.prime) {
            (Some(set), _) => format!("set {set}"),
            // Public, and all there is to tell sets of other tools apart.
            (None, Some(prime)) => format!("set with prime {}", prime.secret_text()),
            (None, None) => continue,
        };
        match sets.iter_mut().find(|(known, _)| *known == set) {
            Some((_, sources)) => sources.push(&given.source),
            None => sets.push((set, vec![&given.source])),
        }
    }
    sets
}

/// By what a file was opened, in words.
pub(super) fn by(case: &Case, opened: &Opened) -> String {
    let ids = |shares: &[usize]| {
        let ids: Vec<_> = shares
            .iter()
            .filter_map(|index| case.shares.get(*index))
            .map(|given| given.text.id.secret_text().to_owned())
            .collect();
        ids.join(", ")
    };
    match &opened.how {
        How::Password { .. } => "its password".to_owned(),
        How::Shares { shares, .. } => format!("password shares {}", ids(shares)),
        How::AsToolReads { shares } => format!("password shares {} as sc-hsm-tool reads them", ids(shares)),
        How::Typed { source } => format!("what was typed ({source})"),
    }
}

/// Asks for a secret.
pub(super) fn ask(prompt: &str) -> Result<Zeroizing<String>, CliError> {
    ask_secret(prompt).map(Zeroizing::new).map_err(|error| {
        CliError::with_remedy(
            FailureKind::Invalid,
            format!("no terminal to ask at: {error}"),
            "run this at a terminal, or name a file: --help",
        )
    })
}

/// A failure of the scheme.
pub(super) fn scheme(error: &SchemeError) -> CliError {
    let kind = match error {
        SchemeError::Random(_) => FailureKind::Unavailable,
        SchemeError::Crypto(_) => FailureKind::Internal,
        _ => FailureKind::Invalid,
    };
    CliError::new(kind, crate::error::chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_different_sets_are_told_apart_by_their_files() {
        let share = |prime: &str, id: u8| {
            format!("Prime       : {prime}\nShare ID    : {id}\nShare value : be:d9:2a:f6:96:43:c4:41\n")
        };
        let (one, other) = ("e2:8c:4e:2a:93:cc:a8:77", "e2:8c:4e:2a:93:cc:a8:99");
        let mut case = Case::default();
        for (name, prime, id) in [("a.txt", one, 1), ("b.txt", other, 2), ("c.txt", one, 3)] {
            case.shares.extend(files::given(&share(prime, id), name).unwrap());
        }
        let found = sets(&case);
        let [(first, of_first), (second, of_second)] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert!(first.contains(one) && second.contains(other), "{found:?}");
        assert_eq!(
            (of_first.as_slice(), of_second.as_slice()),
            (&["a.txt", "c.txt"][..], &["b.txt"][..])
        );
    }
}
