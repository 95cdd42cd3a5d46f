//! The key encryption key of a domain, from the shares that people keep.

use std::path::{Path, PathBuf};

use chancery_api::FailureKind;
use chancery_dkek::text::{self, IdReading};
use chancery_schsm::{Kek, KekShare, share_file};
use clap::Args;
use zeroize::Zeroizing;

use super::{
    opening::{read_input, read_private},
    pins::secret,
};
use crate::{
    context::Context,
    error::{CliError, chain},
    progress::Progress,
    table::counted,
};

/// Shares of a key encryption key.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ShareArgs {
    /// Share file (.pbe); once for each share of the key encryption key
    #[arg(long = "share", value_name = "FILE")]
    pub(crate) shares: Vec<PathBuf>,
    /// File with the password of a share file, in the order of --share [default: asked for]
    #[arg(long, value_name = "FILE", requires = "shares")]
    pub(crate) share_password_file: Vec<PathBuf>,
    /// File with password shares, as many as it takes, of which the password of a single share file is made
    #[arg(
        long,
        value_name = "FILE",
        requires = "shares",
        conflicts_with = "share_password_file"
    )]
    pub(crate) password_shares: Vec<PathBuf>,
}

impl ShareArgs {
    /// The key encryption key; `None` when no share is named. Deriving the key of a share file takes seconds.
    pub(crate) fn kek(&self, context: &Context) -> Result<Option<Kek>, CliError> {
        if self.shares.is_empty() {
            return Ok(None);
        }
        if !self.password_shares.is_empty() && self.shares.len() > 1 {
            return Err(CliError::Usage(
                "--password-shares are for one share file; with several, name files with their passwords"
                    .to_owned(),
            ));
        }
        if self.share_password_file.len() > self.shares.len() {
            return Err(CliError::Usage(
                "there are more passwords than share files".to_owned(),
            ));
        }
        // All passwords first: nobody waits for seconds to be told that the next one is missing.
        let passwords = self
            .shares
            .iter()
            .enumerate()
            .map(|(index, path)| self.password(index, path))
            .collect::<Result<Vec<_>, _>>()?;
        let mut shares: Vec<KekShare> = Vec::new();
        for (path, password) in self.shares.iter().zip(&passwords) {
            let share = open(path, password)?;
            if shares.contains(&share) {
                return Err(CliError::new(
                    FailureKind::Invalid,
                    format!("{} holds the same share as another one", path.display()),
                ));
            }
            shares.push(share);
        }
        let kek = Kek::from_shares(&shares).map_err(|error| CliError::Usage(error.to_string()))?;
        context.tell(format!(
            "key encryption key of {}: KCV {}",
            counted(shares.len(), "share"),
            kek.kcv()
        ));
        Ok(Some(kek))
    }

    fn password(&self, index: usize, path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
        if !self.password_shares.is_empty() {
            return combined(&self.password_shares);
        }
        let text = secret(
            self.share_password_file.get(index).map(PathBuf::as_path),
            &format!("Password of {}: ", path.display()),
            "--share-password-file",
        )?;
        Ok(Zeroizing::new(text.as_bytes().to_vec()))
    }
}

/// The share in a file.
fn open(path: &Path, password: &[u8]) -> Result<KekShare, CliError> {
    let file = read_input(Some(path))?;
    let _progress = Progress::start(&format!("opening {}", path.display()));
    share_file::decrypt(&file, password).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        match error {
            share_file::ShareFileError::WrongPassword => CliError::with_remedy(
                FailureKind::Invalid,
                message,
                "type the password again; chancery dkek doctor finds out what is wrong with shares",
            ),
            _ => CliError::new(FailureKind::Invalid, message),
        }
    })
}

/// The password that the password shares in these files hide.
fn combined(files: &[PathBuf]) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let invalid = |path: &Path, why: String| {
        CliError::with_remedy(
            FailureKind::Invalid,
            format!("{}: {why}", path.display()),
            "chancery dkek doctor finds out what is wrong with shares",
        )
    };
    let mut shares = Vec::new();
    for path in files {
        let content = read_private(path)?;
        let content = std::str::from_utf8(&content).map_err(|_| invalid(path, "it is no text".to_owned()))?;
        for written in text::parse(content).map_err(|error| invalid(path, chain(&error)))? {
            let (share, faults) = written.read(IdReading::Decimal);
            match (share, faults.first()) {
                (Some(share), None) => shares.push(share),
                (_, Some(fault)) => return Err(invalid(path, fault.to_string())),
                (None, None) => return Err(invalid(path, "a share in it cannot be read".to_owned())),
            }
        }
    }
    let secret = chancery_dkek::combine(&shares).map_err(|error| {
        CliError::with_remedy(
            FailureKind::Invalid,
            format!("the password shares: {}", chain(&error)),
            "chancery dkek doctor finds out what is wrong with shares",
        )
    })?;
    Ok(Zeroizing::new(secret.password().to_vec()))
}
