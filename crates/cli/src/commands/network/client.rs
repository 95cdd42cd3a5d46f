//! `client`: programs that call the node over TLS.

use std::path::{Path, PathBuf};

use chancery_agent::CustodianCard;
use chancery_api::{Base64, ClientAdd, ClientList, ClientRevoke, ClientView, FailureKind, Hash32};
use chancery_gateway::identity::{IdentityError, Usage, make};
use clap::{Args, Subcommand};
use openssl::{
    pkey::PKey,
    x509::{X509, X509Req},
};
use serde_json::json;
use zeroize::Zeroizing;

use super::secret_file::SecretFile;
use crate::{
    commands::{
        check_output,
        custodian::{
            card::{confirm, refuse_other_person, show},
            compare::Comparison,
        },
        read_input, write_output,
    },
    context::Context,
    error::{CliError, chain},
    report::Report,
    table::{facts, table},
};

/// Clients: programs that ask for leases and sign, and the agents of custodians elsewhere.
#[derive(Subcommand)]
#[command(after_help = "\
Example: chancery client key --out build.key          on the client's machine
Example: chancery client add build --key build.key.crt on the node's")]
pub(crate) enum ClientCommand {
    /// Enrol a client by its public key: it may ask for leases, nothing more
    Add(Add),
    /// All clients
    List(List),
    /// End a client: its leases end with it
    Revoke(Revoke),
    /// Make a client's key and self-signed certificate; needs no node
    Key(Key),
}

impl ClientCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Add(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Revoke(command) => command.run(context),
            Self::Key(command) => command.run(),
        }
    }
}

/// Largest file with a key, in bytes.
pub(crate) const KEY_LIMIT: u64 = 64 * 1024;

/// Enrols a client.
#[derive(Args)]
#[command(after_help = "\
Example: chancery client add build --key build.key.crt
Example: chancery client add ann-laptop --key ann.card --custodian ann
Have the fingerprint of a card read to you by its custodian, by telephone, and type it; of a key without a card that becomes a \
custodian's agent, the SHA-256 that chancery client key showed. Custodians decide what a client gets. The agent of a custodian also sees what waits for that custodian; answers count by the \
signature of the custodian's token, whoever brings them.")]
pub(crate) struct Add {
    /// Name of the client
    name: String,
    /// Its certificate, public key or PKCS#10 request, PEM or DER, or a custodian's card; - for standard input
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Custodian whose agent it is
    #[arg(long, value_name = "PERSON")]
    custodian: Option<String>,
    /// The card's fingerprint as its custodian read it to you, instead of typing it; for a key without a card its SHA-256
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
}

impl Add {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let file = Zeroizing::new(read_input(&self.key, KEY_LIMIT)?);
        let key = match CustodianCard::parse(&file) {
            Ok(card) => self.of_card(context, &card)?,
            Err(_) => {
                let key = without_private_key(file);
                // Also where a card was meant, and somebody put another file in its place.
                if self.custodian.is_some() || self.fingerprint.is_some() {
                    self.compare_key(context, &key)?;
                }
                key
            }
        };
        let client = context.call(&ClientAdd {
            name: self.name,
            key: Base64(key),
            custodian: self.custodian,
        })?;
        Report::new(&client, shown(&client))
    }

    /// The key of the custodian's machine in a card, once the card was compared.
    fn of_card(&self, context: &Context, card: &CustodianCard) -> Result<Vec<u8>, CliError> {
        let certificate = card.client().ok_or_else(|| {
            CliError::with_remedy(
                FailureKind::Invalid,
                format!("the card {} names no key of a machine", self.key.display()),
                "have it made again: chancery custodian card",
            )
        })?;
        show(context, card)?;
        confirm(context, card, &self.key, self.fingerprint.as_deref())?;
        if let Some(custodian) = &self.custodian {
            refuse_other_person(context, card, &self.key, custodian)?;
        }
        Ok(certificate.as_bytes().to_vec())
    }

    /// A key without a card is compared by its own hash.
    fn compare_key(&self, context: &Context, key: &[u8]) -> Result<(), CliError> {
        let right = key_hash(key).ok_or_else(|| {
            CliError::with_remedy(
                FailureKind::Invalid,
                format!(
                    "{} is no custodian's card, and no key or certificate either",
                    self.key.display()
                ),
                "chancery custodian card writes a card",
            )
        })?;
        context.tell(format!(
            "{} is no custodian's card, but a key by itself",
            self.key.display()
        ));
        let comparison = Comparison {
            what: "key",
            of_it: "SHA-256 of the key",
            who: "whoever made it",
            nothing: "nothing was done",
            file: &self.key,
            heard: self.fingerprint.as_deref(),
        };
        comparison.confirm(context, |heard| {
            let digits: String = heard
                .chars()
                .filter(|c| !c.is_whitespace() && !matches!(c, ':' | '-'))
                .collect();
            digits.eq_ignore_ascii_case(&right.to_string())
        })
    }
}

/// SHA-256 of a key (SubjectPublicKeyInfo), as `client key` and the node show it.
fn key_hash(file: &[u8]) -> Option<Hash32> {
    X509::from_pem(file)
        .or_else(|_| X509::from_der(file))
        .and_then(|certificate| certificate.public_key())
        .or_else(|_| {
            X509Req::from_pem(file)
                .or_else(|_| X509Req::from_der(file))
                .and_then(|request| request.public_key())
        })
        .or_else(|_| PKey::public_key_from_pem(file))
        .or_else(|_| PKey::public_key_from_der(file))
        .and_then(|key| key.public_key_to_der())
        .ok()
        .map(|spki| Hash32::of(&spki))
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Of a file with key and certificate only the certificate goes to the node.
pub(crate) fn without_private_key(file: Zeroizing<Vec<u8>>) -> Vec<u8> {
    let certificate = std::str::from_utf8(&file).ok().and_then(|text| {
        let from = text.find(BEGIN)?;
        let to = from + text.get(from..)?.find(END)? + END.len();
        text.get(from..to)
    });
    certificate.map_or_else(
        || file.to_vec(),
        |certificate| format!("{certificate}\n").into_bytes(),
    )
}

/// Shows clients.
#[derive(Args)]
#[command(after_help = "Example: chancery client list --json")]
pub(crate) struct List {}

impl List {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let clients = context.call(&ClientList {})?;
        let rows = clients
            .iter()
            .map(|client| {
                vec![
                    client.name.clone(),
                    client.state.clone(),
                    client.custodian.clone().unwrap_or_else(|| "-".to_owned()),
                    client.since.clone(),
                    client.key.to_string(),
                ]
            })
            .collect();
        let header = ["client", "state", "agent of", "since", "key"];
        Report::new(&clients, table(&header, rows, "no clients"))
    }
}

/// Ends a client.
#[derive(Args)]
#[command(
    after_help = "Example: chancery client revoke build\nIt is refused from its next call on, and its leases end."
)]
pub(crate) struct Revoke {
    /// Name of the client
    name: String,
}

impl Revoke {
    fn run(self, context: &Context) -> Result<Report, CliError> {
        let client = context.call(&ClientRevoke { name: self.name })?;
        Report::new(&client, shown(&client))
    }
}

/// Makes a key.
#[derive(Args)]
#[command(after_help = "\
Example: chancery client key --out build.key
Writes FILE with key and certificate, readable by its owner alone, and FILE.crt with the certificate, which goes to the node's \
machine: chancery client add NAME --key FILE.crt")]
pub(crate) struct Key {
    /// New file for the key
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Name in the certificate; nothing depends on it
    #[arg(long, default_value = "chancery client")]
    name: String,
}

impl Key {
    fn run(self) -> Result<Report, CliError> {
        let mut certificate_file = self.out.clone().into_os_string();
        certificate_file.push(".crt");
        let certificate_file = PathBuf::from(certificate_file);
        if certificate_file.exists() {
            let there = std::io::ErrorKind::AlreadyExists.into();
            return Err(CliError::file("write", &certificate_file)(there));
        }
        check_output(&certificate_file)?;
        let file = SecretFile::new(&self.out)?;
        let made = make(Usage::Client, &[self.name])?;
        let key = made.hash()?;
        let mut both = Zeroizing::new(made.key.to_vec());
        both.extend_from_slice(&made.certificate);
        write_output(&certificate_file, &made.certificate)?;
        let path = file.write(&both)?;
        let value = json!({ "key_file": path, "certificate_file": certificate_file, "key": key });
        Report::new(&value, told(&path, &certificate_file, key))
    }
}

fn told(key_file: &Path, certificate_file: &Path, key: Hash32) -> String {
    facts(&[
        ("key", key_file.display().to_string()),
        ("certificate", certificate_file.display().to_string()),
        ("SHA-256 of the key", key.to_string()),
        (
            "next",
            format!(
                "on the node: chancery client add NAME --key {}",
                certificate_file.display()
            ),
        ),
    ])
}

fn shown(client: &ClientView) -> String {
    facts(&[
        ("client", client.name.clone()),
        ("state", client.state.clone()),
        (
            "agent of",
            client.custodian.clone().unwrap_or_else(|| "-".to_owned()),
        ),
        ("since", client.since.clone()),
        ("key", client.key.to_string()),
    ])
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> Self {
        Self::new(FailureKind::Unavailable, chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_key_does_not_go_to_the_node() {
        let file = format!(
            "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n{BEGIN}\npublic\n{END}\n"
        );
        let sent = without_private_key(Zeroizing::new(file.into_bytes()));
        assert_eq!(sent, format!("{BEGIN}\npublic\n{END}\n").into_bytes());
        let der = vec![0x30, 0x82, 0xff];
        assert_eq!(without_private_key(Zeroizing::new(der.clone())), der);
    }
}
