//! What the fuzz target `response` and the program that records its seeds share: everything a host does with a token, over
//! a transport of the caller's choice.

use chancery_cvc::{AuthenticatedRequest, Curve, PublicKey, TrustAnchors};
use chancery_driver::{
    Authenticated, Card, Initialize, KeyAlgorithm, KeyDescription, KeySpec, Pin, PkaRegistration, Quorum,
    QuorumSession, Selected, SoPin, custodian, keystore, replicate,
};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, AlgorithmList, Fid, InitializeOptions, KekShare, KeyId, blob};

/// What the host knows beforehand.
pub struct World {
    /// Roots it believes in.
    pub anchors: TrustAnchors,
    /// A custodian.
    pub custodian: PkaRegistration,
}

/// How many procedures there are.
pub const PROCEDURES: u8 = 8;

/// Runs procedure `number` (modulo [`PROCEDURES`]) on whatever answers behind `transport`. Errors are as welcome as results:
/// what must not happen is a panic, or going on for ever.
pub fn run<T: Transport>(number: u8, transport: T, world: &World) {
    let Ok(mut token) = Card::new(transport).select() else {
        return;
    };
    match number % PROCEDURES {
        0 => look(&mut token),
        1 => identify(&mut token, &world.anchors),
        2 => set_up(&mut token, world),
        3 => unlock_by_quorum(token, world),
        4 => with_pin(token, use_keys),
        5 => with_pin(token, |token| make_keys(token, &world.anchors)),
        6 => with_pin(token, describe),
        _ => with_pin(token, |token| copy(token, &world.anchors)),
    }
}

/// The user PIN of the tokens that are recorded.
pub const PIN: &str = "648219";

/// The key the tokens that are recorded have.
pub const KEY: KeyId = KeyId(1);

/// The SO-PIN of the tokens that are recorded.
#[must_use]
pub fn so_pin() -> SoPin {
    SoPin::new(*b"57621880")
}

fn look<T: Transport>(token: &mut Selected<T>) {
    let _ = token.pin_status();
    let _ = token.pka_status();
    let _ = token.custodians();
    let _ = token.key_domains();
    let _ = keystore::token_info(token);
    let _ = keystore::list(token);
    let _ = token.random(64);
}

fn identify<T: Transport>(token: &mut Selected<T>, anchors: &TrustAnchors) {
    let _ = token.device_chain();
    let _ = token.device_identity(anchors);
    let _ = custodian::custodian_registration(token, KEY);
}

fn set_up<T: Transport>(token: &mut Selected<T>, world: &World) {
    let _ = token.initialize(&Initialize {
        options: InitializeOptions(0),
        user_pin: None,
        so_pin: so_pin(),
        retry: 3,
        dkek_shares: Some(1),
        quorum: Some(Quorum {
            required: 1,
            total: 1,
        }),
        domains: None,
    });
    let _ = token.import_share(0, &KekShare::new([7; 32]));
    let _ = token.register_custodian(&world.custodian);
}

fn unlock_by_quorum<T: Transport>(token: Selected<T>, world: &World) {
    let Ok(mut session) = QuorumSession::begin(token) else {
        return;
    };
    let custodian = world.custodian.custodian();
    for _ in 0..2 {
        if session.ask(custodian).is_ok() {
            let _ = session.answer(custodian, &[0x5A; 64]);
        }
    }
    let _ = session.finish();
}

fn with_pin<T: Transport>(token: Selected<T>, procedure: impl FnOnce(&mut Authenticated<T>)) {
    let Ok(pin) = Pin::new(PIN) else {
        return;
    };
    if let Ok(mut token) = token.verify_pin(&pin) {
        procedure(&mut token);
    }
}

fn use_keys<T: Transport>(token: &mut Authenticated<T>) {
    let _ = token.sign(KEY, Algorithm::EcdsaSha256, b"message");
    let _ = token.ecdh(KEY, &[4; 65]);
    let _ = token.decipher(KEY, &[1; 256]);
    let _ = token.key_attributes(KEY);
    if let Ok(wrapped) = token.wrap(KEY) {
        let _ = blob::kcv_of(&wrapped);
        let _ = token.unwrap(KeyId(9), &wrapped);
    }
}

fn make_keys<T: Transport>(token: &mut Authenticated<T>, anchors: &TrustAnchors) {
    let Ok(device) = token.device_identity(anchors) else {
        return;
    };
    let spec = KeySpec {
        id: KeyId(2),
        algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
        chr: device.name().clone(),
        algorithms: AlgorithmList::unrestricted(),
        key_domain: None,
        use_counter: Some(5),
    };
    let _ = token.generate_attested(&spec, &device);
    let _ = custodian::custodian_request(token, KeyId(3), anchors);
}

fn describe<T: Transport>(token: &mut Authenticated<T>) {
    let Some(key) = public_key(token) else {
        return;
    };
    let _ = token.describe_key(KEY, &key, &KeyDescription::new("label"));
    let _ = token.store_certificate(KEY, &key, &[0x30, 0]);
    let _ = token.write_label("token");
    let _ = keystore::entry(token, KEY);
    let _ = token.read_file(Fid(0xCD01));
    let _ = token.delete_key(KEY);
}

fn copy<T: Transport>(token: &mut Authenticated<T>, anchors: &TrustAnchors) {
    let Some(key) = public_key(token) else {
        return;
    };
    let _ = token.device_identity(anchors);
    if let Ok(replica) = replicate::export(token, KEY) {
        let _ = replicate::inspect(token, KEY, &replica, &key);
        let _ = replicate::import(token, KEY, &replica, &key);
    }
}

/// The public key in the request that stands with the key.
fn public_key<T: Transport>(token: &mut Authenticated<T>) -> Option<PublicKey> {
    let request = token.read_file(Fid(0xCE00 | u16::from(KEY.0))).ok()??;
    Some(
        AuthenticatedRequest::parse(&request)
            .ok()?
            .request()
            .public_key()
            .clone(),
    )
}
