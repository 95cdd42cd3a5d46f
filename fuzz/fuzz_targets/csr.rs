//! Bytes to the reader of certification requests, and on to certificates: never a panic; what the builder makes of a
//! request passes the linter, reads back, and can be made again.
//!
//! The proof of possession would stop every invented request at the door. So the first byte of the input chooses: the
//! request as it is, or subject and attributes of one that is signed here.
#![no_main]

use std::sync::LazyLock;

use chancery_iso7816::tlv::{Tag, Writer};
use chancery_pki::{
    CertificationRequest, DistinguishedName, Inputs, Issuer, Profile, PublicKey, SerialNumber, Severity,
    SignatureAlgorithm, ToBeSigned, assemble, lint, prepare_leaf, prepare_root,
};
use libfuzzer_sys::fuzz_target;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use time::OffsetDateTime;

fuzz_target!(|bytes: &[u8]| {
    let Some((mode, bytes)) = bytes.split_first() else {
        return;
    };
    if mode % 2 == 0 {
        issue(bytes);
    } else if let Some((length, rest)) = bytes.split_first() {
        let (subject, attributes) = rest.split_at(usize::from(*length).min(rest.len()));
        issue(&BENCH.request(subject, attributes));
    }
});

/// Reads the request and builds a certificate by every profile.
fn issue(bytes: &[u8]) {
    let Ok(request) = CertificationRequest::parse(bytes) else {
        return;
    };
    let again = CertificationRequest::parse(request.as_der()).expect("a request that was read");
    assert_eq!(again.fingerprint(), request.fingerprint());
    let _ = (request.subject().to_string(), request.ignored());
    for profile in &BENCH.profiles {
        let serial = SerialNumber::from_random([0x5A; 16]);
        let Ok(tbs) = prepare_leaf(profile, &request, &BENCH.issuer, serial, BENCH.now) else {
            continue;
        };
        for finding in lint(tbs.as_der(), profile, Some(&BENCH.issuer)) {
            assert!(finding.severity < Severity::Error, "{finding}");
        }
        let inputs = Inputs::Request {
            profile,
            request: &request,
            issuer: &BENCH.issuer,
        };
        let stored = ToBeSigned::from_der(tbs.as_der()).expect("bytes that were built");
        stored.reproduces(&inputs).expect("the same inputs");
    }
}

/// A CA and a requester.
struct Bench {
    key: PKey<Private>,
    issuer: Issuer,
    profiles: Vec<Profile>,
    now: OffsetDateTime,
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a time in 2027");
    let profile = |name| Profile::by_name(name).expect("a profile that comes with the program");

    let public = PublicKey::from_spki(&key.public_key_to_der().expect("a key")).expect("a P-256 key");
    // CN=R
    let name = DistinguishedName::from_der(&[0x30, 12, 0x31, 10, 0x30, 8, 6, 3, 0x55, 4, 3, 0x0C, 1, b'R'])
        .expect("a name");
    let serial = SerialNumber::from_random([0x11; 16]);
    let tbs = prepare_root(&profile("root"), &name, &public, serial, now).expect("a root");
    let algorithm = SignatureAlgorithm::for_key(public.kind());
    let certificate = assemble(tbs.as_der(), algorithm, &sign(&key, tbs.as_der())).expect("a certificate");
    let issuer = Issuer::from_certificate(&certificate).expect("a CA");
    Bench {
        key,
        issuer,
        profiles: vec![profile("server"), profile("client"), profile("audit")],
        now,
    }
});

impl Bench {
    /// A request (RFC 2986) with these bytes as subject and as content of its attributes, and a good signature.
    fn request(&self, subject: &[u8], attributes: &[u8]) -> Vec<u8> {
        let spki = self.key.public_key_to_der().expect("a key");
        let mut info = Writer::new();
        info.nested(SEQUENCE, |info| {
            info.tlv(Tag(0x02), &[0])
                .raw(subject)
                .raw(&spki)
                .tlv(Tag(0xA0), attributes);
        });
        let info = info.finish();
        let mut bits = vec![0];
        bits.extend(sign(&self.key, &info));
        let mut request = Writer::new();
        request.nested(SEQUENCE, |request| {
            request.raw(&info).raw(ECDSA_WITH_SHA256).tlv(Tag(0x03), &bits);
        });
        request.finish()
    }
}

fn sign(key: &PKey<Private>, bytes: &[u8]) -> Vec<u8> {
    let mut signer = Signer::new(MessageDigest::sha256(), key).expect("ECDSA with SHA-256");
    signer.sign_oneshot_to_vec(bytes).expect("a signature")
}

const SEQUENCE: Tag = Tag(0x30);

/// AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 3.2).
const ECDSA_WITH_SHA256: &[u8] = &[0x30, 10, 6, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
