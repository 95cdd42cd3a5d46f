//! Hostile input, full disks and pulled plugs, with a look inside.

mod channel;
mod counters;
mod custodians;
mod disk;
mod domains;
mod hostile;
#[path = "../../tests/it/custodians/scheme.rs"]
mod scheme;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use time::macros::date;

use super::*;
use crate::replay::{ReplayFiles, Survival};
use crate::state::State;
use crate::{Factory, TokenName};

const SELECT: &str = "00A404000BE82B0601040181C31F020100";
const VERIFY: &str = "0020008106363438323139";
const WRONG_PIN: &str = "0020008106303030303030";
const INITIALISE: &str = "805000001C80020001810636343832313982083537363231383830910103920101";
/// The share of the key domain.
const SHARE: &str = "8052000020000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F00";
/// GENERATE on P-256 as an unmodified host sends it, key 01.
const GENERATE: &str = "00460100000100 5F290100 4209555443413030303031 7F4981DA 060A04007F00070202020203
    8120FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
    8220FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFC
    83205AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    8441046B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
    4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
    8520FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    870101 5F201044454E4B303130303030313030303031 0000";
const SIGN: &str = "806801732068656C6C6F0A68656C6C6F0A68656C6C6F0A68656C6C6F0A68656C6C6F0A313200";

/// A token on a disk in memory.
struct Bench {
    _secret: TempDir,
    at_rest: AtRest,
    disk: ReplayFiles,
    token: VirtualToken,
}

fn directory() -> PathBuf {
    Path::new("/tokens/one").to_owned()
}

impl Bench {
    fn new() -> Self {
        let secret = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(secret.path().join("secret"));
        let disk = ReplayFiles::new();
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let today = date!(2026 - 11 - 21);
        let factory = Factory::open_or_create_on(files, Path::new("/factory"), &at_rest, today).unwrap();
        factory
            .create(Path::new("/tokens"), &TokenName::new("one").unwrap(), today)
            .unwrap();
        let token = open(&disk, &at_rest);
        Self {
            _secret: secret,
            at_rest,
            disk,
            token,
        }
    }

    /// Initialised with one key domain, its only share there, selected, PIN verified.
    fn ready() -> Self {
        let mut bench = Self::without_share();
        bench.ok(SHARE);
        bench
    }

    fn without_share() -> Self {
        let mut bench = Self::new();
        bench.ok(SELECT);
        bench.ok(INITIALISE);
        bench.ok(VERIFY);
        bench
    }

    fn ok(&mut self, command: &str) {
        assert_eq!(self.status(command), 0x9000, "{command}");
    }

    fn status(&mut self, command: &str) -> u16 {
        status_of(&self.token.process(&bytes(command))).0
    }

    fn state(&self) -> &State {
        self.token.card.state()
    }
}

fn status_of(response: &[u8]) -> StatusWord {
    StatusWord(u16::from_be_bytes(*response.last_chunk::<2>().unwrap()))
}

fn open(disk: &ReplayFiles, at_rest: &AtRest) -> VirtualToken {
    VirtualToken::open_on(Arc::new(disk.clone()), &directory(), at_rest).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}
