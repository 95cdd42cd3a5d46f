//! `attest generate`.

use chancery_api::FailureKind;
use chancery_attest::{Held, Input, Verification};
use chancery_cvc::Curve;
use chancery_driver::secure::ChannelError;
use chancery_node::SystemClock;
use chancery_schsm::{AlgorithmList, KeyId};
use chancery_tokens::{
    archive::Archive,
    keys::{KeyError, NewKey, NewKeyKind},
    reach::Intent,
    recorded::{RecordedError, generate_recorded},
};
use clap::Args;
use serde_json::json;

use super::trust::TrustArgs;
use crate::{
    commands::token::{
        failure::card,
        keys::{
            advice::{check_domain, list_line},
            generate::algorithms,
        },
        pins::{UserPinArgs, unlock},
        reaching::select,
    },
    context::Context,
    error::{CliError, chain},
    progress::Progress,
    report::Report,
};

/// Makes a key through a secure channel and keeps the transcript.
#[derive(Args)]
#[command(
    after_help = "Example: chancery attest generate alice secp256r1 --label release --permit Ecdsa,EcdsaSha256 --uses 1000\n\
Beside the proof that the token generated the key, the transcript shows with which attributes the key was asked for and what \
the token said of its key domain. It shows that to whoever ran this command, and to others only on that party's word: \
whoever has the transcript could have made its answers. chancery attest verify TRANSCRIPT checks it, here with exit code 0 \
and for others with 12, not proven.\n\
A list of EcdsaSha256 (73) alone makes a custodian's key, which answers HSMs and signs nothing else. On a token with several key \
domains only a key made with --domain can be wrapped."
)]
pub(crate) struct Generate {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// A curve (secp256r1, brainpoolP256r1, ...) or rsa-2048, rsa-3072, rsa-4096
    #[arg(value_name = "ALGORITHM", value_parser = kind)]
    kind: NewKeyKind,
    /// Label, at most 64 bytes
    #[arg(long)]
    label: String,
    /// Where the key is to stand, 1 to 255 [default: the lowest free id]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..))]
    id: Option<u8>,
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
    #[command(flatten)]
    trust: TrustArgs,
}

impl Generate {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let anchors = self.trust.anchors(context)?;
        let archive = Archive::below(context.data_or_new()?.path());
        let (chosen, token) = select(context, Some(&self.token), Intent::Change)?;
        let mut token = unlock(context, &chosen, token, &self.pin)?;
        check_domain(context, &chosen, &mut token, self.domain)?;
        let called = chosen.to_string();
        let new = NewKey {
            id: self.id.map(KeyId),
            kind: self.kind,
            label: self.label,
            cka_id: None,
            algorithms: self.permit.unwrap_or_default(),
            key_domain: self.domain,
            use_counter: self.uses,
        };
        let made = {
            let _progress = Progress::start(&format!("{called} makes a {} key", new.kind.name()));
            generate_recorded(token, &new, &anchors, &archive, SystemClock.now())
        };
        let (_, made) = made.map_err(|error| failed(&called, &error.into_error()))?;
        // What is said of it is what this installation's verification says of the file from now on.
        let file = made.kept.display().to_string();
        let input = Input::Transcript(Box::new(made.transcript));
        let found =
            Verification::for_holder(&[(file.clone(), Ok(input))], &anchors, self.trust.day(), |_| {
                Some(Held::OwnArchive)
            });
        let mut text = format!(
            "key {} {:?} ({}) is on {called}\ntranscript: {file}\n",
            made.key.id,
            new.label,
            new.kind.name()
        );
        text.push_str(&list_line(&new.algorithms));
        for claim in &found.claims {
            text.push_str(&format!("{}: {}\n", claim.verdict.claim(), claim.text));
        }
        let attestation = made.key.kept.map(|path| path.display().to_string());
        if let Some(path) = &attestation {
            text.push_str(&format!("attestation: {path}\n"));
        }
        let view = json!({
            "token": chosen.device(),
            "id": made.key.id.0,
            "label": new.label,
            "algorithm": new.kind.name(),
            "transcript": file,
            "attestation": attestation,
            "verification": found,
        });
        Report::new(&view, text)
    }
}

fn failed(called: &str, error: &RecordedError) -> CliError {
    let message = format!("{called}: {}", chain(error));
    match error {
        RecordedError::Key(KeyError::Card(source) | KeyError::Half { source, .. }) => card(called, source),
        RecordedError::Key(KeyError::Taken { .. } | KeyError::NoFreeId) => CliError::with_remedy(
            FailureKind::Conflict,
            message,
            "leave --id out; chancery token explore TOKEN shows what stands there",
        ),
        RecordedError::Key(KeyError::Origin { .. })
        | RecordedError::UnknownDevice(_)
        | RecordedError::Channel(ChannelError::NotTheDevice) => CliError::with_remedy(
            FailureKind::Refused,
            message,
            "chancery token info TOKEN says what is wrong with it; --trust names other roots",
        ),
        RecordedError::Channel(ChannelError::Refused { .. }) => CliError::with_remedy(
            FailureKind::Refused,
            message,
            "without a secure channel: chancery token keys generate --help",
        ),
        RecordedError::Channel(_) | RecordedError::NotKept { .. } => {
            CliError::new(FailureKind::Unavailable, message)
        }
        _ => CliError::new(FailureKind::Invalid, message),
    }
}

fn kind(name: &str) -> Result<NewKeyKind, String> {
    match NewKeyKind::from_name(name) {
        Some(kind @ (NewKeyKind::Ec(_) | NewKeyKind::Rsa(_))) => Ok(kind),
        Some(NewKeyKind::Aes(_)) => Err("secret keys have no request, and so no origin to prove".to_owned()),
        None => Err(format!(
            "no such algorithm: rsa-2048, rsa-3072, rsa-4096 or a curve: {}",
            Curve::ALL.map(Curve::name).join(", ")
        )),
    }
}
