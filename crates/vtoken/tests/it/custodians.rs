//! Public key authentication: registration, the quorum, and everything somebody could try instead.

mod quorum;
mod registration;
mod scheme;

use crate::support::{Bench, Installation, SELECT, SO_PIN, apdu, bytes, ec_parameters, generate, tlv};
use chancery_cvc::{AuthenticatedRequest, Certificate, der_to_plain};
use openssl::nid::Nid;
use scheme::{Custodian, Scheme};

const STATUS: &str = "8054000004";

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
