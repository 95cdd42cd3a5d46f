//! Signatures of custodians over statements, and names of requesters in rows.

use chancery_api::Requester;
use chancery_cvc::plain_to_der;
use openssl::{ecdsa::EcdsaSig, pkey::PKey, sha::sha256};

/// Whether `plain` (r | s) is the signature of this key (SubjectPublicKeyInfo, DER) over the message: ECDSA with SHA-256.
pub(crate) fn signed_by(spki: &[u8], message: &[u8], plain: &[u8]) -> bool {
    let Ok(der) = plain_to_der(plain) else {
        return false;
    };
    let Ok(key) = PKey::public_key_from_der(spki).and_then(|key| key.ec_key()) else {
        return false;
    };
    // The library reports a signature of the wrong form as an error: it is a wrong signature.
    EcdsaSig::from_der(&der)
        .and_then(|signature| signature.verify(&sha256(message), &key))
        .unwrap_or(false)
}

/// A requester as rows name it: wherever it comes from, it is the same.
pub(crate) fn requester_key(requester: &Requester) -> String {
    match requester {
        Requester::Local { uid } => format!("local:{uid}"),
        Requester::Client { key, .. } => format!("client:{key}"),
    }
}
