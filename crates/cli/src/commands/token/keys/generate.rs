//! `token keys generate`.

use chancery_attest::OriginVerdict;
use chancery_schsm::{Algorithm, AlgorithmList, KeyId};
use chancery_tokens::keys::{NewKey, NewKeyKind, Origin, generate};
use clap::Args;
use serde_json::json;

use super::advice::{check_domain, list_line};
use crate::{
    commands::token::{
        key_failure::keys,
        opening::{HexBytes, archive, hex_bytes, key_id, now, open},
        pins::UserPinArgs,
        reaching::anchors,
    },
    context::Context,
    error::CliError,
    progress::Progress,
    report::Report,
};

/// Makes a key on the token.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token keys generate alice P-256 --label signing\n         \
chancery token keys generate alice aes-256 --label storage --permit AesCbcEncrypt,AesCbcDecrypt\n\
Algorithms: P-256, P-384, P-521, secp192r1 and others of SEC 2, brainpoolP256r1 and others of RFC 5639, rsa-2048, rsa-3072, \
rsa-4096, aes-128, aes-192, aes-256.\n\
A list of EcdsaSha256 (73) alone makes a custodian's key, which answers HSMs and signs nothing else. On a token with several key \
domains only a key made with --domain can be wrapped.\n\
That the token generated the key is checked, and the proof kept in the data directory: chancery attest shows it."
)]
pub(crate) struct Generate {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Algorithm of the key
    #[arg(value_name = "ALGORITHM", value_parser = kind)]
    kind: NewKeyKind,
    /// Label, at most 64 bytes
    #[arg(long)]
    label: String,
    /// Where the key is to stand, 1 to 255 [default: the lowest free id]
    #[arg(long, value_parser = key_id)]
    id: Option<KeyId>,
    /// CKA_ID in hexadecimal digits [default: the key id]
    #[arg(long, value_name = "HEX", value_parser = hex_bytes)]
    cka_id: Option<HexBytes>,
    /// What the key may be used for, by name or hexadecimal identifier, separated by commas [default: everything]
    #[arg(long, value_name = "LIST", value_parser = algorithms)]
    permit: Option<AlgorithmList>,
    /// How often the key may be used in its life [default: without limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    /// Number of the key domain it belongs to
    #[arg(long, value_name = "N")]
    domain: Option<u8>,
    #[command(flatten)]
    pin: UserPinArgs,
}

impl Generate {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let anchors = anchors(context)?;
        let archive = archive(context)?;
        let (chosen, mut token) = open(context, Some(&self.token), &self.pin)?;
        let called = chosen.to_string();
        let new = NewKey {
            id: self.id,
            kind: self.kind,
            label: self.label,
            cka_id: self.cka_id.map(|id| id.0),
            algorithms: self.permit.unwrap_or_default(),
            key_domain: self.domain,
            use_counter: self.uses,
        };
        check_domain(context, &chosen, &mut token, new.key_domain)?;
        let made = {
            let _progress = Progress::start(&format!("{called} makes a {} key", new.kind.name()));
            generate(&mut token, &new, &anchors, &archive, now()).map_err(|error| keys(&called, &error))?
        };
        let (word, origin) = match &made.origin {
            Origin::Proven { device, genuine } => {
                let verdict = OriginVerdict::under(*genuine);
                (verdict.code(), format!("{} ({device})", verdict.text()))
            }
            Origin::UnknownDevice { why } => ("unknown-device", format!("NOT proven: {why}")),
            Origin::Secret => ("secret", "secret keys have no proof of origin".to_owned()),
        };
        let kept = made.kept.as_ref().map(|path| path.display().to_string());
        let public_key = made.public_key.as_ref().and_then(|key| key.to_spki_der().ok());
        let mut text = format!(
            "key {} {:?} ({}) is on {called}\norigin: {origin}\n",
            made.id,
            new.label,
            new.kind.name()
        );
        text.push_str(&list_line(&new.algorithms));
        if let Some(path) = &kept {
            text.push_str(&format!("its proof is kept in {path}\n"));
        }
        Report::new(
            &json!({
                "token": chosen.device(),
                "id": made.id.0,
                "label": new.label,
                "algorithm": new.kind.name(),
                "origin": word,
                "attestation": kept,
                "public_key": public_key.map(hex::encode),
            }),
            text,
        )
    }
}

fn kind(name: &str) -> Result<NewKeyKind, String> {
    NewKeyKind::from_name(name)
        .ok_or_else(|| "no such algorithm; P-256, brainpoolP256r1, rsa-2048 and aes-256 are some".to_owned())
}

/// For clap: algorithms by name or identifier.
pub(crate) fn algorithms(text: &str) -> Result<AlgorithmList, String> {
    let ids = text
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let named = Algorithm::ALL
                .iter()
                .find(|algorithm| format!("{algorithm:?}").eq_ignore_ascii_case(word));
            match (named, u8::from_str_radix(word, 16)) {
                (Some(algorithm), _) => Ok(algorithm.id()),
                (None, Ok(id)) if word.len() == 2 => Ok(id),
                _ => Err(format!(
                    "{word} is no algorithm; there are {}",
                    Algorithm::ALL
                        .iter()
                        .map(|algorithm| format!("{algorithm:?}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
            }
        })
        .collect::<Result<Vec<u8>, String>>()?;
    AlgorithmList::from_ids(&ids).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_are_read_by_name_and_identifier() {
        assert_eq!(algorithms("EcdsaSha256,92").unwrap().ids(), [0x73, 0x92]);
        assert_eq!(algorithms("ecdsa Wrap").unwrap().ids(), [0x70, 0x92]);
        assert!(algorithms("").unwrap().is_unrestricted());
        assert!(algorithms("rsa").unwrap_err().contains("RsaPkcs1Sha256"));
        assert!(algorithms(&"92,".repeat(17)).is_err());
    }
}
