//! A whole quorum dialogue in which the test itself, with OpenSSL, is every custodian.

use openssl::nid::Nid;

use super::scheme::{Custodian, Scheme};
use super::*;
use crate::secret::SecretBytes;
use crate::state::{Change, DeviceRecord};

const STATUS: &str = "8054000004";
const CHALLENGE: &str = "0084000008";
const HSM: &str = "UTCHDHSMHSM00000";

/// A command with data, extended.
fn long(header: &str, data: &[u8]) -> String {
    format!("{header}00{:04X}{}0000", data.len(), hex::encode(data))
}

/// An HSM of the scheme, initialised for 2 of 3.
fn hsm(scheme: &Scheme) -> Bench {
    let mut bench = Bench::new();
    let device = scheme.device(HSM);
    let record = DeviceRecord {
        private_key: SecretBytes::new(device.key.private_key().to_vec_padded(32).unwrap()),
        chr: HSM.to_owned(),
        certificates: [device.certificate.as_bytes(), device.issuer.as_bytes()].concat(),
    };
    bench.token.card.commit(&[Change::Personalise(record)]).unwrap();
    bench.ok(SELECT);
    bench.ok("8050000012 80020000 8208 3537363231383830 93020302");
    bench
}

fn data(bench: &mut Bench, command: &str) -> Vec<u8> {
    let answer = bench.token.process(&bytes(command));
    assert!(status_of(&answer).is_ok(), "{command}");
    answer[..answer.len() - 2].to_vec()
}

#[test]
fn two_of_three_with_keys_of_openssl() {
    let scheme = Scheme::new();
    let mut bench = hsm(&scheme);
    let device = scheme.device("UTCHDALICEA00000");
    let custodian = |number, nid| Custodian::new(&device, number, nid);
    let (alice, bob) = (
        custodian(1, Nid::BRAINPOOL_P256R1),
        custodian(2, Nid::X9_62_PRIME256V1),
    );
    let (carol, wide) = (custodian(3, Nid::SECP256K1), custodian(4, Nid::SECP384R1));
    let double = Custodian::new(&device, 1, Nid::BRAINPOOL_P256R1);

    let register = |custodian: &Custodian| long("80540000", &custodian.request);
    assert_eq!(
        bench.status(&register(&alice)),
        0x6A88,
        "her device is not known yet"
    );
    let issuer = device.issuer.chr().as_bytes();
    bench.ok(&format!(
        "002281B6{:02X}83{:02X}{}",
        issuer.len() + 2,
        issuer.len(),
        hex::encode(issuer)
    ));
    bench.ok(&long("002A00BE", &device.certificate.content()));
    let upwards = long("002A00BE", &scheme.root.content());
    assert_eq!(bench.status(&upwards), 0x6A80, "an issuer certifies no root");
    assert_eq!(data(&mut bench, &register(&alice)), [3, 2, 2, 0]);
    assert_eq!(bench.status(&register(&alice)), 0x6985, "twice");
    assert_eq!(
        bench.status(&register(&double)),
        0x6985,
        "her name with another key"
    );
    assert_eq!(bench.status(&register(&wide)), 0x6A80, "384 bits");
    assert_eq!(data(&mut bench, &register(&bob)), [3, 1, 2, 0]);
    assert_eq!(data(&mut bench, &register(&carol)), [3, 0, 2, 0]);
    assert_eq!(bench.status(GENERATE), 0x6982);

    bench.ok(&alice.select());
    assert_eq!(bench.status(&alice.answer(HSM, &[0; 8])), 0x6985, "no challenge");
    let challenge = data(&mut bench, CHALLENGE);
    let answer = alice.answer(HSM, &challenge);
    bench.ok(&answer);
    assert_eq!(bench.status(&answer), 0x6985, "replayed");
    bench.ok(CHALLENGE);
    assert_eq!(bench.status(&answer), 0x6300, "replayed for another challenge");

    let challenge = data(&mut bench, CHALLENGE);
    bench.ok(&alice.answer(HSM, &challenge));
    assert_eq!(
        data(&mut bench, STATUS),
        [3, 0, 2, 1],
        "the same custodian is one"
    );
    bench.ok(&carol.select());
    let challenge = data(&mut bench, CHALLENGE);
    assert_eq!(
        bench.status(&carol.answer("UTCHDOTHERS00000", &challenge)),
        0x6300,
        "for another HSM"
    );
    let challenge = data(&mut bench, CHALLENGE);
    assert_eq!(
        bench.status(&bob.answer(HSM, &challenge)),
        0x6300,
        "in the name of another"
    );
    let replaced = data(&mut bench, CHALLENGE);
    let challenge = data(&mut bench, CHALLENGE);
    assert_eq!(
        bench.status(&carol.answer(HSM, &replaced)),
        0x6300,
        "the challenge was replaced"
    );
    assert_eq!(
        bench.status(&carol.answer(HSM, &challenge)),
        0x6985,
        "and used up"
    );
    assert_eq!(bench.status(&wide.select()), 0x6A88);
    assert_eq!(
        data(&mut bench, STATUS),
        [3, 0, 2, 1],
        "no failure takes a success away"
    );
    assert_eq!(bench.status(GENERATE), 0x6982);

    let challenge = data(&mut bench, CHALLENGE);
    bench.ok(&carol.answer(HSM, &challenge));
    assert_eq!(data(&mut bench, STATUS), [3, 0, 2, 2]);
    bench.ok(GENERATE);
    bench.ok(SIGN);
    bench.ok(SELECT);
    assert_eq!(bench.status(SIGN), 0x6982);
}
