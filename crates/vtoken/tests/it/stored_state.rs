//! What earlier versions stored is opened, and all of it is there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Bench, SELECT, VERIFY, apdu};
use chancery_vtoken::{AtRest, VirtualToken};

/// A copy of a stored token that may be written to.
fn stored(name: &str, dir: &Path) -> Bench {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let path = dir.join("token");
    std::fs::create_dir(&path).unwrap();
    for file in ["about", "key", "state.log"] {
        std::fs::copy(source.join(file), path.join(file)).unwrap();
    }
    let secret = dir.join("secret");
    std::fs::copy(source.join("secret"), &secret).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let at_rest = AtRest::MachineSecret(secret);
    let token = VirtualToken::open(&path, &at_rest).unwrap();
    Bench { path, at_rest, token }
}

#[test]
fn the_first_version() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = stored("state-1", dir.path());
    // Twice: as it was written, and as this version has written it anew.
    for left in [3u8, 2] {
        bench.dialogue(&[
            (SELECT, 0x9000, "6F0A 820178 85050001......"),
            ("8052000000", 0x9000, "0100 630DCD2966C43366"),
            ("8052000100", 0x9000, "0201 0000000000000000"),
            ("8052000200", 0x6A88, ""),
            ("8052000300", 0x6A86, ""),
            ("8054000004", 0x9000, "03030200"),
            ("00200081", 0x63C3, ""),
            (VERIFY, 0x9000, ""),
            (
                "00B12F03000004540200000000",
                0x6282,
                "3010 020100 8007 54657374546F6B 03020520",
            ),
            ("80580000000000", 0x9000, "CC00 CC01 CC02 CC03 CA01 CE01"),
            (
                "00A4000002CC0100",
                0x9000,
                &format!(
                    "6F.. 8102.... 820108 8302CC01 A50D 9004{:08X} 91027392 920100",
                    left + 1
                ),
            ),
            ("00A4000002CC0200", 0x9000, "6F0B 8102.... 820108 8302CC02"),
            (&apdu("80680173", "68656C6C6F0A"), 0x9000, "30*"),
            (&apdu("80680233", "68656C6C6F0A"), 0x9000, "*"),
            (&apdu("80780399", "74657374"), 0x9000, "0243FEAF*"),
        ]);
        bench = bench.replug();
    }
}
