//! A token opened for work with its keys, and what comes in and goes out.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, PermissionsExt as _},
    },
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
use crate::{commands::typed_line, context::Context, error::CliError, report::Report};

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

impl StreamArgs {
    /// Refuses to take data from standard input when the PIN comes from there: where one ends would be a guess.
    pub(crate) fn refuse_beside(&self, pin: &UserPinArgs) -> Result<(), CliError> {
        let standard = Path::new("-");
        let piped = self.input.as_deref().is_none_or(|path| path == standard);
        if piped && pin.pin_file.as_deref() == Some(standard) {
            return Err(CliError::Usage(
                "the PIN comes from standard input, so the data cannot: name its file with --in FILE"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// Most bytes read of one input.
const MOST_BYTES: usize = 64 * 1024 * 1024;

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
    let (source, named) = source(path)?;
    read_whole(source, named)
}

/// As [`read_input`], of what nobody else may read: a file that others may read is refused.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let (source, named) = source(Some(path))?;
    refuse_shared(&source, named)?;
    read_whole(source, named)
}

/// Refuses what a file holds if others may read it. Pipes and standard input are as private as who made them.
pub(crate) fn require_private(path: &Path) -> Result<(), CliError> {
    let (source, named) = source(Some(path))?;
    refuse_shared(&source, named)
}

fn refuse_shared(file: &File, named: &Path) -> Result<(), CliError> {
    let metadata = file.metadata().map_err(CliError::file("read", named))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(CliError::with_remedy(
        FailureKind::Invalid,
        format!("others may read {}", named.display()),
        format!("chmod 600 {}", named.display()),
    ))
}

fn source(path: Option<&Path>) -> Result<(File, &Path), CliError> {
    match path {
        Some(path) if path != Path::new("-") => {
            Ok((File::open(path).map_err(CliError::file("read", path))?, path))
        }
        _ => {
            let named = Path::new("standard input");
            // Standard input itself: the buffer in front of it is never wiped.
            let input = io::stdin().as_fd().try_clone_to_owned();
            Ok((File::from(input.map_err(CliError::file("read", named))?), named))
        }
    }
}

/// Reads to the end. A buffer that is too small is wiped when a larger one takes its place.
fn read_whole(mut source: File, named: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let mut bytes = Zeroizing::new(vec![0; 64 * 1024]);
    let mut length = 0;
    loop {
        if length == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; 2 * length]);
            if let Some(start) = larger.get_mut(..length) {
                start.copy_from_slice(&bytes);
            }
            bytes = larger;
        }
        match source.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CliError::file("read", named)(error)),
        }
        if length > MOST_BYTES {
            return Err(CliError::new(
                FailureKind::Invalid,
                format!("{} has more than {MOST_BYTES} bytes", named.display()),
            ));
        }
    }
    bytes.truncate(length);
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

/// Writes a file that its owner alone may read, whole or not at all; a file of that name is replaced. A pipe or a device is
/// written to, by whatever name; a symbolic link to a file is refused: who made it chose where the content would go.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = CliError::file("write", path);
    let there = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return atomic::replace(path, bytes).map_err(failed);
        }
        Err(error) => return Err(failed(error)),
    };
    if there.is_file() {
        return atomic::replace(path, bytes).map_err(failed);
    }
    let refused = || {
        CliError::with_remedy(
            FailureKind::Invalid,
            format!(
                "{} is neither a file nor a pipe: nothing was written",
                path.display()
            ),
            "name another file",
        )
    };
    if !there.is_symlink() && !is_stream(there) {
        return Err(refused());
    }
    // Without making or emptying what a link leads to.
    let mut target = match OpenOptions::new().write(true).open(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(refused()),
        Err(error) => return Err(CliError::file("write", path)(error)),
    };
    let opened = target.metadata().map_err(CliError::file("write", path))?;
    if !is_stream(opened.file_type()) {
        return Err(refused());
    }
    target
        .write_all(bytes)
        .and_then(|()| target.flush())
        .map_err(CliError::file("write", path))
}

/// A pipe, a terminal, another device that takes bytes.
pub(crate) fn is_stream(kind: FileType) -> bool {
    kind.is_fifo() || kind.is_char_device()
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
    let line = typed_line(&format!("{question} Type yes to go on:\n"))?;
    Ok(line.trim() == "yes")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_given_out_goes_to_files_and_pipes_and_not_where_links_lead() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        write_private(&path, b"first").unwrap();
        write_private(&path, b"again").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"again");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (link, dangling) = (directory.path().join("link"), directory.path().join("dangling"));
        symlink(&path, &link).unwrap();
        symlink(directory.path().join("nowhere"), &dangling).unwrap();
        for refused in [link.as_path(), &dangling, directory.path()] {
            assert!(
                write_private(refused, b"secret").is_err(),
                "{}",
                refused.display()
            );
        }
        assert_eq!(fs::read(&path).unwrap(), b"again");
        assert!(!directory.path().join("nowhere").exists());
        let null = directory.path().join("null");
        symlink("/dev/null", &null).unwrap();
        write_private(&null, b"secret").unwrap();
        write_private(Path::new("/dev/null"), b"secret").unwrap();
    }

    #[test]
    fn inputs_come_whole_and_secrets_from_private_files_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in");
        let content: Vec<u8> = (0u8..=255).cycle().take(300_000).collect();
        fs::write(&path, &content).unwrap();
        for (mode, private) in [(0o600, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(*read_input(Some(&path)).unwrap(), content);
            assert_eq!(read_private(&path).is_ok(), private, "{mode:o}");
        }
        let null = Path::new("/dev/zero");
        assert!(read_input(Some(null)).is_err(), "more than anybody needs");
    }
}
