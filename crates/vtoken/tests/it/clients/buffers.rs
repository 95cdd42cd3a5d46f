//! Answers fit the buffers of the hosts that read them.

use openssl::nid::Nid;

use crate::support::{Installation, apdu, ec_parameters, rsa_parameters, tlv};

/// Signatures and decrypted blocks.
const SIGNATURE: usize = 514;
/// Answer to a key generation.
const GENERATION: usize = 1200;
/// Wrapped key.
const WRAPPED: usize = 1500;
/// Content of CExx.
const CERTIFICATE: usize = 4096;

#[test]
fn the_largest_keys() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "970102");
    bench.ok("80520100010100");
    bench.ok(&format!("8052000020{}00", "11".repeat(32)));
    let list = "9110 70717273747580839831333592434541 920100";
    let chr = tlv("5F20", b"UTTEST0123400001");
    let authority = tlv("42", b"UTCA012345600001");
    for (id, parameters, algorithm) in [
        (1, rsa_parameters(4096), 0x33),
        (2, ec_parameters(Nid::SECP521R1), 0x75),
        (3, ec_parameters(Nid::BRAINPOOL_P512R1), 0x75),
    ] {
        let data = format!("5F290100 {authority} {parameters} {chr} {list}");
        let request = bench.ok(&apdu(&format!("0046{id:02X}00"), &data));
        assert!(request.len() <= GENERATION, "{id}: {}", request.len());
        let stored = bench.send(&format!("00B1CE{id:02X}000004540200000000")).0;
        assert!(stored == request && stored.len() <= CERTIFICATE);
        let wrapped = bench.ok(&format!("8072{id:02X}92000000"));
        assert!(wrapped.len() <= WRAPPED, "{id}: {}", wrapped.len());
        for _ in 0..20 {
            let signature = bench.ok(&apdu(&format!("8068{id:02X}{algorithm:02X}"), "68656C6C6F0A"));
            assert!(signature.len() <= SIGNATURE);
        }
    }
}

#[test]
fn garbage_of_any_length_is_answered() {
    let installation = Installation::new();
    let mut bench = installation.ready("a", "");
    for instruction in [
        0x46, 0x48, 0x50, 0x52, 0x54, 0x62, 0x68, 0x72, 0x74, 0x76, 0x78, 0xA4, 0xB1, 0xD7, 0xE4, 0x2A,
    ] {
        for (p1, p2) in [(0, 0), (1, 0xB0), (1, 0x98), (1, 0x84), (2, 0x10)] {
            for filling in [0x00, 0x30, 0x7F, 0x98, 0xFF] {
                let data = vec![filling; 0xFFFF];
                let command = [&[0x80, instruction, p1, p2, 0, 0xFF, 0xFF][..], &data, &[0, 0]].concat();
                let (_, status) = bench.send_bytes(&command);
                assert!(status >= 0x6000, "{instruction:02X}");
            }
        }
    }
    assert_eq!(bench.status("00200081"), 0x9000);
}
