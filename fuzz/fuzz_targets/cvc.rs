//! Bytes to the readers of card verifiable certificates: certificate, request, authenticated request, device chain, key
//! parameters. Never a panic; what was read and is written again reads the same.
#![no_main]

use std::sync::LazyLock;

use chancery_cvc::{
    AuthenticatedRequest, Certificate, DeviceChain, Genuineness, KeyParameters, PublicKey, TrustAnchors,
    der_to_plain, plain_to_der,
};
use chancery_iso7816::tlv::{Tag, Writer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(certificate) = Certificate::parse(bytes) {
        assert_eq!(certificate.as_bytes(), bytes);
        reads_the_same_again(&certificate);
        let _ = certificate.verify_signature(certificate.key());
        spki_round_trip(certificate.public_key());
    }
    if let Ok(request) = AuthenticatedRequest::parse(bytes) {
        let again = AuthenticatedRequest::parse(&request.to_bytes()).expect("a request that was read");
        assert_eq!(again, request);
        let _ = request.verify_inner();
        let _ = request.verify_outer(request.request().key());
    }
    if let Ok(chain) = DeviceChain::parse(bytes) {
        if let Ok(device) = chain.verify(&ANCHORS, None) {
            // Nobody makes a device of a real scheme by changing bytes: the names are those of the seeds.
            assert_ne!(device.genuine(), Genuineness::Virtual);
            if let Some(request) = chain.request() {
                let _ = request.verify(&device);
            }
        }
    }
    if let Ok(parameters) = KeyParameters::parse(bytes) {
        let encoded = parameters.encode().expect("parameters that were read");
        assert_eq!(
            KeyParameters::parse(&encoded).expect("parameters that were written"),
            parameters
        );
    }
    if let Ok(key) = PublicKey::from_spki_der(bytes) {
        spki_round_trip(&key);
    }
    for order in [32, 48, 66] {
        if let Ok(plain) = der_to_plain(bytes, order) {
            assert_eq!(plain.len(), 2 * order);
            assert_eq!(plain_to_der(&plain).expect("an even number of bytes"), bytes);
        }
    }
});

/// Lengths longer than minimal are read and not written: the bytes may differ, the meaning may not.
fn reads_the_same_again(certificate: &Certificate) {
    let Ok(body) = certificate.body().encode() else {
        return;
    };
    let mut out = Writer::new();
    out.nested(Tag(0x7F21), |out| {
        out.raw(&body).tlv(Tag(0x5F37), certificate.signature());
    });
    let again = Certificate::parse(&out.finish()).expect("a certificate that was written");
    assert_eq!(again.body(), certificate.body());
}

fn spki_round_trip(key: &PublicKey) {
    if let Ok(der) = key.to_spki_der() {
        let again = PublicKey::from_spki_der(&der).expect("a key that was written");
        assert_eq!(again.to_spki_der().expect("a key that was read"), der);
    }
}

/// Every root there is, so that every branch of the check can be reached.
static ANCHORS: LazyLock<TrustAnchors> = LazyLock::new(|| {
    let mut anchors = TrustAnchors::production().expect("the root that comes with the program");
    anchors.add_test_root().expect("the test root");
    anchors.add_pico_roots().expect("the Pico roots");
    anchors
});
