//! A token opened for work with its keys, and what comes in and goes out.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
};

use chancery_api::FailureKind;
use chancery_driver::{AppletAccess, Authenticated};
use chancery_node::SystemClock;
use chancery_schsm::KeyId;
use chancery_tokens::{
    archive::Archive,
    catalogue::{Catalogue, Description, Hold, KeyName, read_description},
    journal::Journal,
    reach::{Intent, TokenTransport},
    transfer::Noted,
};
use chancery_vtoken::atomic;
use clap::Args;
use serde_json::{Value, json};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    failure::card,
    pins::{UserPinArgs, unlock},
    reaching::{Chosen, journal_directory, select},
};
use crate::{context::Context, error::CliError, report::Report};

/// Which key on which token, and the PIN.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeyArgs {
    /// Device id, label, or name of a virtual token
    #[arg(value_name = "TOKEN")]
    pub(crate) token: String,
    /// The key: its id, its label, label:TEXT, or id:HEX for its CKA_ID
    #[arg(value_name = "KEY", value_parser = key_name)]
    pub(crate) key: KeyName,
    #[command(flatten)]
    pub(crate) pin: UserPinArgs,
}

/// Where data comes from and goes to.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct StreamArgs {
    /// Read from this file [default: standard input]
    #[arg(long = "in", value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Write to this file, for its owner alone [default: standard output; hexadecimal on a terminal]
    #[arg(long = "out", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Most bytes read of one input.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// For clap: what a person calls a key.
pub(crate) fn key_name(text: &str) -> Result<KeyName, String> {
    text.parse()
        .map_err(|error: chancery_tokens::catalogue::KeyNameError| error.to_string())
}

/// For clap: a key id, 1 to 255.
pub(crate) fn key_id(text: &str) -> Result<KeyId, String> {
    match text.parse::<u8>() {
        Ok(number @ 1..) => Ok(KeyId(number)),
        _ => Err("key ids go from 1 to 255".to_owned()),
    }
}

/// Bytes of one argument; to clap a bare vector is several.
#[derive(Clone, Debug, Default)]
pub(crate) struct HexBytes(pub(crate) Vec<u8>);

/// For clap: bytes in hexadecimal digits.
pub(crate) fn hex_bytes(text: &str) -> Result<HexBytes, String> {
    hex::decode(text)
        .map(HexBytes)
        .map_err(|_| "hexadecimal digits in pairs are expected".to_owned())
}

/// Reaches a token, selects it, and presents the PIN.
pub(crate) fn open(
    context: &Context,
    wanted: Option<&str>,
    pin: &UserPinArgs,
) -> Result<(Chosen, Authenticated<TokenTransport>), CliError> {
    let (chosen, token) = select(context, wanted, Intent::Change)?;
    let token = unlock(context, &chosen, token, pin)?;
    Ok((chosen, token))
}

/// The key a person means, with its description. By id it costs one command, by name a list.
pub(crate) fn choose(
    chosen: &Chosen,
    token: &mut impl AppletAccess,
    wanted: &KeyName,
) -> Result<(KeyId, Description), CliError> {
    let called = chosen.to_string();
    let failed = |error: chancery_driver::Error| card(&called, &error);
    if let KeyName::Id(id) = wanted {
        return Ok((*id, read_description(token, *id).map_err(failed)?));
    }
    let listing = Catalogue::new().look(token, Hold::Lost).map_err(failed)?;
    let key = listing.find(wanted)?;
    Ok((key.id, key.description.clone()))
}

/// Where attestations are kept; the data directory is made when it is missing.
pub(crate) fn archive(context: &Context) -> Result<Archive, CliError> {
    Ok(Archive::below(context.data_or_new()?.path()))
}

/// Where work of several steps is noted.
pub(crate) fn journal(context: &Context) -> Result<Journal, CliError> {
    Ok(Journal::new(journal_directory(context)?))
}

/// What work on a token is noted under.
pub(crate) fn noted<'a>(chosen: &'a Chosen, called: &'a str, journal: &'a Journal) -> Noted<'a> {
    Noted {
        journal,
        device: chosen.device(),
        token: called,
        now: now().unix_timestamp(),
    }
}

/// Now.
pub(crate) fn now() -> OffsetDateTime {
    SystemClock.now()
}

/// A file, or standard input for none and for `-`, whole.
pub(crate) fn read_input(path: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let (mut source, named): (Box<dyn io::Read>, &Path) = match path {
        Some(path) if path != Path::new("-") => (
            Box::new(File::open(path).map_err(CliError::file("read", path))?),
            path,
        ),
        _ => (Box::new(io::stdin().lock()), Path::new("standard input")),
    };
    source
        .by_ref()
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(CliError::file("read", named))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(CliError::new(
            FailureKind::Invalid,
            format!("{} has more than {MOST_BYTES} bytes", named.display()),
        ));
    }
    Ok(bytes)
}

/// Gives bytes out: to the file named, or to standard output; with `--json` as hexadecimal digits under `name`.
pub(crate) fn deliver(
    context: &Context,
    name: &str,
    bytes: &[u8],
    output: Option<&Path>,
    mut view: Value,
) -> Result<Report, CliError> {
    let mut text = String::new();
    match output {
        Some(path) => {
            write_private(path, bytes)?;
            text = format!("{} bytes are in {}", bytes.len(), path.display());
            view["file"] = json!(path.display().to_string());
        }
        None if context.json() => view[name] = json!(hex::encode(bytes)),
        None if io::stdout().is_terminal() => text = hex::encode(bytes),
        None => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)
                .and_then(|()| out.flush())
                .map_err(CliError::Output)?;
        }
    }
    Report::new(&view, text)
}

/// Writes a file that its owner alone may read, whole or not at all; one of that name is replaced.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        // A pipe or a device is written to, not replaced.
        return fs::write(path, bytes).map_err(CliError::file("write", path));
    }
    atomic::replace(path, bytes).map_err(CliError::file("write", path))
}

/// Asks whether to go on; `refused` when nobody can be asked.
pub(crate) fn confirm(context: &Context, lines: &[String], question: &str) -> Result<bool, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::Usage(format!(
            "nobody can be asked ({question}): use --yes"
        )));
    }
    for line in lines {
        context.tell(line);
    }
    context.tell(format!("{question} Type yes to go on:"));
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(CliError::Output)?;
    Ok(line.trim() == "yes")
}
