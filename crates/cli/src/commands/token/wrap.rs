//! `token wrap` and `token unwrap`.

use std::path::PathBuf;

use chancery_driver::KeyCertificate;
use chancery_schsm::{KeyContainer, KeyId, container, fid};
use chancery_tokens::transfer::{ImportLabels, Parcel, Wrapped, install, wrap_to_file};
use clap::Args;
use serde_json::json;

use super::{
    arrival::{installed, open_for},
    failure::card,
    kek::ShareArgs,
    key_failure::{parcel, transfer},
    opening::{HexBytes, KeyArgs, archive, choose, hex_bytes, journal, key_id, noted, now, open, read_input},
    pins::UserPinArgs,
    reaching::Chosen,
};
use crate::{context::Context, error::CliError, progress::Progress, report::Report};

/// Writes a key to a file, wrapped under the key encryption key of its domain.
#[derive(Args)]
#[command(after_help = "Example: chancery token wrap alice signing signing.wky\n\
The file holds the wrapped key, its description and its certificate or request, as sc-hsm-tool (.bin) and the Smart Card Shell \
(.wky) write it: both names mean the same format. Whoever has the file and all shares has the key.")]
pub(crate) struct Wrap {
    #[command(flatten)]
    key: KeyArgs,
    /// The file; one that exists is not overwritten [default: key-ID.bin]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Puts a wrapped key on a token.
#[derive(Args)]
#[command(after_help = "Example: chancery token unwrap bob signing.wky\n\
Reads .bin of sc-hsm-tool and .wky of the Smart Card Shell. Before anything is sent, the key domain of the file is compared with \
those of the token, and its parts with each other, and it is said when the token has the key already; afterwards the key proves by a test use that it is the one its certificate \
is for. With --share the wrapped key is opened here and compared, too: the only way to verify an AES key.")]
pub(crate) struct Unwrap {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the key is to stand, 1 to 255 [default: the lowest free id]
    #[arg(long, value_parser = key_id)]
    id: Option<KeyId>,
    /// Describe the key anew, with this label
    #[arg(long)]
    label: Option<String>,
    /// CKA_ID of the new description in hexadecimal digits
    #[arg(long, value_name = "HEX", value_parser = hex_bytes, requires = "label")]
    cka_id: Option<HexBytes>,
    #[command(flatten)]
    shares: ShareArgs,
    #[command(flatten)]
    pin: UserPinArgs,
}

impl Wrap {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = open(context, Some(&self.key.token), &self.key.pin)?;
        let called = chosen.to_string();
        let (id, _) = choose(&chosen, &mut token, &self.key.key)?;
        let file = self
            .file
            .unwrap_or_else(|| PathBuf::from(format!("key-{id}.bin")));
        let journal = journal(context)?;
        let _progress = Progress::start(&format!("{called} wraps key {id}"));
        let done = wrap_to_file(&mut token, id, &file, &noted(&chosen, &called, &journal))
            .map_err(|error| transfer(&called, &error))?;
        if let Some(file) = &done.file {
            let noted = token
                .read_file(fid::DEVICE_CERTIFICATES)
                .map_err(|error| card(&called, &error))
                .and_then(|chain| {
                    let chain = chain.unwrap_or_default();
                    Ok(archive(context)?.keep_wrapped(&done.container, &chain, file, now())?)
                });
            tell_unnoted(context, noted.err());
        }
        wrapped(&chosen, &done)
    }
}

impl Unwrap {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let from = self.file.display().to_string();
        let content = read_input(Some(&self.file))?;
        let container = KeyContainer::parse(&content).map_err(|error| parcel(&from, &error.into()))?;
        let labels = self.label.map(|label| ImportLabels {
            label,
            cka_id: self.cka_id.map(|id| id.0),
        });
        // What is wrong with the file is said before anybody types a password.
        Parcel::from_container(&container, None, None, &from, None).map_err(|error| parcel(&from, &error))?;
        let kek = self.shares.kek(context)?;
        let path = std::path::absolute(&self.file).ok();
        let ready = Parcel::from_container(&container, kek.as_ref(), labels, &from, path)
            .map_err(|error| parcel(&from, &error))?;
        drop(kek);
        let (chosen, mut token) = open_for(context, &self.token, &ready, &self.pin)?;
        let called = chosen.to_string();
        let journal = journal(context)?;
        let arrived = install(&mut token, &ready, self.id, &noted(&chosen, &called, &journal))
            .map_err(|error| transfer(&called, &error))?;
        let noted = archive(context).and_then(|archive| Ok(archive.keep(&mut token, arrived.id, now())?));
        tell_unnoted(context, noted.err());
        installed(&chosen, &arrived)
    }
}

/// The copy is made: that its passport will not know of it is no reason to fail.
fn tell_unnoted(context: &Context, error: Option<CliError>) {
    if let Some(error) = error {
        context.tell(format!(
            "(that there is this copy could not be noted: {})",
            error.text().trim()
        ));
    }
}

/// Says what was written.
pub(super) fn wrapped(chosen: &Chosen, done: &Wrapped) -> Result<Report, CliError> {
    let file = done.file.as_ref().map(|path| path.display().to_string());
    let parts: Vec<&str> = done
        .container
        .order()
        .iter()
        .map(|part| match part {
            container::Part::Blob => "key",
            container::Part::Description => "description",
            container::Part::Certificate => match done.container.certificate() {
                Some(bytes) => match KeyCertificate::recognise(bytes.to_vec()) {
                    KeyCertificate::Request(_) => "request",
                    _ => "certificate",
                },
                None => "certificate",
            },
        })
        .collect();
    let text = format!(
        "key {} {:?} of {chosen} is in {}: {}\nwrapped under key domain KCV {}\n",
        done.id,
        done.label,
        file.as_deref().unwrap_or("-"),
        parts.join(", "),
        done.kcv
    );
    Report::new(
        &json!({
            "token": chosen.device(),
            "id": done.id.0,
            "label": done.label,
            "file": file,
            "holds": parts,
            "kcv": done.kcv.to_string(),
            "proven": done.proven.is_some(),
        }),
        text,
    )
}
