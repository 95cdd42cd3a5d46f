//! `custodian card`: what the administrator needs to know of a token that stays with its custodian.

use std::path::{Path, PathBuf};

use chancery_agent::{CardProof, CustodianCard, Fingerprint};
use chancery_api::{FailureKind, PersonList};
use chancery_gateway::identity::{Usage, make};
use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::{MOST_BYTES, compare::Comparison, nature, word};
use crate::{
    commands::{
        check_output,
        network::{KEY_LIMIT, SecretFile, without_private_key},
        read_input,
        token::reaching::anchors,
        write_output,
    },
    context::Context,
    error::CliError,
    own_side::{present_pin, reached_or_only},
    report::Report,
    secrets::PinArgs,
    table::facts,
};

/// Writes a card.
#[derive(Args)]
#[command(after_help = "\
Example: chancery custodian card --out bob.card
Example: chancery custodian card --token DENK0404144 --out bob.card
The token makes two keys, unless it has them: one answers HSMs, one signs what you decide; neither ever leaves it. The card holds its \
public certificates and statements about them, and the public part of the key by which this machine will call the node.
Send the card to the administrator as you like, and read its fingerprint to them by telephone.")]
pub(crate) struct Card {
    /// Your token: device id, label, or name of a virtual token [default: the only one there is]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// New file for the card
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Key by which this machine calls the node [default: one in the data directory, made when it is missing]
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    #[command(flatten)]
    pin: PinArgs,
}

impl Card {
    /// Runs the command.
    pub(super) fn run(self, context: &Context) -> Result<Report, CliError> {
        check_output(&self.out)?;
        let (chosen, token) = reached_or_only(context, self.token.as_deref())?;
        let mut token = present_pin(context, &chosen, token, self.pin.pin_file.as_deref())?;
        let (client_key, certificate) = client_key(context, self.client_key.as_deref())?;
        let anchors = anchors(context)?;
        let card = CustodianCard::of(&mut token, &anchors, Some(certificate))?;
        drop(token);
        let (proof, fingerprint) = (card.proof(&anchors)?, card.fingerprint()?);
        write_output(&self.out, &card.encode()?)?;
        let value = json!({
            "card_file": self.out, "fingerprint": fingerprint.to_string(), "device": proof.device,
            "genuineness": word(proof.genuineness), "custodian_key": proof.custodian_key, "act_key": proof.act_key,
            "client_key_file": client_key,
        });
        let mut text = shown(&proof, fingerprint);
        text.push_str(&facts(&[
            ("key of this machine", client_key.display().to_string()),
            ("card", self.out.display().to_string()),
            (
                "next",
                "send the card to the administrator, and read its fingerprint to them by telephone"
                    .to_owned(),
            ),
        ]));
        Report::new(&value, text)
    }
}

/// The file of the key by which the node is called, and the certificate in it.
fn client_key(context: &Context, named: Option<&Path>) -> Result<(PathBuf, String), CliError> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => own_client_key(context)?,
    };
    if named.is_none() && !path.exists() {
        let made = make(Usage::Client, &["chancery custodian".to_owned()])?;
        let mut both = Zeroizing::new(made.key.to_vec());
        both.extend_from_slice(&made.certificate);
        SecretFile::new(&path)?.write(&both)?;
    }
    let certificate = without_private_key(Zeroizing::new(read_input(&path, KEY_LIMIT)?));
    String::from_utf8(certificate)
        .ok()
        .filter(|text| text.starts_with("-----BEGIN CERTIFICATE-----"))
        .map(|certificate| (path.clone(), certificate))
        .ok_or_else(|| {
            CliError::with_remedy(
                FailureKind::Invalid,
                format!("{} holds no certificate (PEM) beside its key", path.display()),
                "chancery client key --out FILE makes one that does",
            )
        })
}

/// Where the key of this machine is unless somebody names another.
pub(super) fn own_client_key(context: &Context) -> Result<PathBuf, CliError> {
    let directory = Context::accepted_directory(&context.data_or_new()?);
    make_private(&directory)?;
    std::path::absolute(directory.join("client.key")).map_err(CliError::file("find", &directory))
}

fn make_private(directory: &Path) -> Result<(), CliError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(CliError::file("make", directory))
}

/// A card from a file: shown, found to be one that this installation can take, and compared with what its custodian read out.
pub(crate) fn from_file(
    context: &Context,
    path: &Path,
    heard: Option<&str>,
) -> Result<CustodianCard, CliError> {
    let card = CustodianCard::parse(&read_input(path, MOST_BYTES)?)?;
    show(context, &card)?;
    let known = context.tokens()?;
    let foreign = |root: &[u8]| {
        !known
            .anchors()
            .iter()
            .any(|known| known.certificate().as_bytes() == root)
    };
    if card.root().is_some_and(foreign) {
        return Err(CliError::with_remedy(
            FailureKind::Refused,
            format!(
                "token {} is a virtual one that was made elsewhere",
                card.proof(known.anchors())?.device
            ),
            format!(
                "chancery custodian vouch {} --out FILE, and take that card; custodians of hardware HSMs need hardware tokens",
                path.display()
            ),
        ));
    }
    confirm(context, &card, path, heard)?;
    Ok(card)
}

/// Shows a card that came, once it is found to hold. Not its fingerprint: that is for who wrote the card.
pub(crate) fn show(context: &Context, card: &CustodianCard) -> Result<CardProof, CliError> {
    let proof = card.proof(context.tokens()?.anchors())?;
    let mut rows = rows(&proof);
    if card.is_vouched() {
        let same = "yes; its fingerprint is that of the card as its custodian wrote it";
        rows.push(("vouched for here", same.to_owned()));
    }
    context.tell(facts(&rows).trim_end());
    Ok(proof)
}

/// Has the fingerprint of a card compared.
pub(crate) fn confirm(
    context: &Context,
    card: &CustodianCard,
    file: &Path,
    heard: Option<&str>,
) -> Result<(), CliError> {
    let right = card.fingerprint()?;
    let comparison = Comparison {
        what: "card",
        of_it: "fingerprint",
        who: "its custodian",
        nothing: "nothing was done",
        file,
        heard,
    };
    comparison.confirm(context, |heard| right.is(heard))
}

/// Refuses the card of another than `name`, where a person of that name is known: their card has the key that signs what they decide.
pub(crate) fn refuse_other_person(
    context: &Context,
    card: &CustodianCard,
    file: &Path,
    name: &str,
) -> Result<(), CliError> {
    let people = context.call(&PersonList {})?;
    let Some(person) = people.iter().find(|person| person.name == name) else {
        return Ok(());
    };
    let proof = card.proof(context.tokens()?.anchors())?;
    if proof.act_key == person.key {
        return Ok(());
    }
    let (whose, next) = match people.iter().find(|other| other.key == proof.act_key) {
        Some(other) => (
            other.name.as_str(),
            format!("if {0} is meant, name {0} in the command", other.name),
        ),
        None => (
            "nobody who is known here",
            "somebody new is added first: chancery person add NAME --card FILE".to_owned(),
        ),
    };
    Err(CliError::with_remedy(
        FailureKind::Refused,
        format!(
            "{} is the card of {whose} (token {}, decides with key SHA-256 {}), not that of {name} (token {}, decides with key SHA-256 \
             {}): nothing was done",
            file.display(),
            proof.device,
            proof.act_key,
            person.device,
            person.key
        ),
        format!(
            "take the card of {name}: chancery custodian card, with token {}; {next}",
            person.device
        ),
    ))
}

/// A card for who wrote it.
fn shown(proof: &CardProof, fingerprint: Fingerprint) -> String {
    let mut rows = rows(proof);
    rows.push(("FINGERPRINT", fingerprint.to_string()));
    facts(&rows)
}

fn rows(proof: &CardProof) -> Vec<(&'static str, String)> {
    vec![
        ("token", proof.device.clone()),
        ("it is", nature(proof.genuineness).to_owned()),
        ("certificates", proof.path.clone()),
        (
            "answers HSMs with",
            format!("key SHA-256 {}", proof.custodian_key),
        ),
        ("decides with", format!("key SHA-256 {}", proof.act_key)),
    ]
}
