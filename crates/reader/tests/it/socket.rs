//! Several clients of one token.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::common::{ATR, Echo};
use chancery_iso7816::Transport as _;
use chancery_reader::{
    Inserted, Stop,
    socket::{
        LONGEST_PATH, Offer, SocketError, SocketPathError, SocketReader, SocketToken,
        wire::{self, Answer, Failure, Request},
    },
};
use tempfile::TempDir;

/// A long wait that is not used up.
const LONG: Duration = Duration::from_secs(60);
const VERIFY: [u8; 4] = [0, 0x20, 0, 0x81];
const OTHER: [u8; 4] = [0, 0x84, 0, 0];

struct Served {
    _dir: TempDir,
    path: PathBuf,
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Served {
    fn new<T: Inserted + 'static>(offer: Offer<T>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("readers/one.sock");
        let reader = SocketReader::bind(&path).unwrap();
        let stop = Stop::new();
        let ending = stop.clone();
        let thread = thread::spawn(move || reader.serve("one", offer, &ending).unwrap());
        Self {
            _dir: dir,
            path,
            stop,
            thread,
        }
    }

    fn client(&self) -> SocketToken {
        SocketToken::connect(&self.path).unwrap()
    }

    fn end(self) {
        self.stop.stop();
        self.ended();
    }

    fn ended(self) {
        self.thread.join().unwrap();
        assert!(!self.path.exists(), "the socket is gone with its server");
    }
}

fn verified(token: &mut SocketToken) -> bool {
    token.transmit(&OTHER).unwrap()[0] == 1
}

#[test]
fn the_token_is_reset_between_two_holders_and_only_then() {
    let (token, resets) = Echo::new();
    let served = Served::new(Offer::Token(token));
    let mut first = served.client();
    assert_eq!((first.name(), first.atr()), ("one", &ATR[..]));
    assert!(first.begin(LONG).unwrap(), "whatever was before is forgotten");
    assert!(!first.begin(LONG).unwrap(), "it is held already");
    first.transmit(&VERIFY).unwrap();
    first.end().unwrap();
    assert!(!first.begin(LONG).unwrap(), "nobody was there meanwhile");
    assert!(verified(&mut first));
    first.end().unwrap();

    let mut second = served.client();
    assert!(second.begin(LONG).unwrap());
    assert!(!verified(&mut second));
    second.transmit(&VERIFY).unwrap();
    // An end without a word is an end.
    drop(second);
    assert!(first.begin(LONG).unwrap(), "another one was there");
    assert!(!verified(&mut first));
    first.transmit(&VERIFY).unwrap();
    first.reset().unwrap();
    assert!(!verified(&mut first));
    first.end().unwrap();

    let before = resets.load(Ordering::SeqCst);
    drop(first);
    let mut third = served.client();
    while resets.load(Ordering::SeqCst) == before {
        // Who leaves takes what it presented along, even when nobody comes.
        assert_eq!(third.status().unwrap().waiting, 0);
    }
    served.end();
    assert!(third.begin(LONG).is_err());
}

#[test]
fn a_token_that_is_not_held_is_not_used() {
    let served = Served::new(Offer::Token(Echo::new().0));
    let mut token = served.client();
    assert!(token.transmit(&OTHER).is_err());
    assert!(token.reset().is_err());
    token.begin(LONG).unwrap();
    let mut other = served.client();
    assert!(other.transmit(&OTHER).is_err());
    token.transmit(&OTHER).unwrap();
    served.end();
    let error = token.transmit(&OTHER).unwrap_err();
    assert!(error.is_lost(), "{error}");
}

#[test]
fn who_waits_too_long_is_told_who_holds_it() {
    let served = Served::new(Offer::Token(Echo::new().0));
    let mut holder = served.client();
    holder.begin(LONG).unwrap();
    let mut second = served.client();
    let status = second.status().unwrap();
    assert_eq!(
        (status.server, status.holder, status.waiting),
        (std::process::id(), Some(std::process::id()), 0)
    );
    let error = second.begin(Duration::from_millis(50)).unwrap_err();
    assert!(
        matches!(error, SocketError::Busy { pid } if pid == std::process::id()),
        "{error}"
    );
    let waiting = thread::spawn(move || {
        second.begin(LONG).unwrap();
        second
    });
    while holder.status().unwrap().waiting == 0 {
        thread::yield_now();
    }
    holder.end().unwrap();
    // The one that waited is next, whoever asks meanwhile.
    let mut second = waiting.join().unwrap();
    assert!(holder.begin(Duration::ZERO).is_err());
    assert!(!verified(&mut second));
    served.end();
}

#[test]
fn one_client_pulls_it_under_all_of_them() {
    let (token, begun, go_on) = Echo::gated();
    let served = Served::new(Offer::Token(token));
    let mut holder = served.client();
    holder.begin(LONG).unwrap();
    let busy = thread::spawn(move || holder.transmit(&[0, 0x99, 0, 0]));
    begun.recv().unwrap();
    let mut waiting = served.client();
    let waiting = thread::spawn(move || waiting.begin(LONG));
    let mut looker = served.client();
    while looker.status().unwrap().waiting == 0 {
        thread::yield_now();
    }
    let unplugging = thread::spawn(move || looker.unplug());
    assert!(waiting.join().unwrap().is_err());
    unplugging.join().unwrap().unwrap();
    go_on.send(()).unwrap();
    assert!(busy.join().unwrap().unwrap_err().is_lost());
    served.ended();
}

#[test]
fn a_token_that_fails_is_told_apart_from_one_that_is_busy() {
    let served = Served::new(Offer::Token(Echo::new().0));
    let mut token = served.client();
    token.begin(LONG).unwrap();
    let error = token.transmit(&[0, 0x77, 0, 0]).unwrap_err();
    assert!(error.is_lost() && error.to_string().contains("pulled"), "{error}");
    served.end();
}

#[test]
fn a_token_in_pcscd_says_so_and_can_be_unplugged() {
    let offer = Offer::<chancery_reader::WithAtr<Echo>>::Elsewhere {
        place: "pcscd, port 35963".into(),
    };
    let served = Served::new(offer);
    let mut token = served.client();
    let error = token.begin(LONG).unwrap_err();
    assert!(
        error.to_string().contains("plugged into pcscd, port 35963"),
        "{error}"
    );
    assert!(token.transmit(&OTHER).is_err());
    assert_eq!(
        token.status().unwrap().elsewhere.as_deref(),
        Some("pcscd, port 35963")
    );
    token.unplug().unwrap();
    served.ended();
}

#[test]
fn the_socket_is_private_and_replaces_only_a_dead_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("readers/one.sock");
    assert!(matches!(
        SocketToken::connect(&path),
        Err(SocketError::NotServed { .. })
    ));
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    let reader = SocketReader::bind(&path).unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    drop(reader);
    // What a killed server leaves.
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(
        SocketToken::connect(&path),
        Err(SocketError::NotServed { .. })
    ));
    drop(SocketReader::bind(&path).unwrap());
    fs::write(&path, "mine").unwrap();
    assert!(SocketReader::bind(&path).is_err());
    assert!(!fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    fs::remove_file(&path).unwrap();
    fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o750)).unwrap();
    let error = SocketReader::bind(&path).unwrap_err().to_string();
    assert!(error.contains("0750"), "{error}");
}

#[test]
fn a_path_no_socket_can_have_is_refused_with_its_length() {
    let path = Path::new("/tmp").join("d".repeat(LONGEST_PATH)).join("one.sock");
    let length = path.as_os_str().len();
    let error = SocketReader::bind(&path).unwrap_err().to_string();
    assert!(
        error.contains(&length.to_string()) && error.contains("shorter"),
        "{error}"
    );
    assert!(matches!(
        SocketToken::connect(&path),
        Err(SocketError::Path(SocketPathError::TooLong { .. }))
    ));
}

#[test]
fn who_does_not_speak_the_language_is_cut_off_and_nobody_else() {
    let served = Served::new(Offer::Token(Echo::new().0));
    let mut good = served.client();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 0],
        &[0xFF; 16],
        &[0, 0, 0, 1, 0x03],
        &[0, 0, 0, 1, 0x55],
        &[0, 0],
    ] {
        let mut stream = UnixStream::connect(&served.path).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Nothing, or a connection that was reset because not all was read.
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, [0; 0], "{bytes:02X?}");
    }
    let mut stream = UnixStream::connect(&served.path).unwrap();
    wire::write(&mut stream, &Request::Hello { version: 2 }.encode()).unwrap();
    let message = wire::read(&mut stream).unwrap().unwrap();
    assert!(matches!(
        Answer::parse(&message),
        Ok(Answer::Failed {
            failure: Failure::Version,
            ..
        })
    ));
    good.begin(LONG).unwrap();
    good.transmit(&OTHER).unwrap();
    served.end();
}

#[test]
fn a_server_that_does_not_speak_the_language_is_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("one.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let answers: [&[u8]; 4] = [
        &[0, 0, 0, 1, 0x83],
        &[0, 0, 0, 3, 0x81, 1, 9],
        &[0, 0, 0, 4, 0x81, 9, 0, 0],
        &[0xFF; 8],
    ];
    let server = thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            wire::read(&mut stream).unwrap();
            stream.write_all(answer).unwrap();
        }
    });
    for answer in answers {
        let error = SocketToken::connect(&path).unwrap_err();
        assert!(
            matches!(error, SocketError::Protocol { .. } | SocketError::Version { .. }),
            "{answer:02X?}: {error}"
        );
    }
    server.join().unwrap();
}

#[test]
fn the_connection_one_too_many_is_told_so() {
    let served = Served::new(Offer::Token(Echo::new().0));
    let mut clients: Vec<_> = (0..64).map(|_| served.client()).collect();
    let error = SocketToken::connect(&served.path).unwrap_err();
    assert!(error.to_string().contains("64"), "{error}");
    clients.pop();
    // The server sees the end of one when it gets to it.
    while SocketToken::connect(&served.path).is_err() {
        thread::yield_now();
    }
    served.end();
}
