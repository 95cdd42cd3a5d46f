//! What the tests have in common: pages, and the old tool's mistakes written again.

use std::{fs, path::Path, sync::OnceLock};

use chancery_dkek::{RandomError, SetId, Threshold, commitment::Nonce, page::SharePage, split};
use chancery_schsm::{Kek, KekShare, ShareFile, ShareFileKey};
use serde_json::Value;

use crate::common::Home;

/// Values of a page, as they stand there.
pub(crate) struct Page {
    pub(crate) prime: String,
    pub(crate) value: String,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let field = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once(": ")
                .unwrap()
                .1
                .split("  check")
                .next()
                .unwrap()
                .to_owned()
        };
        Self {
            prime: field("Prime"),
            value: field("Share value"),
            text: text.clone(),
        }
    }
}

/// A home with a share file of ours and the pages of its shares.
pub(crate) struct Shared {
    pub(crate) home: Home,
    pub(crate) file: String,
    pub(crate) kcv: String,
    pub(crate) pages: Vec<String>,
}

/// A set that the program made once for all tests: making one takes seconds.
static MADE: OnceLock<Made> = OnceLock::new();

struct Made {
    home: Home,
    kcv: String,
    pages: Vec<String>,
}

impl Made {
    fn new() -> Self {
        let home = Home::new();
        let (code, made) = home.json(&[
            "dkek",
            "create",
            "backup.pbe",
            "--threshold",
            "2",
            "--shares",
            "4",
            "--page-dir",
            "pages",
            "--without-terminal",
        ]);
        assert_eq!(code, 0, "{made}");
        let pages = made["pages"].as_array().unwrap();
        Self {
            kcv: made["kcv"].as_str().unwrap().to_owned(),
            pages: pages
                .iter()
                .map(|page| page.as_str().unwrap().to_owned())
                .collect(),
            home,
        }
    }
}

impl Shared {
    /// A set of four shares, two of which are needed, in a home of its own.
    pub(crate) fn new() -> Self {
        Self::within(Home::new())
    }

    /// The same in this home.
    pub(crate) fn within(home: Home) -> Self {
        let made = MADE.get_or_init(Made::new);
        let (from, to) = (made.home.dir.path(), home.dir.path());
        fs::create_dir(to.join("pages")).unwrap();
        for name in made
            .pages
            .iter()
            .map(String::as_str)
            .chain(["backup.pbe", "backup.commitments.json"])
        {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
        Self {
            file: to.join("backup.pbe").display().to_string(),
            kcv: made.kcv.clone(),
            pages: made.pages.clone(),
            home,
        }
    }

    pub(crate) fn page(&self, id: usize) -> Page {
        Page::read(&self.home.dir.path().join(&self.pages[id - 1]))
    }

    /// `--share-file PAGE` for each of these ids.
    pub(crate) fn shares(&self, ids: &[usize]) -> Vec<&str> {
        ids.iter()
            .flat_map(|id| ["--share-file", self.pages[id - 1].as_str()])
            .collect()
    }

    pub(crate) fn inspect(&self, ids: &[usize]) -> (i32, Value) {
        self.home
            .json(&[&["dkek", "inspect", self.file.as_str()], &*self.shares(ids)].concat())
    }
}

/// What the old tool does when it makes shares, with plain integers: ids in decimal, numbers without leading zero bytes.
pub(crate) fn old_shares(secret: u64, slope: u64, shares: u64) -> Vec<String> {
    const PRIME: u128 = 0xE28C_4E2A_93CC_A877;
    let hex = |number: u128| {
        let bytes = number.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(":")
    };
    (1..=shares)
        .map(|x| {
            let value = (u128::from(slope) * u128::from(x) + u128::from(secret)) % PRIME;
            format!(
                "Prime       : {}\nShare ID    : {x}\nShare value : {}\n\n",
                hex(PRIME),
                hex(value)
            )
        })
        .collect()
}

/// A page of another set, whose file nobody ever made.
pub(crate) fn foreign_page(home: &Home) -> String {
    let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|error| RandomError(error.to_string()));
    let how = Threshold::new(2, 4).unwrap();
    let (_, shares) = split(how, &mut fill).unwrap();
    let page = SharePage {
        set: SetId([0x0F; 8]),
        how,
        share: &shares[1],
        nonce: &Nonce::new([0xF0; 16]),
        salt: [1; 8],
        kcv: [2; 8],
    };
    home.private("foreign.txt", &page.secret_text())
}

/// Passwords of the old tool with the keys that they give with its salt. They were derived by a C program of a few lines with
/// OpenSSL's MD5; deriving them takes seconds.
const OLD_KEYS: [(u64, &str); 2] = [
    (
        0x0092_FE84_53AD_89FF,
        "2b242afc2c3e2d42ec3a2f73b04cf2729a75ab5b7eb36e4d0bc23742fd321a1dd303f96617c4eeb40cecafe9cb0eb7d4",
    ),
    (
        0x2792_FE84_53AD_89FF,
        "605e265951eb401f8706a7bfaf3b120c1abfa3981648a142691e40c61c88acf3ebcb5db48131578014ed293b5ab21686",
    ),
];

/// Key and IV of a share file from hexadecimal digits.
pub(crate) fn file_key(digits: &str) -> ShareFileKey {
    let (mut key, mut iv) = ([0; 32], [0; 16]);
    let (first, second) = digits.split_at(64);
    hex::decode_to_slice(first, &mut key).unwrap();
    hex::decode_to_slice(second, &mut iv).unwrap();
    ShareFileKey::from_parts(key, iv)
}

/// A share file as the old tool makes it: all eight bytes of the password are used.
pub(crate) fn old_file(home: &Home, name: &str, secret: u64) -> (String, String) {
    let share = KekShare::new([0x3C; 32]);
    let (_, key) = OLD_KEYS.iter().find(|(known, _)| *known == secret).unwrap();
    let file = ShareFile::seal(&share, *b"old salt", &file_key(key));
    let path = home.dir.path().join(name);
    fs::write(&path, file.to_bytes()).unwrap();
    (path.display().to_string(), Kek::from(share).kcv().to_string())
}

/// A file of the repository's test data.
pub(crate) fn testdata(name: &str) -> String {
    fs::read_to_string(format!("{}/../../testdata/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A share file from its hexadecimal form in the test data.
pub(crate) fn share_file(home: &Home, name: &str) -> String {
    let path = home.dir.path().join("given.pbe");
    let text: String = testdata(name).split_whitespace().collect();
    fs::write(&path, hex::decode(text).unwrap()).unwrap();
    path.display().to_string()
}
