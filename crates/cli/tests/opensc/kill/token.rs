//! The token of a campaign, opened in this process.

use chancery_cvc::Curve;
use chancery_driver::{Card, Initialize, KeyAlgorithm, KeyDescription, KeySpec, Pin, Selected, SoPin};
use chancery_node::DataDir;
use chancery_schsm::{AlgorithmList, InitializeOptions, KeyId};
use chancery_vtoken::VirtualToken;

use crate::{common::Home, token::SO_PIN};

pub(super) const PINS: [&str; 2] = ["12345678", "87654321"];
pub(super) const TRIES: u8 = 10;
/// The key whose uses are counted.
pub(super) const COUNTED: KeyId = KeyId(1);
pub(super) const USES: u32 = 100_000;

pub(super) fn p256(id: KeyId, use_counter: Option<u32>) -> KeySpec {
    KeySpec {
        id,
        algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
        chr: "UTCAMPAIGN00000".parse().unwrap(),
        algorithms: AlgorithmList::unrestricted(),
        key_domain: None,
        use_counter,
    }
}

/// The token, in this process.
pub(super) fn open(home: &Home) -> Selected<VirtualToken> {
    let data = DataDir::open(&home.data()).unwrap();
    let token = VirtualToken::open(&data.tokens().join("one"), &data.at_rest()).unwrap();
    Card::new(token).select().unwrap()
}

/// Initialises the token, with a key whose uses are counted: OpenSC cannot make one.
pub(super) fn prepare(home: &Home) {
    let mut token = open(home);
    let pin = || Pin::new(PINS[0]).unwrap();
    token
        .initialize(&Initialize {
            options: InitializeOptions(0x0001),
            user_pin: Some(pin()),
            so_pin: SoPin::from_hex(SO_PIN).unwrap(),
            retry: TRIES,
            dkek_shares: None,
            quorum: None,
            domains: None,
        })
        .unwrap();
    let mut card = token.verify_pin(&pin()).unwrap();
    let key = card.generate(&p256(COUNTED, Some(USES))).unwrap();
    card.describe_key(COUNTED, &key.public_key, &KeyDescription::new("counted"))
        .unwrap();
}
