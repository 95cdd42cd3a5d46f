//! Public key authentication: registration, the quorum, and everything somebody could try instead.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use chancery_cvc::{
    AuthenticatedRequest, Certificate, CertificateBody, CvKey, EcPublicKey, PublicKey, Reference, Validity,
    VirtualCode, der_to_plain,
};
use openssl::ec::EcKey;
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::Private;
use openssl::sha::sha256;
use support::{Bench, Installation, SELECT, SO_PIN, apdu, bytes, ec_parameters, generate, tlv};
use time::macros::date;

/// A custodian of the tests: a key made here, in a request that a token vouches for.
struct Custodian {
    key: EcKey<Private>,
    chr: String,
    request: Vec<u8>,
}

/// Whoever signs for a device: its name and key, made by the test.
struct Device {
    name: Reference,
    key: EcKey<Private>,
    certificate: Certificate,
    issuer: Certificate,
}

const STATUS: &str = "8054000004";

fn new_key(nid: Nid) -> EcKey<Private> {
    EcKey::generate(&openssl::ec::EcGroup::from_curve_name(nid).unwrap()).unwrap()
}

fn cv_key(key: &EcKey<Private>) -> CvKey {
    CvKey::with_sha256(PublicKey::Ec(EcPublicKey::from_ec_key(key).unwrap()))
}

fn plain(key: &EcKey<Private>, message: &[u8]) -> Vec<u8> {
    let der = EcdsaSig::sign(&sha256(message), key).unwrap().to_der().unwrap();
    let bits = usize::try_from(key.group().order_bits()).unwrap();
    der_to_plain(&der, bits.div_ceil(8)).unwrap()
}

fn request(device: &Device, key: &EcKey<Private>, chr: &str) -> Vec<u8> {
    let body =
        CertificateBody::key_request(&device.name, &Reference::new(chr).unwrap(), cv_key(key)).unwrap();
    let inner = body.sign(|message| Ok::<_, ()>(plain(key, message))).unwrap();
    let outer = |message: &[u8]| Ok::<_, ()>(plain(&device.key, message));
    AuthenticatedRequest::build(&inner, &device.name, outer)
        .unwrap()
        .content()
        .to_vec()
}

impl Custodian {
    fn new(device: &Device, number: u8, nid: Nid) -> Self {
        let chr = format!("{}{number:05}", device.name.holder());
        let key = new_key(nid);
        let request = request(device, &key, &chr);
        Self { key, chr, request }
    }

    fn select(&self) -> String {
        let name = tlv("83", self.chr.as_bytes());
        format!("002281A4{:02X}{name}", name.len() / 2)
    }

    fn answer(&self, device: &str, challenge: &[u8]) -> String {
        let signature = plain(&self.key, &[device.as_bytes(), challenge].concat());
        format!("00820000{:02X}{}", signature.len(), hex::encode(signature))
    }
}

/// A device whose chain ends at the issuer of this installation: the test takes the keys of a factory of its own,
/// as the factory of an installation gives none away.
struct Scheme {
    root: Certificate,
    root_key: EcKey<Private>,
    code: VirtualCode,
}

impl Scheme {
    fn new() -> Self {
        let code = VirtualCode::parse("TEST22").unwrap();
        let root_key = new_key(Nid::BRAINPOOL_P256R1);
        let body = CertificateBody::root(&code.root_name().unwrap(), cv_key(&root_key), validity()).unwrap();
        let root = body
            .sign(|message| Ok::<_, ()>(plain(&root_key, message)))
            .unwrap();
        Self { root, root_key, code }
    }

    fn device(&self, name: &str) -> Device {
        let issuer_key = new_key(Nid::BRAINPOOL_P256R1);
        let issuer_name = self.code.issuer_name().unwrap();
        let body = CertificateBody::issuer(self.root.chr(), &issuer_name, &cv_key(&issuer_key), validity());
        let issuer = body
            .sign(|message| Ok::<_, ()>(plain(&self.root_key, message)))
            .unwrap();
        let key = new_key(Nid::BRAINPOOL_P256R1);
        let name = Reference::new(name).unwrap();
        let body = CertificateBody::device(&issuer_name, &name, &cv_key(&key), validity());
        let certificate = body
            .sign(|message| Ok::<_, ()>(plain(&issuer_key, message)))
            .unwrap();
        Device {
            name,
            key,
            certificate,
            issuer,
        }
    }
}

fn validity() -> Validity {
    Validity::new(date!(2026 - 01 - 01), date!(2036 - 01 - 01)).unwrap()
}

/// The name in a token's device certificate.
fn device_name(bench: &mut Bench) -> String {
    let chain = bench.send("00B12F02000004 54020000 0000").0;
    chancery_cvc::DeviceChain::parse(&chain)
        .unwrap()
        .device_name()
        .unwrap()
        .to_string()
}

fn choose_verifier(name: &str) -> String {
    let name = tlv("83", name.as_bytes());
    format!("002281B6{:02X}{name}", name.len() / 2)
}

fn verify_certificate(certificate: &Certificate) -> String {
    apdu("002A00BE", &hex::encode(certificate.content()))
}

/// A token with a PIN that makes custodian keys, and its certificate known to `hsm`.
fn custodian_token(installation: &Installation, name: &str, hsm: &mut Bench) -> Bench {
    let mut token = installation.ready(name, "");
    introduce(&mut token, hsm);
    token
}

/// Walks the chain of `token` on `hsm` as hosts do.
fn introduce(token: &mut Bench, hsm: &mut Bench) {
    let chain = token.send("00B12F02000004 54020000 0000").0;
    let chain = chancery_cvc::DeviceChain::parse(&chain).unwrap();
    let device = chain.device_certificate().unwrap();
    hsm.dialogue(&[
        (&choose_verifier(device.chr().as_str()), 0x6A88, ""),
        (&choose_verifier(device.car().as_str()), 0x9000, ""),
        (&verify_certificate(device), 0x9000, ""),
        (&choose_verifier(device.chr().as_str()), 0x9000, ""),
    ]);
}

/// A custodian key made on a token; answers with its name and the content of its request.
fn custodian_key(token: &mut Bench, id: u8, nid: Nid) -> (String, Vec<u8>) {
    let name = device_name(token);
    let chr = format!("{}{id:05}", &name[..name.len() - 5]);
    let request = generate(token, id, &ec_parameters(nid), &chr, "910173");
    (
        chr,
        AuthenticatedRequest::parse(&request).unwrap().content().to_vec(),
    )
}

/// What the token answers to a challenge of the HSM.
fn answer_of(token: &mut Bench, id: u8, hsm: &str, challenge: &[u8]) -> String {
    let message = [hsm.as_bytes(), challenge].concat();
    let der = token.ok(&apdu(&format!("8068{id:02X}73"), &hex::encode(message)));
    format!("0082000040{}", hex::encode(der_to_plain(&der, 32).unwrap()))
}

fn choose_custodian(chr: &str) -> String {
    let name = tlv("83", chr.as_bytes());
    format!("002281A4{:02X}{name}", name.len() / 2)
}

fn initialise(bench: &mut Bench, objects: &str) {
    bench.ok(SELECT);
    bench.ok(&apdu("80500000", &format!("{objects} 8208{SO_PIN}")));
}

fn register(request: &[u8]) -> String {
    apdu("80540000", &hex::encode(request))
}

/// An HSM with quorum 2 of 3 and three custodian tokens, all registered.
struct Quorum {
    hsm: Bench,
    name: String,
    tokens: Vec<(Bench, String)>,
}

impl Quorum {
    fn new(installation: &Installation, options: &str, pin: &str) -> Self {
        let mut hsm = installation.token("hsm");
        initialise(&mut hsm, &format!("8002{options} {pin} 93020302"));
        let name = device_name(&mut hsm);
        let mut tokens = Vec::new();
        for (number, token_name) in ["alice", "bob", "carol"].into_iter().enumerate() {
            let mut token = custodian_token(installation, token_name, &mut hsm);
            let (chr, request) = custodian_key(&mut token, 1, Nid::BRAINPOOL_P256R1);
            let status = hsm.ok(&register(&request));
            assert_eq!(status, [3, 2 - u8::try_from(number).unwrap(), 2, 0]);
            tokens.push((token, chr));
        }
        Self { hsm, name, tokens }
    }

    fn challenge(&mut self) -> Vec<u8> {
        self.hsm.ok("0084000008")
    }

    /// The status word of a custodian's answer to a fresh challenge.
    fn answer(&mut self, index: usize) -> u16 {
        let challenge = self.challenge();
        let Self { hsm, name, tokens } = self;
        let (token, chr) = &mut tokens[index];
        hsm.ok(&choose_custodian(chr));
        hsm.status(&answer_of(token, 1, name, &challenge))
    }
}

#[test]
fn two_of_three() {
    let installation = Installation::new();
    let mut quorum = Quorum::new(&installation, "0000", "");
    let generate_key = apdu(
        "00460100",
        &format!(
            "5F290100 {} 5F200C555444554D4D593030303031",
            ec_parameters(Nid::X9_62_PRIME256V1)
        ),
    );
    quorum.hsm.dialogue(&[
        (STATUS, 0x9000, "03000200"),
        ("00200081", 0x6300, ""),
        (&generate_key, 0x6982, ""),
        ("8054020000", 0x9000, &hex::encode_upper(&quorum.tokens[0].1)),
        ("8054020300", 0x6A88, ""),
    ]);
    assert_eq!(quorum.answer(0), 0x9000);
    quorum.hsm.dialogue(&[
        (STATUS, 0x9000, "03000201"),
        ("00200081", 0x6300, ""),
        (&generate_key, 0x6982, ""),
        ("8054020000", 0x9001, "*"),
        ("8054020100", 0x9000, "*"),
    ]);
    // The same custodian again is still one.
    assert_eq!(quorum.answer(0), 0x9000);
    quorum
        .hsm
        .dialogue(&[(STATUS, 0x9000, "03000201"), (&generate_key, 0x6982, "")]);
    assert_eq!(quorum.answer(2), 0x9000);
    quorum.hsm.dialogue(&[
        (STATUS, 0x9000, "03000202"),
        ("00200081", 0x9000, ""),
        (&generate_key, 0x9000, "67*"),
        (&apdu("80680170", &"11".repeat(32)), 0x9000, "30*"),
        (SELECT, 0x9000, "*"),
        (STATUS, 0x9000, "03000200"),
        ("00200081", 0x6300, ""),
        (&apdu("80680170", &"11".repeat(32)), 0x6982, ""),
    ]);
    // Registration survives, authentication does not.
    let Quorum { hsm, name, tokens } = quorum;
    let mut hsm = hsm.replug();
    hsm.ok(SELECT);
    let mut quorum = Quorum { hsm, name, tokens };
    assert_eq!((quorum.answer(1), quorum.answer(0)), (0x9000, 0x9000));
    quorum
        .hsm
        .dialogue(&[(&apdu("80680170", &"11".repeat(32)), 0x9000, "30*")]);
}

#[test]
fn challenges_serve_once_and_for_one_device() {
    let installation = Installation::new();
    let mut quorum = Quorum::new(&installation, "0000", "");
    assert_eq!(quorum.answer(0), 0x9000);
    let challenge = quorum.challenge();
    let Quorum { hsm, name, tokens } = &mut quorum;
    let (token, chr) = &mut tokens[1];
    let good = answer_of(token, 1, name, &challenge);
    hsm.ok(&choose_custodian(chr));
    // Another challenge in between: the first is void, the earlier success stays.
    let other = hsm.ok("0084000008");
    assert_ne!(challenge, other);
    assert_eq!(hsm.status(&good), 0x6300);
    assert_eq!(
        hsm.status(&answer_of(token, 1, name, &other)),
        0x6985,
        "used up by the wrong answer"
    );
    hsm.dialogue(&[(STATUS, 0x9000, "03000201")]);
    // For another device.
    let challenge = hsm.ok("0084000008");
    assert_eq!(
        hsm.status(&answer_of(token, 1, "UTCHDAAAAAA00000", &challenge)),
        0x6300
    );
    // Random bytes of another length are no challenge.
    let challenge = hsm.ok("0084000010");
    assert_eq!(hsm.status(&answer_of(token, 1, name, &challenge)), 0x6985);
    // In the name of another custodian.
    let challenge = hsm.ok("0084000008");
    let answer = answer_of(token, 1, name, &challenge);
    quorum.hsm.ok(&choose_custodian(&quorum.tokens[2].1));
    assert_eq!(quorum.hsm.status(&answer), 0x6300);
    // Malformed answers.
    for data in [
        "00820000",
        "0082000001 00",
        &format!("0082000040{}", "00".repeat(64)),
        &format!("0082000040{}", "FF".repeat(64)),
    ] {
        quorum.hsm.ok("0084000008");
        assert_eq!(quorum.hsm.status(data), 0x6300, "{data}");
    }
    // Replayed: right the first time, then never again.
    let challenge = quorum.challenge();
    let Quorum { hsm, name, tokens } = &mut quorum;
    let (token, chr) = &mut tokens[1];
    hsm.ok(&choose_custodian(chr));
    let answer = answer_of(token, 1, name, &challenge);
    assert_eq!(hsm.status(&answer), 0x9000);
    hsm.ok(SELECT);
    hsm.ok(&choose_custodian(chr));
    assert_eq!(hsm.status(&answer), 0x6985);
    hsm.ok("0084000008");
    assert_eq!(hsm.status(&answer), 0x6300);
    hsm.dialogue(&[
        (STATUS, 0x9000, "03000200"),
        (&choose_custodian("UTNOBODY00001"), 0x6A88, ""),
        ("002281A4028300", 0x6A88, ""),
        ("002281A40283", 0x6700, ""),
        ("002281A4", 0x6A80, ""),
        ("00220000 00", 0x6A86, ""),
    ]);
}

#[test]
fn registration_refuses_what_cannot_work() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020000 93020302");
    let mut stranger = installation.ready("stranger", "");
    let (_, unknown) = custodian_key(&mut stranger, 1, Nid::BRAINPOOL_P256R1);
    assert_eq!(
        hsm.status(&register(&unknown)),
        0x6A88,
        "the device was not introduced"
    );
    let mut alice = custodian_token(&installation, "alice", &mut hsm);
    let (_, wide) = custodian_key(&mut alice, 2, Nid::SECP384R1);
    assert_eq!(hsm.status(&register(&wide)), 0x6A80, "only 256 bits");
    let rsa = generate(&mut alice, 3, &support::rsa_parameters(2048), "UTALICE00003", "");
    assert_eq!(hsm.status(&register(&rsa)), 0x6A80);
    let (_, good) = custodian_key(&mut alice, 1, Nid::BRAINPOOL_P256R1);
    let mark = hsm.token.mark();
    for index in [40, 200, good.len() - 100, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[index] ^= 1;
        assert_ne!(hsm.status(&register(&damaged)), 0x9000, "{index}");
    }
    for length in [0, 1, good.len() / 2, good.len() - 1] {
        let status = hsm.status(&apdu("80540000", &hex::encode(&good[..length])));
        assert_eq!(status, if length == 0 { 0x9000 } else { 0x6A80 });
    }
    assert_eq!(hsm.token.mark(), mark);
    assert_eq!(hsm.ok(&register(&good)), [3, 2, 2, 0]);
    assert_eq!(hsm.status(&register(&good)), 0x6985, "same key, same name");
    // Same name, another key.
    let (_, same_name) = custodian_key(&mut alice, 1, Nid::BRAINPOOL_P256R1);
    assert_eq!(hsm.status(&register(&same_name)), 0x6985);
    // The chosen custodian can not answer while keys are missing.
    let chr = String::from_utf8(hsm.ok("8054020000")).unwrap();
    assert_eq!(hsm.status(&choose_custodian(&chr)), 0x6985);
    // Through the scratch file, which the session after initialisation may write.
    let (_, second) = custodian_key(&mut alice, 4, Nid::X9_62_PRIME256V1);
    hsm.ok(&apdu("00D72F10", &format!("54020000{}", tlv("53", &second))));
    assert_eq!(hsm.ok("8054000004"), [3, 1, 2, 0]);
    let (_, third) = custodian_key(&mut alice, 5, Nid::SECP256K1);
    assert_eq!(hsm.ok(&register(&third)), [3, 0, 2, 0]);
    let (_, fourth) = custodian_key(&mut alice, 6, Nid::SECP256K1);
    assert_eq!(hsm.status(&register(&fourth)), 0x6985, "all slots are taken");
    assert_eq!(
        hsm.status(&apdu("80540100", &hex::encode(&fourth))),
        0x6982,
        "no replacement"
    );
}

#[test]
fn custodian_keys_of_openssl_under_another_scheme_are_unknown() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020000 93020302");
    let scheme = Scheme::new();
    let device = scheme.device("UTCHDBBBBBB00000");
    let custodian = Custodian::new(&device, 1, Nid::BRAINPOOL_P256R1);
    let own_issuer = {
        let chain = hsm.send("00B12F02000004 54020000 0000").0;
        chancery_cvc::DeviceChain::parse(&chain)
            .unwrap()
            .issuer_certificate()
            .unwrap()
            .clone()
    };
    hsm.dialogue(&[
        (&verify_certificate(&device.certificate), 0x6985, ""),
        (&choose_verifier(scheme.root.chr().as_str()), 0x6A88, ""),
        (&choose_verifier(device.issuer.chr().as_str()), 0x6A88, ""),
        (&choose_verifier("DESRCACC100001"), 0x9000, ""),
        (&verify_certificate(&device.issuer), 0x6A80, ""),
        (&verify_certificate(&scheme.root), 0x6A80, ""),
        (&choose_verifier(own_issuer.chr().as_str()), 0x9000, ""),
        (&verify_certificate(&device.certificate), 0x6A80, ""),
        (&verify_certificate(&own_issuer), 0x6A80, ""),
        (&apdu("002A00BE", "7F4E00"), 0x6A80, ""),
        (&apdu("002A0000", "7F4E00"), 0x6A86, ""),
        (&register(&custodian.request), 0x6A88, ""),
        (&custodian.select(), 0x6A88, ""),
        (STATUS, 0x9000, "03030200"),
    ]);
    assert!(
        custodian
            .answer("UTCHDBBBBBB00000", &[0; 8])
            .starts_with("0082000040")
    );
}

#[test]
fn a_real_device_is_recognised() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020000 93020302");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/vectors/nitrokey-hsm2-fw4.1-ef2f02.hex");
    let chain = bytes(&std::fs::read_to_string(path).unwrap());
    let chain = chancery_cvc::DeviceChain::parse(&chain).unwrap();
    let (device, issuer) = (
        chain.device_certificate().unwrap(),
        chain.issuer_certificate().unwrap(),
    );
    hsm.dialogue(&[
        (&choose_verifier(issuer.car().as_str()), 0x9000, ""),
        (&verify_certificate(device), 0x6A80, ""),
        (&verify_certificate(issuer), 0x9000, ""),
        (&choose_verifier(issuer.chr().as_str()), 0x9000, ""),
        (&verify_certificate(device), 0x9000, ""),
        (&choose_verifier(device.chr().as_str()), 0x9000, ""),
        (SELECT, 0x9000, "*"),
        (&choose_verifier(device.chr().as_str()), 0x6A88, ""),
    ]);
}

#[test]
fn pin_and_quorum_together() {
    let installation = Installation::new();
    let pin = "8106363438323139 910103";
    let mut quorum = Quorum::new(&installation, "0010", pin);
    let write = "00D7C40106 54020000 5300";
    quorum.hsm.ok(SELECT);
    quorum.hsm.dialogue(&[
        ("00200081", 0x63C3, ""),
        (support::VERIFY, 0x9000, ""),
        ("00200081", 0x6300, ""),
    ]);
    assert_eq!(quorum.hsm.status(write), 0x6982);
    assert_eq!((quorum.answer(0), quorum.answer(1)), (0x9000, 0x9000));
    quorum.hsm.dialogue(&[
        (write, 0x9000, ""),
        ("00200081", 0x9000, ""),
        (SELECT, 0x9000, "*"),
    ]);
    assert_eq!((quorum.answer(0), quorum.answer(1)), (0x9000, 0x9000));
    quorum.hsm.dialogue(&[
        (write, 0x6982, ""),
        (support::VERIFY, 0x9000, ""),
        (write, 0x9000, ""),
    ]);
}

#[test]
fn the_quorum_replaces_the_pin_once_it_is_complete() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020008 8106363438323139 910103 93020101");
    hsm.ok(SELECT);
    let write = "00D7C40106 54020000 5300";
    hsm.dialogue(&[
        ("00200081", 0x63C3, ""),
        (support::VERIFY, 0x9000, ""),
        (write, 0x9000, ""),
    ]);
    let mut alice = custodian_token(&installation, "alice", &mut hsm);
    let (chr, request) = custodian_key(&mut alice, 1, Nid::BRAINPOOL_P256R1);
    hsm.ok(&register(&request));
    hsm.dialogue(&[
        (write, 0x6982, ""),
        ("00200081", 0x6300, ""),
        (support::VERIFY, 0x6300, ""),
    ]);
    let name = device_name(&mut hsm);
    let challenge = hsm.ok("0084000008");
    hsm.ok(&choose_custodian(&chr));
    assert_eq!(hsm.status(&answer_of(&mut alice, 1, &name, &challenge)), 0x9000);
    hsm.dialogue(&[(write, 0x9000, ""), ("00200081", 0x9000, "")]);
    // Option 0008: another key takes the slot, and has to answer itself.
    let (other, request) = custodian_key(&mut alice, 2, Nid::BRAINPOOL_P256R1);
    hsm.dialogue(&[
        (&apdu("80540101", &hex::encode(&request)), 0x6A88, ""),
        (&apdu("80540100", &hex::encode(&request)), 0x9000, "01000100"),
        (write, 0x6982, ""),
        (&choose_custodian(&chr), 0x6A88, ""),
        (&choose_custodian(&other), 0x9000, ""),
    ]);
}

#[test]
fn keys_are_closed_while_custodians_are_missing() {
    let installation = Installation::new();
    let mut hsm = installation.token("hsm");
    initialise(&mut hsm, "80020000 93020302");
    let key = apdu(
        "00460100",
        &format!(
            "5F290100 {} 5F200C555444554D4D593030303031",
            ec_parameters(Nid::X9_62_PRIME256V1)
        ),
    );
    hsm.dialogue(&[
        (&key, 0x6982, ""),
        ("00200081", 0x6300, ""),
        // The session that initialised may write files, no other.
        ("00D72F0306 54020000 5300", 0x9000, ""),
        (SELECT, 0x9000, "*"),
        ("00D72F0306 54020000 5300", 0x6982, ""),
        (&key, 0x6982, ""),
    ]);
}
