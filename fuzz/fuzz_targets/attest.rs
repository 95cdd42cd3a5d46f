//! A file given to the verification of attestations. Never a panic; what is read is written again byte for byte; nothing
//! but the real vectors is authentic.
#![no_main]

use std::sync::LazyLock;

use chancery_attest::{
    Attestation, Input, KeyFacts, NamedInput, Outcome, Passport, TokenFacts, Transcript, Verification,
};
use chancery_cvc::{DeviceChain, TrustAnchors};
use libfuzzer_sys::fuzz_target;
use time::{Date, Month};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(attestation) = Attestation::parse(bytes) {
        assert_eq!(attestation.encode(), bytes);
    }
    if let Ok(transcript) = Transcript::parse(bytes) {
        assert_eq!(transcript.encode(), bytes);
    }
    let input = Input::recognise(bytes);
    if let Ok(Input::Chain(chain)) = &input {
        only_what_is_known(chain);
    }
    let facts = facts(&input);
    let files: [NamedInput; 2] = [
        ("judged".to_owned(), input),
        ("chain".to_owned(), Ok(Input::Chain(CHAIN.clone()))),
    ];
    let found = Verification::of(&files, &ANCHORS, TODAY);
    assert!(!found.claims.is_empty());
    for key in found.keys.iter().filter(|key| key.proven) {
        assert_eq!(key.device, "DENK040414400000");
    }
    if let Some(facts) = facts {
        let passport = Passport::of(&facts, &ANCHORS, TODAY);
        assert!(passport.origin.device.is_none_or(|device| device.hardware));
    }
});

/// A chain that is believed is made of the certificates of real devices.
fn only_what_is_known(chain: &[u8]) {
    let files = [("chain".to_owned(), Ok(Input::Chain(chain.to_vec())))];
    let found = Verification::of(&files, &ANCHORS, TODAY);
    if ![Outcome::Holds, Outcome::OutOfDate].contains(&found.outcome) {
        return;
    }
    let known: Vec<Vec<u8>> = [&*CHAIN, &*OF_2016]
        .into_iter()
        .flat_map(|chain| {
            let chain = DeviceChain::parse(chain).expect("a real chain");
            let certificates = chain.certificates().iter();
            certificates
                .map(|certificate| certificate.as_bytes().to_vec())
                .collect::<Vec<_>>()
        })
        .chain(ANCHORS.iter().map(|root| root.certificate().as_bytes().to_vec()))
        .collect();
    for certificate in DeviceChain::parse(chain)
        .expect("a chain that was believed")
        .certificates()
    {
        assert!(known.iter().any(|known| known == certificate.as_bytes()));
    }
}

fn facts(input: &Result<Input, chancery_attest::InputError>) -> Option<KeyFacts> {
    let facts = KeyFacts {
        chain: Some(CHAIN.clone()),
        ..KeyFacts::default()
    };
    Some(match input.as_ref().ok()? {
        Input::Request(request) => KeyFacts {
            request: Some(request.clone()),
            ..facts
        },
        Input::Chain(chain) => KeyFacts {
            token: Some(TokenFacts {
                chain: chain.clone(),
                ..TokenFacts::default()
            }),
            ..facts
        },
        Input::Attestation(attestation) => KeyFacts {
            request: Some(attestation.request().to_vec()),
            chain: Some(attestation.chain().to_vec()),
            ..facts
        },
        _ => return None,
    })
}

fn vector(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).expect("digits");
            u8::from_str_radix(pair, 16).expect("digits")
        })
        .collect()
}

static CHAIN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    vector(include_str!(
        "../../testdata/vectors/nitrokey-hsm2-fw4.1-ef2f02.hex"
    ))
});

static OF_2016: LazyLock<Vec<u8>> = LazyLock::new(|| {
    vector(include_str!(
        "../../testdata/vectors/smartcardhsm-2016-ef2f02.hex"
    ))
});

static ANCHORS: LazyLock<TrustAnchors> =
    LazyLock::new(|| TrustAnchors::production().expect("the root that comes with the program"));

const TODAY: Date = match Date::from_calendar_date(2026, Month::November, 21) {
    Ok(date) => date,
    Err(_) => panic!("a day"),
};
