//! Another maker's program attaches a token to a node of ours: `ram-client` of the sc-hsm-embedded project, unchanged.
//!
//! Nothing of it is here. The variable `RAM_CLIENT` names the program; without it the test says so and does nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "common/background.rs"]
mod background;
mod common;
#[path = "common/cupboard.rs"]
mod cupboard;
#[path = "common/pcscd.rs"]
mod pcscd;

use std::{env, fs, net::TcpListener};

use background::Background;
use common::Home;
use pcscd::{Pcscd, Plugged, until};
use rustix::process::getuid;

/// It trusts what the system trusts and nothing else: in a mount namespace of its own the system trusts the node. `$0` is the
/// node's certificate, the arguments are the program and its arguments.
const TRUSTING: &str = r#"
set -e
cp "$0" trusted.pem
mount -t tmpfs none /etc/ssl/certs
cp trusted.pem /etc/ssl/certs/ca-certificates.crt
exec "$@"
"#;

/// What opens a channel: MANAGE SECURITY ENVIRONMENT, GENERAL AUTHENTICATE.
const OPENING: [[u8; 3]; 2] = [[0x22, 0x41, 0xA4], [0x86, 0x00, 0x00]];
/// What comes before the first: SELECT, READ of the device's certificates.
const BEFORE: [[u8; 3]; 2] = [[0xA4, 0x04, 0x00], [0xB1, 0x2F, 0x02]];

/// Starts the node and waits until it listens.
fn serve(home: &Home, address: &str) -> Background {
    Background::start(home.command(&["serve", "--listen", address]), "the node is ready")
}

/// Headers of the commands that the program says it sent.
fn commands(log: &str) -> Vec<[u8; 4]> {
    log.lines()
        .filter_map(|line| line.strip_prefix("C: "))
        .map(|digits| {
            let byte = |index: usize| u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).unwrap();
            [byte(0), byte(1), byte(2), byte(3)]
        })
        .collect()
}

#[test]
fn it_attaches_a_token_that_is_unlocked_and_signs() {
    let Some(program) = env::var_os("RAM_CLIENT") else {
        eprintln!("skipped: RAM_CLIENT names no ram-client of the sc-hsm-embedded project");
        return;
    };
    let program = fs::canonicalize(program).unwrap();
    let home = Home::ready();
    home.run(&["stop"]).ok();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let node = serve(&home, &address);
    home.run(&["hsm", "lock"]);
    home.run(&["hsm", "detach", "hsm-a", "--as", "alice"]).ok();
    let pcscd = Pcscd::start();
    let plugged = Plugged::into(&pcscd, &home, &["hsm-a"]);
    cupboard::add(&home);
    home.run(&["ticket", "create", "cupboard", "--ticket-file", "path"])
        .ok();
    let path = fs::read_to_string(home.dir.path().join("path")).unwrap();
    let url = format!("https://{address}{}", path.trim());

    let certificate = home.data().join("network/node.pem").display().to_string();
    let program = program.display().to_string();
    let mut words = vec![
        "--mount",
        "sh",
        "-c",
        TRUSTING,
        &certificate,
        &program,
        "-v",
        &url,
    ];
    if !getuid().is_root() {
        words.insert(0, "--map-root-user");
    }
    let log_file = pcscd.file("ram-client.log");
    let start = || {
        pcscd
            .command("unshare", &words)
            .stdout(fs::File::create(&log_file).unwrap())
            .spawn()
            .map(Background::from)
            .unwrap()
    };
    let log = || fs::read_to_string(&log_file).unwrap_or_default();
    let mut client = start();
    until(
        "its first command came",
        || !commands(&log()).is_empty() || connected(&home),
        log,
    );
    cupboard::attach(&home).ok();
    for custodian in ["alice", "bob"] {
        home.run(&["hsm", "unlock", "hsm-a", "--as", custodian]).ok();
    }
    let number = home.approved();
    home.run(&["request", "sign", &number, "--as", "carol"]).ok();
    let (reference, out) = (format!("#{number}"), home.out("remote.pem"));
    home.run(&["cert", "export", &reference, "--out", out.to_str().unwrap()])
        .ok();
    let verified = home.openssl_verify("remote.pem");
    assert!(verified.status.success(), "{verified:?}");

    // Cut off, it is told why.
    home.run(&["connector", "revoke", "cupboard"]).ok();
    assert_eq!(client.wait().code(), Some(1));
    let told = log();
    assert!(told.contains("(-1) the connector was revoked"), "{told}");
    // By its own account: no PIN came, and in clear nothing but what opens a channel, the first or another.
    let seen = commands(&told);
    let is_authentication = |header: &[u8; 4]| header[1] == 0x86;
    let first = seen
        .iter()
        .position(is_authentication)
        .expect("chip authentication");
    assert!(seen.len() > first + 10, "{told}");
    for (index, header) in seen.iter().enumerate() {
        let [class, instruction, p1, p2] = *header;
        assert!(!matches!(instruction, 0x20 | 0x24 | 0x2C), "{header:02X?}");
        let what = [instruction, p1, p2];
        let opens = OPENING.contains(&what) || index < first && BEFORE.contains(&what);
        assert!(opens || class & 0x0C == 0x0C, "{header:02X?} in clear: {told}");
    }
    // A ticket opens one session.
    let again = start().wait();
    assert_eq!(again.code(), Some(1));
    assert!(
        log().contains("URL is invalid or not found on server"),
        "{}",
        log()
    );
    drop(plugged);
    drop(node);
}

/// Whether the node has the token's side.
fn connected(home: &Home) -> bool {
    let (_, connectors) = home.json(&["connector", "list"]);
    connectors[0]["state"] == "connected"
}
