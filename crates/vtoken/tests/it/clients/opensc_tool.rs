//! sc-hsm-tool of OpenSC.

use openssl::nid::Nid;

use crate::clients::opensc::{Version, bind, read, write};
use crate::support::{self, Bench, Installation, ec_parameters, generate};

const SELECT: &str = "00A404000BE82B0601040181C31F020100";
const VERIFY: &str = "0020008106363438323139";

/// `--initialize --dkek-shares 1`, then `--import-dkek-share`, which does not log in.
fn initialise(bench: &mut Bench) {
    bind(bench, Version::V023);
    bench.dialogue(&[
        ("00200088", 0x6A88, ""),
        ("00200081", 0x6A88, ""),
        ("8052000000", 0x6D00, ""),
        (
            "805000001C 80020001 8106363438323139 82083537363231383830 910103 920101",
            0x9000,
            "",
        ),
        (VERIFY, 0x9000, ""),
        (
            "00D72F0318 54020000 5312 3010 020100 8007 54657374546F6B 03020520",
            0x9000,
            "",
        ),
        (SELECT, 0x9000, "6F0A 820178 8505 0001 000401"),
        (
            "8052000020 E430483F7EDCDA52EE9A6997317D27775C0A91624E77B0BBE20376421B573D41 00",
            0x9000,
            "0100FCD76B667D1B2EBF",
        ),
    ]);
}

#[test]
fn status() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    initialise(&mut bench);
    bind(&mut bench, Version::Current);
    bench.dialogue(&[
        ("00200088", 0x63CF, ""),
        ("00200081", 0x63C3, ""),
        ("8052000000", 0x9000, "0100FCD76B667D1B2EBF"),
        ("8054000004", 0x6D00, ""),
    ]);
}

#[test]
fn a_key_is_wrapped_and_comes_back_on_another_token() {
    let installation = Installation::new();
    let (mut one, mut two) = (installation.token("one"), installation.token("two"));
    initialise(&mut one);
    initialise(&mut two);
    bind(&mut one, Version::V023);
    one.ok(VERIFY);
    generate(
        &mut one,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTTEST00001",
        "",
    );
    let description =
        support::bytes("A01C 3004 0C026B31 3008 040110 0303062080 A10A 3008 3002 0400 02020100");
    write(&mut one, "C401", &description);

    bind(&mut one, Version::V023);
    one.ok(VERIFY);
    let blob = one.ok("80720192000000");
    assert!(blob.len() <= 1500);
    let (prkd, request) = (
        read(&mut one, Version::V023, "C401").unwrap(),
        read(&mut one, Version::V023, "CE01").unwrap(),
    );
    assert_eq!(prkd, description);

    for version in [Version::Current, Version::V023] {
        bind(&mut two, version);
        two.ok(VERIFY);
        let there = two.status("00E4020002CC01");
        match version {
            Version::Current => {
                assert_eq!(there, 0x6A82);
                for (index, piece) in blob.chunks(230).enumerate() {
                    let data = format!("5402{:04X}{}", index * 230, support::tlv("53", piece));
                    two.ok(&format!("00D72F10{:02X}{data}", data.len() / 2));
                }
                two.ok("80740193");
            }
            Version::V023 => {
                assert_eq!(there, 0x9000, "from the first round");
                two.ok(&format!("8074019300{:04X}{}", blob.len(), hex::encode(&blob)));
            }
        }
        write(&mut two, "C401", &prkd);
        write(&mut two, "CE01", &request);
        let (_, key) = crate::clients::host::request(&read(&mut two, version, "CE01").unwrap());
        let signature = two.ok("8068017300000668656C6C6F0A0200");
        assert!(crate::clients::host::verifies(&key, b"hello\n", &signature));
    }
}

#[test]
fn a_token_initialised_through_pkcs11() {
    let installation = Installation::new();
    let mut bench = installation.token("a");
    bind(&mut bench, Version::V023);
    bench.dialogue(&[
        (
            "8050000019 80020001 8106353736323138 82083537363231383830 910103",
            0x9000,
            "",
        ),
        ("0020008106353736323138", 0x9000, ""),
        (
            "00D72F0318 54020000 5312 3010 020100 8007 54657374546F6B 03020520",
            0x9000,
            "",
        ),
        ("002C00810E 3537363231383830 363438323139", 0x9000, ""),
        (SELECT, 0x9000, "*"),
        (VERIFY, 0x9000, ""),
        ("8052000000", 0x6D00, ""),
    ]);
}
