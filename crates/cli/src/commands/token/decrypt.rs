//! `token decrypt` and `token encrypt`.

use chancery_driver::AES_BLOCK;
use chancery_schsm::KeyType;
use chancery_tokens::operate::{Decryption, KeyInUse, OperateError, SymmetricPadding};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::{
    key_failure::operate,
    opening::{HexBytes, KeyArgs, StreamArgs, choose, deliver, hex_bytes, open, read_input},
    sign::HashName,
};
use crate::{context::Context, error::CliError, report::Report};

/// Decrypts data.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token decrypt alice mail --in secret.bin --out secret\n         \
chancery token decrypt alice mail --padding oaep --hash sha256 < secret.bin\n\
RSA paddings are taken off here, after the token's raw operation. With an AES key: CBC with --iv."
)]
pub(crate) struct Decrypt {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    stream: StreamArgs,
    /// How the data was padded [default: pkcs1 for RSA, pkcs7 for AES]
    #[arg(long, value_enum)]
    padding: Option<Padding>,
    /// Hash function of OAEP
    #[arg(long, value_enum, default_value_t = HashName::Sha256)]
    hash: HashName,
    /// Hash function of the mask generation of OAEP [default: that of --hash]
    #[arg(long, value_enum, value_name = "HASH")]
    mask_hash: Option<HashName>,
    /// Label of OAEP in hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = hex_bytes, default_value = "")]
    oaep_label: HexBytes,
    /// Initial vector of AES-CBC, 32 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = initial_vector)]
    iv: Option<[u8; AES_BLOCK]>,
}

/// Encrypts data with an AES key.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token encrypt alice storage --iv 000102030405060708090a0b0c0d0e0f < plain > cipher\n\
AES-CBC. Never use an initial vector twice with one key."
)]
pub(crate) struct Encrypt {
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    stream: StreamArgs,
    /// How the last block is filled
    #[arg(long, value_enum, default_value_t = BlockPadding::Pkcs7)]
    padding: BlockPadding,
    /// Initial vector, 32 hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = initial_vector)]
    iv: [u8; AES_BLOCK],
}

/// Paddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Padding {
    /// RSA: PKCS#1 v1.5
    Pkcs1,
    /// RSA: OAEP
    Oaep,
    /// AES: PKCS#7
    Pkcs7,
    /// The whole block, or whole blocks
    None,
}

/// Paddings of blocks.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum BlockPadding {
    /// PKCS#7
    Pkcs7,
    /// None: whole blocks of 16 bytes
    None,
}

impl Decrypt {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        self.stream.refuse_beside(&self.key.pin)?;
        let data = read_input(self.stream.input.as_deref())?;
        let (chosen, mut token) = open(context, Some(&self.key.token), &self.key.pin)?;
        let called = chosen.to_string();
        let (id, description) = choose(&chosen, &mut token, &self.key.key)?;
        let failed = |error: OperateError| operate(&called, &error);
        let key = KeyInUse::described(&mut token, id, description).map_err(failed)?;
        let how = self.how(key.key_type())?;
        let plain = key.decrypt(&mut token, &how, &data).map_err(failed)?;
        let view = json!({ "token": chosen.device(), "id": id.0 });
        deliver(context, "plaintext", &plain, self.stream.output.as_deref(), view)
    }

    fn how(&self, key_type: KeyType) -> Result<Decryption, CliError> {
        let default = if key_type == KeyType::Aes {
            Padding::Pkcs7
        } else {
            Padding::Pkcs1
        };
        let padding = self.padding.unwrap_or(default);
        match (key_type, padding) {
            (KeyType::Aes, Padding::Pkcs7 | Padding::None) => Ok(Decryption::AesCbc {
                iv: self
                    .iv
                    .ok_or_else(|| CliError::Usage("an AES key needs --iv".to_owned()))?,
                padding: if padding == Padding::None {
                    SymmetricPadding::None
                } else {
                    SymmetricPadding::Pkcs7
                },
            }),
            (KeyType::Aes, _) | (_, Padding::Pkcs7) => Err(CliError::Usage(format!(
                "this padding is not for {key_type:?} keys"
            ))),
            (_, Padding::Pkcs1) => Ok(Decryption::Pkcs1),
            (_, Padding::Oaep) => Ok(Decryption::Oaep {
                hash: self.hash.into(),
                mask: self.mask_hash.unwrap_or(self.hash).into(),
                label: self.oaep_label.0.clone(),
            }),
            (_, Padding::None) => Ok(Decryption::Raw),
        }
    }
}

impl Encrypt {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        self.stream.refuse_beside(&self.key.pin)?;
        let data = read_input(self.stream.input.as_deref())?;
        let (chosen, mut token) = open(context, Some(&self.key.token), &self.key.pin)?;
        let called = chosen.to_string();
        let (id, description) = choose(&chosen, &mut token, &self.key.key)?;
        let failed = |error: OperateError| operate(&called, &error);
        let key = KeyInUse::described(&mut token, id, description).map_err(failed)?;
        let padding = match self.padding {
            BlockPadding::Pkcs7 => SymmetricPadding::Pkcs7,
            BlockPadding::None => SymmetricPadding::None,
        };
        let cryptogram = key.encrypt(&mut token, self.iv, padding, &data).map_err(failed)?;
        let view = json!({ "token": chosen.device(), "id": id.0 });
        deliver(
            context,
            "ciphertext",
            &cryptogram,
            self.stream.output.as_deref(),
            view,
        )
    }
}

fn initial_vector(text: &str) -> Result<[u8; AES_BLOCK], String> {
    hex_bytes(text)?
        .0
        .try_into()
        .map_err(|_| "an initial vector has 32 hexadecimal digits".to_owned())
}
