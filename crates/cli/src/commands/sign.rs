//! `sign`: signatures under a lease.

use std::path::PathBuf;

use chancery_api::{FailureKind, HashName, Mechanism, SignatureView, SigningSign};
use chancery_cvc::plain_to_der;
use clap::Args;

use crate::{
    commands::{
        lease::{digests, named, show},
        unlock::{default_mechanism, mechanism_of, signing_key},
        write_output,
    },
    context::Context,
    error::CliError,
    node_link::NodeArgs,
    report::Report,
    table::table,
};

/// Signs digests.
#[derive(Args)]
#[command(
    after_help = "Example: chancery sign fit.itb --signer firmware --out fit.sig\n         \
chancery sign sha256:ba78...15ad --signer firmware --lease 01939d2e\n\
A lease of yours must permit it: chancery unlock request. Files are hashed here; only digests leave this machine. With --out an ECDSA \
signature is written as OpenSSL reads it (DER), with --plain as r | s; in JSON it is r | s."
)]
pub(crate) struct Sign {
    /// What to sign: digests (sha256:HEX) or files
    #[arg(required = true, value_name = "DIGEST|FILE")]
    what: Vec<String>,
    /// The signing key
    #[arg(long, value_name = "NAME")]
    signer: String,
    /// The lease, or how it begins [default: any of yours that fits]
    #[arg(long, value_name = "LEASE")]
    lease: Option<String>,
    /// Hash function for files: sha256, sha384 or sha512
    #[arg(long, default_value = "sha256", value_parser = digests::hash_name)]
    hash: HashName,
    /// How to sign: ecdsa, rsa-pkcs1 or rsa-pss [default: ecdsa or rsa-pkcs1, as the key is]
    #[arg(long, value_parser = mechanism_of)]
    mechanism: Option<Mechanism>,
    /// Write the signature to a file; for one digest only
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write an ECDSA signature as r | s
    #[arg(long, requires = "out")]
    plain: bool,
    /// The same call with the same key gives the same answer
    #[arg(long, value_name = "TEXT")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

impl Sign {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        if self.out.is_some() && self.what.len() != 1 {
            return Err(CliError::Usage("--out is for one signature".to_owned()));
        }
        let wanted: Vec<_> = self
            .what
            .iter()
            .map(|word| digests::of_word(word, self.hash))
            .collect::<Result<_, _>>()?;
        let link = self.node.link(context)?;
        let lease = match &self.lease {
            Some(text) => Some(named::lease(&link, text)?),
            None => None,
        };
        let mechanism = match self.mechanism {
            Some(mechanism) => mechanism,
            None => default_mechanism(&signing_key(&link, &self.signer)?),
        };
        let signatures = link.call(&SigningSign {
            signer: self.signer,
            mechanism,
            digests: wanted,
            lease,
            idempotency_key: self.idempotency_key,
        })?;
        let mut text = text(&signatures);
        if let (Some(path), [signature]) = (&self.out, signatures.as_slice()) {
            let bytes = if mechanism == Mechanism::Ecdsa && !self.plain {
                plain_to_der(&signature.signature.0).map_err(|error| {
                    CliError::new(
                        FailureKind::Internal,
                        format!("the signature cannot be written: {error}"),
                    )
                })?
            } else {
                signature.signature.0.clone()
            };
            write_output(path, &bytes)?;
            text.push_str(&format!(
                "the signature ({}) is in {}\n",
                show::mechanism(mechanism),
                path.display()
            ));
        }
        Report::new(&signatures, text)
    }
}

fn text(signatures: &[SignatureView]) -> String {
    let rows = signatures
        .iter()
        .map(|signature| {
            vec![
                signature.digest.to_string(),
                signature.hsm.clone(),
                signature.lease.to_string(),
                format!("{} bytes", signature.signature.0.len()),
            ]
        })
        .collect();
    table(
        &["DIGEST", "HSM", "LEASE", "SIGNATURE"],
        rows,
        "nothing was signed",
    )
}
