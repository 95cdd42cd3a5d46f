//! Whether a key that is to come is on the token already.

use chancery_driver::{AppletAccess, Error, KeyCertificate, reading};
use chancery_schsm::KeyId;

use super::parcel::Parcel;
use crate::key::read_certificate;

/// The keys beside which a certificate or request names the public key of this parcel; none for an AES key, and for one whose
/// public key nothing names. Needs no PIN: one command, and one for each key.
///
/// # Errors
/// A command failed.
pub fn already_there(card: &mut impl AppletAccess, parcel: &Parcel) -> Result<Vec<KeyId>, Error> {
    let Some(wanted) = parcel.public_key() else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for id in reading::objects(card)?.keys() {
        let beside = read_certificate(card, id)?;
        if beside.as_ref().and_then(KeyCertificate::public_key).as_ref() == Some(wanted) {
            found.push(id);
        }
    }
    Ok(found)
}
