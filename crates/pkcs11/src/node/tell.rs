//! Where people and programs learn how a request stands: standard error or the terminal, the system's log, a status file.

use std::{
    os::unix::net::UnixDatagram,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use chancery_api::{DigestValue, LeaseId};
use serde::Serialize;

use crate::{files, notice::Notices};

/// Which ways there are.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    /// Whether standard error is left alone.
    pub quiet: bool,
    /// Socket of the system's log.
    pub log: Option<PathBuf>,
    /// Folder of status files, `SERIAL.json`, one for each slot.
    pub status: Option<PathBuf>,
}

/// Tells people and programs.
pub struct Teller {
    notices: Notices,
    channels: Channels,
}

/// A status file. Names are never changed; more may come.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    /// Process that asks.
    pub(super) pid: u32,
    /// Its command line.
    pub(super) command: &'a str,
    /// Host and port of the node.
    pub(super) node: &'a str,
    pub(super) signer: &'a str,
    /// `waiting`, `permitted`, `refused`, `timed-out`, ... or `failed`.
    pub(super) state: &'a str,
    pub(super) lease: Option<LeaseId>,
    pub(super) digests: &'a [DigestValue],
    pub(super) further: u64,
    pub(super) agreed: &'a [String],
    pub(super) could: &'a [String],
    pub(super) needed: u8,
    /// Seconds for which custodians are still waited for.
    pub(super) wait_seconds: u64,
    /// For people.
    pub(super) message: &'a str,
    /// When this was written, seconds since 1970.
    pub(super) updated: u64,
}

/// Facility authpriv, severity notice (RFC 3164 section 4.1.1).
const PRIORITY: u32 = 10 * 8 + 5;
/// Longest text sent to the system's log, bytes.
const LONGEST: usize = 1000;

impl Teller {
    /// By these ways.
    #[must_use]
    pub fn new(channels: Channels) -> Self {
        Self {
            notices: Notices::new(channels.quiet),
            channels,
        }
    }

    /// A line at the terminal.
    pub(super) fn say(&self, line: &str) {
        self.notices.say(line);
    }

    /// A line in the system's log.
    pub(super) fn log(&self, line: &str) {
        let Some(path) = &self.channels.log else { return };
        let text: String = line
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .take(LONGEST)
            .collect();
        let message = format!("<{PRIORITY}>chancery-pkcs11[{}]: {text}", std::process::id());
        // Machines without a system log have nobody to tell; one that does not listen is not waited for.
        if let Ok(socket) = UnixDatagram::unbound()
            && socket.set_nonblocking(true).is_ok()
        {
            let _ = socket.send_to(message.as_bytes(), path);
        }
    }

    /// Writes the status file of a slot anew. A file that cannot be written stops nobody from signing.
    pub(super) fn status(&self, serial: &str, status: &Status<'_>) {
        let Some(folder) = &self.channels.status else {
            return;
        };
        let status = Status {
            updated: seconds_since_1970(),
            ..*status
        };
        if let Ok(mut text) = serde_json::to_vec(&status) {
            text.push(b'\n');
            let _ = files::replace(folder, format!("{serial}.json").as_ref(), &text);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an edge: readers of the file see how old it is"
)]
fn seconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl std::fmt::Debug for Teller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Teller({:?})", self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_gets_one_line_with_its_priority() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        let teller = Teller::new(Channels {
            quiet: true,
            log: Some(path),
            status: None,
        });
        teller.log("refused\nroot: all is well");
        let mut got = [0; 200];
        let length = socket.recv(&mut got).unwrap();
        let expected = format!(
            "<85>chancery-pkcs11[{}]: refused?root: all is well",
            std::process::id()
        );
        assert_eq!(&got[..length], expected.as_bytes());
    }

    #[test]
    fn a_status_file_is_whole_and_the_users_own() {
        use std::{fs, os::unix::fs::PermissionsExt as _};

        let folder = tempfile::tempdir().unwrap();
        let status = folder.path().join("chancery/pkcs11");
        let teller = Teller::new(Channels {
            quiet: true,
            log: None,
            status: Some(status.clone()),
        });
        let mut said = Status {
            pid: 7,
            command: "mkimage",
            node: "n:1",
            signer: "firmware",
            state: "waiting",
            lease: None,
            digests: &[],
            further: 2,
            agreed: &[],
            could: &["bob".to_owned()],
            needed: 2,
            wait_seconds: 9,
            message: "waits",
            updated: 0,
        };
        teller.status("00aa", &said);
        said.state = "refused";
        teller.status("00aa", &said);
        let file = status.join("00aa.json");
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert_eq!(read["state"], "refused");
        assert!(read["updated"].as_u64().unwrap() > 0);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&status).unwrap().count(), 1, "nothing is left over");
    }
}
