//! How a share file is protected: by a password, or by password shares, shown to custodians and printed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chancery_agent::PrivateScreen;
use chancery_api::FailureKind;
use chancery_dkek::{
    PasswordShare, RandomError, SetId, Threshold, combine,
    commitment::{Commitment, Commitments, Nonce},
    page::{SCREEN_HEIGHT, SCREEN_WIDTH, SharePage},
    split,
};
use chancery_schsm::{Kcv, Kek, KekShare, ShareFile, ShareFileKey};
use clap::Args;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    files, show,
    sources::{ask, scheme},
    typing,
};
use crate::{context::Context, error::CliError, progress::Progress};

/// Password shares instead of a password.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ProtectArgs {
    /// Split the password: so many shares open the file
    #[arg(long, value_name = "COUNT", requires = "shares")]
    pub(super) threshold: Option<u8>,
    /// Split the password into so many shares, 3 to 9
    #[arg(long, value_name = "COUNT", requires = "threshold")]
    pub(super) shares: Option<u8>,
    /// Write each custodian's page to a file of its own in this directory, to be printed and deleted
    #[arg(long, value_name = "DIR", requires = "shares")]
    pub(super) page_dir: Option<PathBuf>,
    /// Show no share on the terminal: they are on their pages only
    #[arg(long, requires = "page_dir")]
    pub(super) without_terminal: bool,
}

/// What a new file will be protected by, found out before anything is done.
pub(super) enum Protection {
    /// A password.
    Password(Zeroizing<Vec<u8>>),
    /// Password shares.
    Shares(Splitting),
}

/// How the password is split and where its shares go.
pub(super) struct Splitting {
    how: Threshold,
    page_dir: Option<PathBuf>,
    terminal: bool,
}

/// A share file as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct FileView {
    file: String,
    kcv: String,
    salt: String,
    protected_by: &'static str,
    set: Option<String>,
    threshold: Option<u8>,
    shares: Option<u8>,
    commitments: Option<String>,
    pages: Vec<String>,
}

/// What `sc-hsm-tool` takes at its prompt, in bytes.
const MOST_PASSWORD: usize = 127;
/// Least it takes.
const LEAST_PASSWORD: usize = 6;

impl ProtectArgs {
    /// Whether shares were asked for.
    pub(super) const fn splits(&self) -> bool {
        self.threshold.is_some()
    }

    /// Checks all that can be checked before anything is drawn, and asks for a new password.
    pub(super) fn prepare(&self, out: &Path, password_file: Option<&Path>) -> Result<Protection, CliError> {
        files::check_new(out)?;
        let (Some(threshold), Some(shares)) = (self.threshold, self.shares) else {
            return Ok(Protection::Password(new_password(out, password_file)?));
        };
        let how = Threshold::new(threshold, shares).map_err(|error| scheme(&error))?;
        files::check_new(&files::commitments_path(out))?;
        let terminal = !self.without_terminal;
        if terminal {
            PrivateScreen::check(SCREEN_WIDTH, SCREEN_HEIGHT).map_err(|error| typing::no_screen(&error))?;
        }
        if let Some(directory) = &self.page_dir {
            files::page_directory(directory)?;
            for id in 1..=how.shares() {
                files::check_new(&page_path(directory, id.into(), how))?;
            }
        }
        Ok(Protection::Shares(Splitting {
            how,
            page_dir: self.page_dir.clone(),
            terminal,
        }))
    }
}

impl Protection {
    /// Writes a share file. Password shares come first: the file is there only when every custodian has theirs.
    pub(super) fn write(self, context: &Context, out: &Path, share: &KekShare) -> Result<FileView, CliError> {
        let mut salt = [0; 8];
        fill(&mut salt).map_err(|error| scheme(&error.into()))?;
        let kcv = Kek::from(share.clone()).kcv();
        let mut view = FileView {
            file: out.display().to_string(),
            kcv: kcv.to_string(),
            salt: hex::encode(salt),
            protected_by: "password",
            set: None,
            threshold: None,
            shares: None,
            commitments: None,
            pages: Vec::new(),
        };
        match self {
            Self::Password(password) => {
                let file = sealed(share, salt, &password)?;
                files::write_share_file(out, &file.to_bytes())?;
            }
            Self::Shares(splitting) => splitting.write(context, out, share, salt, &mut view)?,
        }
        Ok(view)
    }
}

impl Splitting {
    fn write(
        self,
        context: &Context,
        out: &Path,
        share: &KekShare,
        salt: [u8; 8],
        view: &mut FileView,
    ) -> Result<(), CliError> {
        let (secret, shares) = split(self.how, &mut fill).map_err(|error| scheme(&error))?;
        let mut set = SetId([0; 8]);
        fill(&mut set.0).map_err(|error| scheme(&error.into()))?;
        let file = sealed(share, salt, secret.password())?;
        // Both ends of the set must give the password back, before anybody relies on them.
        let needed = usize::from(self.how.threshold());
        for some in [shares.get(..needed), shares.get(shares.len() - needed..)] {
            let again = combine(some.unwrap_or_default()).map_err(|error| scheme(&error))?;
            if again.password() != secret.password() {
                return Err(CliError::new(
                    FailureKind::Internal,
                    "the password shares do not give their password back: nothing was written",
                ));
            }
        }
        let mut nonces = Vec::new();
        for _ in &shares {
            let mut bytes = Zeroizing::new([0; 16]);
            fill(bytes.as_mut_slice()).map_err(|error| scheme(&error.into()))?;
            nonces.push(Nonce::new(*bytes));
        }
        let kcv = Kek::from(share.clone()).kcv();
        let commitments = Commitments {
            set,
            how: self.how,
            prime: shares
                .first()
                .map(|share| share.prime)
                .unwrap_or(chancery_dkek::Prime([0; 8])),
            salt,
            kcv: kcv.0,
            commitments: shares
                .iter()
                .zip(&nonces)
                .map(|(share, nonce)| Commitment::to(nonce, set, share))
                .collect(),
        };
        let mut pages = Vec::new();
        let given = self.give(set, salt, kcv, &shares, &nonces, &mut pages);
        let written = given.and_then(|()| {
            let path = files::commitments_path(out);
            files::write_commitments(&path, &commitments)?;
            view.commitments = Some(path.display().to_string());
            files::write_share_file(out, &file.to_bytes())
        });
        if let Err(error) = written {
            // Shares of a set whose file was never written open nothing.
            for page in &pages {
                let _ = fs::remove_file(page);
            }
            if view.commitments.take().is_some() {
                let _ = fs::remove_file(files::commitments_path(out));
            }
            return Err(error);
        }
        if !pages.is_empty() {
            context.tell("print the pages, hand each to its custodian, and delete the files: each holds a share in clear");
        }
        view.protected_by = "password-shares";
        view.set = Some(set.to_string());
        view.threshold = Some(self.how.threshold());
        view.shares = Some(self.how.shares());
        view.pages = pages.iter().map(|page| page.display().to_string()).collect();
        Ok(())
    }

    /// Gives every custodian the share: pages first, then the screen.
    fn give(
        &self,
        set: SetId,
        salt: [u8; 8],
        kcv: Kcv,
        shares: &[PasswordShare],
        nonces: &[Nonce],
        written: &mut Vec<PathBuf>,
    ) -> Result<(), CliError> {
        let mut screen = if self.terminal {
            Some(typing::open()?)
        } else {
            None
        };
        for (share, nonce) in shares.iter().zip(nonces) {
            let page = SharePage {
                set,
                how: self.how,
                share,
                nonce,
                salt,
                kcv: kcv.0,
            };
            if let Some(directory) = &self.page_dir {
                let path = page_path(directory, share.id, self.how);
                files::write_page(&path, &page.secret_text())?;
                written.push(path);
            }
            if let Some(screen) = &mut screen {
                show::share(screen, &page, self.page_dir.is_some())?;
            }
        }
        Ok(())
    }
}

impl FileView {
    /// Facts about the new file.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("share file", self.file.clone()), ("KCV", self.kcv.clone())];
        match (self.threshold, self.shares, &self.set) {
            (Some(threshold), Some(shares), Some(set)) => {
                facts.push((
                    "opened by",
                    format!("{threshold} of {shares} password shares, set {set}"),
                ));
            }
            _ => facts.push(("opened by", "its password".to_owned())),
        }
        if let Some(commitments) = &self.commitments {
            facts.push((
                "commitments",
                format!("{commitments} (public: give it to every custodian)"),
            ));
        }
        for page in &self.pages {
            facts.push(("page", page.clone()));
        }
        facts
    }
}

fn page_path(directory: &Path, id: u64, how: Threshold) -> PathBuf {
    directory.join(format!("share-{id}-of-{}.txt", how.shares()))
}

/// The share under a password, tried before it is handed on.
fn sealed(share: &KekShare, salt: [u8; 8], password: &[u8]) -> Result<ShareFile, CliError> {
    let _progress = Progress::start("deriving the key of the share file");
    let blank = ShareFile::seal(
        &KekShare::new([0; 32]),
        salt,
        &ShareFileKey::from_parts([0; 32], [0; 16]),
    );
    let key = blank.derive(password, |_| ());
    let file = ShareFile::seal(share, salt, &key);
    if file.open(&key).as_ref() == Ok(share) {
        Ok(file)
    } else {
        Err(CliError::new(
            FailureKind::Internal,
            "the share file does not open again: nothing was written",
        ))
    }
}

/// A new password: from a file, or typed twice.
fn new_password(out: &Path, file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let invalid = |message: String| CliError::new(FailureKind::Invalid, message);
    let password = match file {
        Some(path) => files::password_file(path)?,
        None => Zeroizing::new(
            ask(&format!("New password for {}: ", out.display()))?
                .as_bytes()
                .to_vec(),
        ),
    };
    if !(LEAST_PASSWORD..=MOST_PASSWORD).contains(&password.len()) {
        return Err(invalid(format!(
            "a password has {LEAST_PASSWORD} to {MOST_PASSWORD} bytes, which sc-hsm-tool takes, this one has {}; nothing was written",
            password.len()
        )));
    }
    if password.iter().any(u8::is_ascii_control) {
        return Err(invalid(
            "a password has no control characters: they cannot be typed".to_owned(),
        ));
    }
    if file.is_none() {
        let again = ask("New password again: ")?;
        if again.as_bytes() != password.as_slice() {
            return Err(invalid(
                "the two entries of the password differ: nothing was written".to_owned(),
            ));
        }
    }
    Ok(password)
}

/// Random bytes of the operating system.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(|error| RandomError(error.to_string()))
}
