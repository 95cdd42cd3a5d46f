//! `token derive`.

use std::path::PathBuf;

use chancery_driver::KeyDescription;
use chancery_schsm::{KeyId, KeyType};
use chancery_tokens::operate::{KeyInUse, OperateError, Peer};
use clap::Args;
use serde_json::json;

use super::{
    failure::card,
    key_failure::operate,
    opening::{HexBytes, KeyArgs, choose, deliver, hex_bytes, key_id, open, read_input},
};
use crate::{context::Context, error::CliError, report::Report};

/// Derives a secret, or another key.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token derive alice agreement --peer bob.pem > shared\n         \
chancery token derive alice storage --data 'disk 1' > secret\n         \
chancery token derive alice root --new-id 9 --parameter 0a0b0c --label child\n\
With --peer: ECDH, the x coordinate of the shared point. With --data: 32 bytes from an AES key; tokens of different makers do \
not agree on them. With --new-id: another EC key, whose private number is the sum of this one and the parameter."
)]
#[group(id = "what", required = true, multiple = false, args = ["peer", "data", "new_id"])]
pub(crate) struct Derive {
    #[command(flatten)]
    key: KeyArgs,
    /// The other side: public key or certificate (PEM or DER), or the bare point
    #[arg(long, value_name = "FILE")]
    peer: Option<PathBuf>,
    /// What the secret is derived for
    #[arg(long, value_name = "TEXT")]
    data: Option<String>,
    /// Id of the new key, 1 to 255
    #[arg(long, value_name = "ID", value_parser = key_id, requires = "parameter")]
    new_id: Option<KeyId>,
    /// What is added to the private number, in hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = hex_bytes, requires = "new_id")]
    parameter: Option<HexBytes>,
    /// Label of the new key, at most 64 bytes
    #[arg(long, requires = "new_id")]
    label: Option<String>,
    /// Write the secret to this file, for its owner alone
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Derive {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let peer = match &self.peer {
            Some(path) => {
                let content = read_input(Some(path))?;
                let what = path.display().to_string();
                Some(Peer::parse(&content).map_err(|error| operate(&what, &error))?)
            }
            None => None,
        };
        let (chosen, mut token) = open(context, Some(&self.key.token), &self.key.pin)?;
        let called = chosen.to_string();
        let (id, description) = choose(&chosen, &mut token, &self.key.key)?;
        let failed = |error: OperateError| operate(&called, &error);
        let key = KeyInUse::described(&mut token, id, description).map_err(failed)?;
        let view = json!({ "token": chosen.device(), "id": id.0 });
        if let (Some(new), Some(parameter)) = (self.new_id, &self.parameter) {
            let made = key.derive_key(&mut token, new, &parameter.0).map_err(failed)?;
            let public_key = made.map(|made| made.public_key);
            let mut described = false;
            if let (Some(label), Some(public)) = (&self.label, &public_key) {
                token
                    .describe_key(new, public, &KeyDescription::new(label))
                    .map_err(|error| card(&called, &error))?;
                described = true;
            }
            let mut text = format!("key {new} of {called} is derived from key {id}\n");
            if !described {
                text.push_str("it has no description: other software does not show it\n");
            }
            let spki = public_key.and_then(|key| key.to_spki_der().ok());
            return Report::new(
                &json!({
                    "token": chosen.device(),
                    "id": id.0,
                    "new_id": new.0,
                    "label": self.label.filter(|_| described),
                    "public_key": spki.map(hex::encode),
                }),
                text,
            );
        }
        let secret = match (key.key_type(), &peer, &self.data) {
            (_, Some(peer), _) => key.agree(&mut token, peer).map_err(failed)?,
            (KeyType::Aes, _, Some(data)) => {
                key.derive_secret(&mut token, data.as_bytes()).map_err(failed)?
            }
            _ => {
                return Err(CliError::Usage(
                    "--data is for AES keys; an EC key takes --peer or --new-id".to_owned(),
                ));
            }
        };
        deliver(context, "secret", &secret, self.out.as_deref(), view)
    }
}
