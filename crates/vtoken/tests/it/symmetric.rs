//! AES keys: generation, CBC, CMAC, derivation, wrapping; judged by OpenSSL.

use crate::support::{Bench, Installation, SELECT, VERIFY, apdu, ec_parameters, generate};
use chancery_schsm::{AlgorithmList, Kek, KeyMaterial, blob};
use openssl::md::Md;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey};
use openssl::pkey_ctx::PkeyCtx;
use openssl::sign::Signer;
use openssl::symm::{Cipher, Crypter, Mode};

const KEK: [u8; 32] = [7; 32];

/// A token whose only key domain has the key encryption key above.
fn ready(installation: &Installation, name: &str) -> Bench {
    let mut bench = installation.ready(name, "920101");
    bench.ok(&format!("8052000020{}00", hex::encode(KEK)));
    bench
}

/// Brings a known key into the token.
fn import(bench: &mut Bench, id: u8, key: &[u8], algorithms: &[u8]) {
    let material = KeyMaterial::Aes {
        key: key.to_vec().into(),
    };
    let list = AlgorithmList::from_ids(algorithms).unwrap();
    let sealed = blob::seal(&Kek::new(KEK), &material, &list, [9; 8]).unwrap();
    bench.ok(&apdu(&format!("8074{id:02X}93"), &hex::encode(sealed)));
}

fn cbc(key: &[u8], mode: Mode, input: &[u8]) -> Vec<u8> {
    let cipher = match key.len() {
        16 => Cipher::aes_128_cbc(),
        24 => Cipher::aes_192_cbc(),
        _ => Cipher::aes_256_cbc(),
    };
    let mut crypter = Crypter::new(cipher, mode, key, Some(&[0; 16])).unwrap();
    crypter.pad(false);
    let mut out = vec![0; input.len() + 16];
    let length = crypter.update(input, &mut out).unwrap();
    let rest = crypter.finalize(&mut out[length..]).unwrap();
    out.truncate(length + rest);
    out
}

fn cmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let cipher = match key.len() {
        16 => Cipher::aes_128_cbc(),
        24 => Cipher::aes_192_cbc(),
        _ => Cipher::aes_256_cbc(),
    };
    let key = PKey::cmac(&cipher, key).unwrap();
    let mut signer = Signer::new_without_digest(&key).unwrap();
    signer.update(message).unwrap();
    signer.sign_to_vec().unwrap()
}

fn hkdf(key: &[u8], info: &[u8]) -> Vec<u8> {
    let mut context = PkeyCtx::new_id(Id::HKDF).unwrap();
    context.derive_init().unwrap();
    context.set_hkdf_md(Md::sha256()).unwrap();
    context.set_hkdf_key(key).unwrap();
    context.set_hkdf_salt(&[]).unwrap();
    context.add_hkdf_info(info).unwrap();
    let mut out = vec![0; 32];
    context.derive(Some(&mut out)).unwrap();
    out
}

fn cipher(bench: &mut Bench, id: u8, algorithm: u8, input: &[u8]) -> Vec<u8> {
    bench.ok(&apdu(
        &format!("8078{id:02X}{algorithm:02X}"),
        &hex::encode(input),
    ))
}

#[test]
fn every_operation_with_known_keys() {
    let installation = Installation::new();
    let mut bench = ready(&installation, "a");
    for (id, length) in [(1, 16u8), (2, 24), (3, 32)] {
        let key: Vec<u8> = (0x40..0x40 + length).collect();
        import(&mut bench, id, &key, &[]);
        for blocks in [1u8, 2, 128, 200] {
            let input: Vec<u8> = (0..u16::from(blocks) * 16)
                .map(|byte| byte.to_be_bytes()[1])
                .collect();
            let encrypted = cipher(&mut bench, id, 0x10, &input);
            assert_eq!(encrypted, cbc(&key, Mode::Encrypt, &input), "{length} {blocks}");
            assert_eq!(cipher(&mut bench, id, 0x11, &encrypted), input);
            let decrypted = cipher(&mut bench, id, 0x11, &input);
            assert_eq!(decrypted, cbc(&key, Mode::Decrypt, &input), "{length} {blocks}");
        }
        for size in [0, 1, 15, 16, 17, 31, 32, 33, 5000] {
            let message = vec![0xA5; size];
            assert_eq!(
                cipher(&mut bench, id, 0x18, &message),
                cmac(&key, &message),
                "{length} {size}"
            );
        }
        for label in [&b"test"[..], b"x", &[0xFF; 300]] {
            assert_eq!(cipher(&mut bench, id, 0x99, label), hkdf(&key, label), "{length}");
        }
    }
    let derived = hex::encode_upper(cipher(&mut bench, 3, 0x99, b"test"));
    assert!(derived.starts_with("0243FEAF"), "{derived}");
}

#[test]
fn generated_keys_work_leave_and_come_back() {
    let installation = Installation::new();
    let (mut one, mut two) = (ready(&installation, "one"), ready(&installation, "two"));
    let block = "00".repeat(16);
    let mut seen = Vec::new();
    for (id, size, length) in [(1u8, 0xB0, 16), (2, 0xB1, 24), (3, 0xB2, 32)] {
        one.dialogue(&[
            (&format!("0048{id:02X}{size:02X}08 9106 101118999293"), 0x9000, ""),
            (
                &format!("00A4000002CC{id:02X}00"),
                0x9000,
                &format!("6F.. 8102{length:04X} 820108 8302CC{id:02X} A50B 9106101118999293 920100"),
            ),
            (&format!("00A4000002C4{id:02X}00"), 0x6A82, ""),
            (&format!("00A4000002CE{id:02X}00"), 0x6A82, ""),
        ]);
        let blob = one.ok(&format!("8072{id:02X}92000000"));
        assert_eq!(blob[8], 0x0F);
        two.ok(&apdu(&format!("8074{:02X}93", id + 8), &hex::encode(&blob)));
        let select = format!("00A4000002CC{:02X}00", id + 8);
        let fields = format!(
            "6F.. 8102{length:04X} 820108 8302CC{:02X} A50B 9106101118999293 920100",
            id + 8
        );
        two.dialogue(&[(&select, 0x9000, &fields)]);
        let here = one.ok(&format!("8078{id:02X}1010{block}00"));
        let there = two.ok(&format!("8078{:02X}1010{block}00", id + 8));
        assert_eq!(here, there);
        assert!(!seen.contains(&here));
        seen.push(here);
    }
    // Without Le 32 and 48: an AES-256 key without a list gives a blob of 89 bytes.
    one.ok("004804B200");
    assert_eq!(one.ok("80720492000000").len(), 89);
    let mut one = one.replug();
    one.ok(SELECT);
    one.ok(VERIFY);
    assert_eq!(one.ok(&format!("8078011010{block}00")), seen[0]);
}

#[test]
fn commands_as_hosts_send_them() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    bench.dialogue(&[
        ("004822B206910410111899", 0x9000, ""),
        (
            &format!("8078221020{}00", "11".repeat(32)),
            0x9000,
            &format!("{}*", ".".repeat(64)),
        ),
        ("8078229904 74657374 00", 0x9000, &".".repeat(64)),
        ("0048 2300", 0x6A86, ""),
        // another kind of key in the same place
        ("004822B000", 0x9000, ""),
        ("00A4000002CC2200", 0x9000, "6F0B 81020010 820108 8302CC22"),
        ("00E4020002CC22", 0x9000, ""),
        (&format!("8078221010{}00", "11".repeat(16)), 0x6A88, ""),
    ]);
}

#[test]
fn refusals() {
    let installation = Installation::new();
    let mut bench = ready(&installation, "a");
    generate(
        &mut bench,
        1,
        &ec_parameters(Nid::X9_62_PRIME256V1),
        "UTTEST00001",
        "",
    );
    let block = "11".repeat(16);
    let mark = bench.token.mark();
    bench.dialogue(&[
        ("004800B200", 0x6A86, ""),
        ("004802B300", 0x6A86, ""),
        ("004802AF00", 0x6A86, ""),
        ("004802B2 02 9100", 0x6A80, ""),
        ("004802B2 03 900100", 0x6A80, ""),
        ("004802B2 06 900400000000", 0x6A80, ""),
        ("004802B2 06 910110910111", 0x6A80, ""),
        ("004802B2 03 920101", 0x6A86, ""),
        ("004802B2 03 930101", 0x6A80, ""),
        ("004802B2 01 91", 0x6A80, ""),
        ("00A4000002CC0200", 0x6A82, ""),
        (&format!("8078011010{block}00"), 0x6A81, ""),
    ]);
    assert_eq!(bench.token.mark(), mark);
    bench.dialogue(&[
        ("004802B2 0A 900400000002 91021018", 0x9000, ""),
        (&format!("8078021110{block}00"), 0x6A81, ""),
        (&format!("8078021210{block}00"), 0x6A81, ""),
        ("8078021000", 0x6A80, ""),
        (&format!("807802100F{}00", "11".repeat(15)), 0x6A80, ""),
        (&format!("8078021011{}00", "11".repeat(17)), 0x6A80, ""),
        (&format!("8068022010{block}00"), 0x6A81, ""),
        (&format!("8062022110{block}00"), 0x6A81, ""),
        ("80720292000000", 0x6985, ""),
        // refusals cost no use
        (&format!("8078021010{block}00"), 0x9000, &".".repeat(32)),
        ("8078021800", 0x9000, &".".repeat(32)),
        (&format!("8078021010{block}00"), 0x6984, ""),
        ("004803B200", 0x9000, ""),
        (&format!("8068032010{block}00"), 0x6A81, ""),
        (&format!("8062038010{block}00"), 0x6A81, ""),
        ("80760304 02 98 01", 0x6A81, ""),
        ("8078039900", 0x6A80, ""),
        (SELECT, 0x9000, "*"),
        ("004802B200", 0x6982, ""),
        (&format!("8078031010{block}00"), 0x6982, ""),
    ]);
}
