//! `token keys import`.

use std::path::{Path, PathBuf};

use chancery_api::FailureKind;
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, KeyType};
use chancery_tokens::{
    keys::to_der,
    transfer::{ImportLabels, KeyFile, KeyFileFormat, Parcel, check, install},
};
use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use super::generate::algorithms;
use crate::{
    commands::token::{
        arrival::{installed, open_for},
        kek::ShareArgs,
        key_failure::{keys, parcel, transfer},
        opening::{HexBytes, hex_bytes, journal, key_id, noted, read_input, require_private},
        pins::{UserPinArgs, secret},
    },
    context::Context,
    error::CliError,
    report::Report,
};

/// Puts a key from a file on the token.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token keys import alice key.p12 --label web --share dkek.pbe\n         \
chancery token keys import alice aes.key --kind aes --label storage --share a.pbe --share b.pbe\n\
A token takes keys wrapped under its key encryption key only, so that all shares of it are needed, once, here: the key is \
wrapped in this process, sent, and proves by a test use that it arrived. Neither it nor a share is written to disk.\n\
Its origin is this file: no token can attest that the key was never outside."
)]
pub(crate) struct Import {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// The file: PKCS#8, PKCS#12, an older PEM form; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the file holds
    #[arg(long, value_enum, default_value_t = Kind::Key)]
    kind: Kind,
    /// Label, at most 64 bytes [default: the friendly name in a PKCS#12 file]
    #[arg(long)]
    label: Option<String>,
    /// Where the key is to stand, 1 to 255 [default: the lowest free id]
    #[arg(long, value_parser = key_id)]
    id: Option<KeyId>,
    /// CKA_ID in hexadecimal digits [default: the key id]
    #[arg(long, value_name = "HEX", value_parser = hex_bytes)]
    cka_id: Option<HexBytes>,
    /// What the key may be used for, by name or hexadecimal identifier, separated by commas [default: everything]
    #[arg(long, value_name = "LIST", value_parser = algorithms)]
    permit: Option<AlgorithmList>,
    /// Certificate to store with the key, PEM or DER
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Take the password of the key file from a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    shares: ShareArgs,
    #[command(flatten)]
    pin: UserPinArgs,
}

/// What a key file holds.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// PKCS#8, PKCS#12 or an older PEM form; found out
    Key,
    /// 16, 24 or 32 bytes
    Aes,
    /// 32, 48 or 64 hexadecimal digits
    AesHex,
}

impl Import {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let from = self.file.display().to_string();
        let key = self.read()?;
        // What is wrong with the file is said before anybody types another password.
        check(&key).map_err(|error| parcel(&from, &error))?;
        let label = self
            .label
            .or_else(|| key.label().map(str::to_owned))
            .ok_or_else(|| CliError::Usage("give the key a name: --label".to_owned()))?;
        let labels = ImportLabels {
            label,
            cka_id: self.cka_id.map(|id| id.0),
        };
        let permitted = match self.permit {
            Some(list) => list,
            None if key.material().key_type() == KeyType::Aes => everything_for_aes(),
            None => AlgorithmList::unrestricted(),
        };
        let kek = self.shares.kek(context)?.ok_or_else(|| {
            CliError::with_remedy(
                FailureKind::Invalid,
                "a token takes keys under its key encryption key only",
                "name all shares of it: --share FILE",
            )
        })?;
        let ready =
            Parcel::import(&key, &kek, &permitted, labels, &from).map_err(|error| parcel(&from, &error))?;
        drop((key, kek));
        let (chosen, mut token) = open_for(context, &self.token, &ready, &self.pin)?;
        let called = chosen.to_string();
        let journal = journal(context)?;
        let arrived = install(&mut token, &ready, self.id, &noted(&chosen, &called, &journal))
            .map_err(|error| transfer(&called, &error))?;
        installed(&chosen, &arrived)
    }

    fn read(&self) -> Result<KeyFile, CliError> {
        let bytes = read_input(Some(&self.file))?;
        let format = match self.kind {
            Kind::Key => KeyFileFormat::Asymmetric,
            Kind::Aes => KeyFileFormat::Aes,
            Kind::AesHex => KeyFileFormat::AesHex,
        };
        let mut refused = None;
        let mut in_clear = true;
        let key = KeyFile::parse(&bytes, format, || {
            in_clear = false;
            let prompt = format!("Password of {}: ", self.file.display());
            match secret(self.password_file.as_deref(), &prompt, "--password-file") {
                Ok(text) => Some(Zeroizing::new(text.as_bytes().to_vec())),
                Err(error) => {
                    refused = Some(error);
                    None
                }
            }
        });
        if let Some(error) = refused {
            return Err(error);
        }
        let key = key?;
        if in_clear && self.file != Path::new("-") {
            require_private(&self.file)?;
        }
        match &self.certificate {
            Some(path) => {
                let content = read_input(Some(path))?;
                let der = to_der(&content).map_err(|error| keys(&path.display().to_string(), &error))?;
                Ok(key.with_certificate(der))
            }
            None => Ok(key),
        }
    }
}

/// AES keys want a list.
fn everything_for_aes() -> AlgorithmList {
    AlgorithmList::new(&[
        Algorithm::AesCbcEncrypt,
        Algorithm::AesCbcDecrypt,
        Algorithm::AesCmac,
        Algorithm::AesDerive,
        Algorithm::Wrap,
    ])
    .unwrap_or_default()
}
