//! `signer create`, `signer certificate`, `signer keys`, `signer key`: keys for signing, which never are a CA's.

use std::path::PathBuf;

use chancery_api::{Base64, SignerCreate, SigningCertificate, SigningKeyView, SigningKeys};
use clap::Args;

use crate::{
    act::Actor,
    commands::{pem_text, read_input, request, unlock::signing_key, write_output},
    context::Context,
    error::CliError,
    node_link::NodeArgs,
    report::Report,
    secrets::ApproverArgs,
    table::table,
};

/// Longest certificate read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Asks for a signing key.
#[derive(Args)]
#[command(
    after_help = "Example: chancery signer create firmware --algorithm rsa:3072 --hsm hsm-a --as alice\n\
The key is generated in the HSM, which must be unlocked. It is for signing, for life: it never becomes a CA's. Each use needs a lease of \
the custodians: chancery unlock request."
)]
pub(crate) struct Create {
    /// Name
    name: String,
    /// Key algorithm: ec:P-256, ec:P-384, ec:P-521, rsa:2048, rsa:3072 or rsa:4096
    #[arg(long, default_value = "ec:P-256", value_name = "ALGORITHM")]
    algorithm: String,
    /// HSM in which the key is generated
    #[arg(long, value_name = "HSM")]
    hsm: String,
    #[command(flatten)]
    approver: ApproverArgs,
}

impl Create {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let opened = context.call(&SignerCreate {
            name: self.name,
            algorithm: self.algorithm,
            hsm: self.hsm,
        })?;
        let Some(manager) = &self.approver.approver else {
            return request::opened(&opened);
        };
        let approver = Actor::new(manager, self.approver.as_pin_file.as_deref());
        request::decided(&request::approve_opened(context, approver, opened.request)?)
    }
}

/// Stores a certificate.
#[derive(Args)]
#[command(after_help = "Example: chancery signer certificate firmware firmware.pem\n\
Programs that use PKCS#11 find it beside the key; jarsigner and sbsign need one.")]
pub(crate) struct Certificate {
    /// The signing key
    name: String,
    /// X.509 certificate for it, PEM or DER
    file: PathBuf,
}

impl Certificate {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let certificate = Base64(read_input(&self.file, LONGEST)?);
        let key = context.call(&SigningCertificate {
            signer: self.name,
            certificate,
        })?;
        Report::new(&key, show(std::slice::from_ref(&key)))
    }
}

/// Shows signing keys.
#[derive(Args)]
#[command(
    after_help = "Example: chancery signer keys\nKeys of CAs are not among them: chancery signer list."
)]
pub(crate) struct Keys {
    #[command(flatten)]
    node: NodeArgs,
}

impl Keys {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let keys = self.node.link(context)?.call(&SigningKeys {})?;
        Report::new(&keys, show(&keys))
    }
}

/// Shows a public key.
#[derive(Args)]
#[command(
    after_help = "Example: chancery signer key firmware --out firmware.pub\n         \
openssl dgst -sha256 -verify firmware.pub -signature fit.sig fit.itb"
)]
pub(crate) struct PublicKey {
    /// The signing key
    name: String,
    /// Write it to a file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

impl PublicKey {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let key = signing_key(&self.node.link(context)?, &self.name)?;
        let pem = pem_text("PUBLIC KEY", &key.public_key.0)?;
        match &self.out {
            None => Ok(Report::raw(pem)),
            Some(path) => {
                write_output(path, pem.as_bytes())?;
                Report::new(
                    &key,
                    format!("the public key of signer {} is in {}", key.name, path.display()),
                )
            }
        }
    }
}

fn show(keys: &[SigningKeyView]) -> String {
    let rows = keys
        .iter()
        .map(|key| {
            let replicas: Vec<String> = key
                .replicas
                .iter()
                .map(|replica| format!("{} ({})", replica.hsm, replica.state))
                .collect();
            vec![
                key.name.clone(),
                key.algorithm.clone(),
                format!("{:02x}", key.key_id),
                key.key_domain.clone(),
                if key.certificate.is_some() { "yes" } else { "no" }.to_owned(),
                crate::table::list(&replicas),
            ]
        })
        .collect();
    table(
        &["SIGNER", "KEY", "ID", "KEY DOMAIN", "CERTIFICATE", "ON"],
        rows,
        "no signing keys yet; see chancery signer create --help",
    )
}
