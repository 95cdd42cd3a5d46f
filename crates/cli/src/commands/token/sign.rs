//! `token sign`.

use chancery_schsm::{Hash, KeyType};
use chancery_tokens::operate::{HashOn, KeyInUse, Scheme, SignatureForm, Signing};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{
    key_failure::operate,
    opening::{KeyArgs, StreamArgs, choose, deliver, open, read_input},
};
use crate::{context::Context, error::CliError, report::Report};

/// Signs data, or with an AES key makes its CMAC.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token sign alice signing --in letter --out letter.sig\n         \
openssl dgst -sha256 -verify signing.pub -signature letter.sig letter\n\
One command is sent to the token for the signature. A custodian's key, limited to answers for HSMs, is refused."
)]
pub(crate) struct Sign {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    stream: StreamArgs,
    /// Hash function [default: sha256]
    #[arg(long, value_enum)]
    hash: Option<HashName>,
    /// Where the data is hashed [default: auto]
    #[arg(long, value_enum)]
    hash_on: Option<Place>,
    /// RSA-PSS, salt as long as the hash, in place of PKCS#1 v1.5
    #[arg(long)]
    pss: bool,
    /// An ECDSA signature as r and s side by side, in place of DER
    #[arg(long)]
    raw: bool,
}

/// Hash functions.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum HashName {
    /// SHA-1
    Sha1,
    /// SHA-224
    Sha224,
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl From<HashName> for Hash {
    fn from(name: HashName) -> Self {
        match name {
            HashName::Sha1 => Self::Sha1,
            HashName::Sha224 => Self::Sha224,
            HashName::Sha256 => Self::Sha256,
            HashName::Sha384 => Self::Sha384,
            HashName::Sha512 => Self::Sha512,
        }
    }
}

/// Where data is hashed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Place {
    /// Here if the key permits it, else on the token
    Auto,
    /// Here
    Host,
    /// On the token; at most 1000 bytes
    Token,
    /// Nowhere: the data is a hash value
    Already,
}

impl Sign {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        self.stream.refuse_beside(&self.key.pin)?;
        let message = read_input(self.stream.input.as_deref())?;
        let (chosen, mut token) = open(context, Some(&self.key.token), &self.key.pin)?;
        let called = chosen.to_string();
        let (id, description) = choose(&chosen, &mut token, &self.key.key)?;
        let failed = |error: chancery_tokens::operate::OperateError| operate(&called, &error);
        let key = KeyInUse::described(&mut token, id, description).map_err(failed)?;
        self.refuse_idle(key.key_type())?;
        let signature = if key.key_type() == KeyType::Aes {
            key.mac(&mut token, &message).map_err(failed)?
        } else {
            let signing = Signing {
                scheme: if self.pss { Scheme::Pss } else { Scheme::Default },
                hash: self.hash.unwrap_or(HashName::Sha256).into(),
                hash_on: match self.hash_on.unwrap_or(Place::Auto) {
                    Place::Auto => HashOn::Either,
                    Place::Host => HashOn::Host,
                    Place::Token => HashOn::Token,
                    Place::Already => HashOn::Already,
                },
                form: if self.raw {
                    SignatureForm::Plain
                } else {
                    SignatureForm::Der
                },
            };
            key.sign(&mut token, &signing, &message).map_err(failed)?
        };
        let view = json!({ "token": chosen.device(), "id": id.0 });
        deliver(
            context,
            "signature",
            &signature,
            self.stream.output.as_deref(),
            view,
        )
    }

    /// Refuses options that would do nothing with a key of this type.
    fn refuse_idle(&self, key_type: KeyType) -> Result<(), CliError> {
        let aes = key_type == KeyType::Aes;
        let idle = [
            ("--hash", aes && self.hash.is_some()),
            ("--hash-on", aes && self.hash_on.is_some()),
            ("--pss", key_type != KeyType::Rsa && self.pss),
            ("--raw", key_type != KeyType::Ec && self.raw),
        ];
        let idle: Vec<_> = idle
            .into_iter()
            .filter(|(_, given)| *given)
            .map(|(name, _)| name)
            .collect();
        if idle.is_empty() {
            return Ok(());
        }
        let made = match key_type {
            KeyType::Aes => "an AES key makes a CMAC, which has no such choice",
            KeyType::Rsa => "an RSA signature has one form",
            KeyType::Ec => "RSA-PSS is for RSA keys",
        };
        Err(CliError::Usage(format!(
            "{} does nothing here: {made}; leave it out",
            idle.join(", ")
        )))
    }
}
