//! Exchange key domains: devices of one group agree on the key encryption key between two of them.
//!
//! How a SmartCard-HSM derives it is not public. The derivation here is this program's own, see
//! `docs/decisions/0006-xkek-key-derivation.md`: two virtual tokens agree with each other, and with nothing else.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use chancery_cvc::{AuthenticatedRequest, CvKey, PublicKey, VirtualCode};
use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Reader, Tag};
use zeroize::Zeroizing;

use super::sign::{count_use, permit};
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, refused};
use crate::crypto::{CryptoError, EcKey, PrivateKey};
use crate::secret::SecretBytes;
use crate::state::{Change, ExchangeDomain, KeyDomain, KeyRecord, State};
use crate::trust::Remembered;

/// The entry in its algorithm list that makes a key an exchange key.
pub(crate) const EXCHANGE: u8 = 0x84;
/// Key agreement with a key that a device vouches for.
pub(crate) const AUTHENTICATED: u8 = 0x83;
/// Membership signature; the same byte stands before what it is over.
const MEMBERSHIP: u8 = 0x54;
/// 1.3.6.1.4.1.24991.3.2.2: extension of a request that names the group, see [`super::request`].
pub(crate) const OID_GROUP: [u8; 11] = [0x2B, 6, 1, 4, 1, 0x81, 0xC3, 0x1F, 3, 2, 2];
/// Length of a coordinate of the device's public key in bytes.
const DEVICE_FIELD: usize = 32;

/// The identifier that the request of this key carries: that of its exchange domain, for keys that can do nothing but
/// agree on a key encryption key. With any other key the shared secret, or the key itself, could be taken out.
pub(crate) fn group_of<'s>(state: &'s State, key: &KeyRecord) -> Option<&'s [u8]> {
    let domain = state.key_domains.get(usize::from(key.key_domain?))?.as_ref()?;
    match domain {
        KeyDomain::Exchange(domain) if key.algorithms.as_deref() == Some(&[EXCHANGE]) => Some(&domain.uid),
        _ => None,
    }
}

/// The group that `data` admits this device to: the group signer's request, whose device was made known before, and the
/// signer's signature over 54 | x of this device's public key.
///
/// 6A80 for other data, 6A88 for an unknown device, 6985 for a signature that admits another device.
pub(crate) fn admitted(card: &mut Card, data: &[u8]) -> Result<ExchangeDomain, StatusWord> {
    let (request, membership) = split(data).ok_or(StatusWord::WRONG_DATA)?;
    let signer = Remembered::vouched(request, card.state(), &card.session)?;
    let PublicKey::Ec(signer_key) = signer.request().public_key() else {
        return Err(StatusWord::WRONG_DATA);
    };
    let device = card.device_key()?.public_point().map_err(refused)?;
    let x = device.get(1..=DEVICE_FIELD).ok_or(StatusWord::UNKNOWN_ERROR)?;
    let signed = [&[MEMBERSHIP], x].concat();
    CvKey::with_sha256(PublicKey::Ec(signer_key.clone()))
        .verify(&signed, membership)
        .map_err(|_| StatusWord::CONDITIONS_NOT_SATISFIED)?;
    let uid = signer_key.point().get(1..).unwrap_or_default().to_vec();
    Ok(ExchangeDomain { uid, kek: None })
}

/// DECIPHER with 84: agrees with a peer on the key encryption key of the exchange key's domain. An earlier one is
/// replaced: whoever agrees is of the same group. 6A81 for a peer that is no virtual token: it derives another key, and
/// what its exchange keys can do besides is not known.
pub(crate) fn derive(card: &mut Card, command: &Command<'_>) -> Outcome {
    let id = command.p1;
    permit(card, id, EXCHANGE)?;
    let key = card.key(id)?;
    let record = card
        .state()
        .keys
        .get(&id)
        .ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    let index = record.key_domain;
    let uid = group_of(card.state(), record).map(<[u8]>::to_vec);
    let (PrivateKey::Ec(key), Some(index), Some(uid)) = (&*key, index, uid) else {
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
    };
    let data = card.long_data(command.data);
    let peer = Remembered::vouched(&data, card.state(), &card.session)?;
    if VirtualCode::of_device(peer.outer_car()).is_none() {
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
    }
    if named_group(&peer) != Some(&uid) {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    let point = point_of(&peer)?;
    if *point == key.public_point().map_err(refused)? {
        return Err(StatusWord::WRONG_DATA);
    }
    let kek = agreed(key, point, &uid).map_err(refused)?;
    count_use(card, id)?;
    let domain = ExchangeDomain { uid, kek: Some(kek) };
    card.commit(&[Change::PutExchangeDomain { index, domain }])?;
    Ok(Answer::done())
}

/// DECIPHER with 83: key agreement with the key of a request whose device was made known before; the answer is that of
/// plain key agreement.
pub(crate) fn agree_with_authenticated(card: &mut Card, command: &Command<'_>) -> Outcome {
    permit(card, command.p1, command.p2)?;
    let key = card.key(command.p1)?;
    let data = card.long_data(command.data);
    let PrivateKey::Ec(key) = &*key else {
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
    };
    let peer = Remembered::vouched(&data, card.state(), &card.session)?;
    let peer = key.curve().point(point_of(&peer)?).map_err(refused)?;
    count_use(card, command.p1)?;
    Ok(Answer::data(key.agree(&peer).map_err(refused)?))
}

/// HKDF-SHA-256 (RFC 5869) over the x coordinate of the shared point. The salt is the group's identifier; purpose and
/// both public points, the smaller first, are the info.
fn agreed(key: &EcKey, peer: &[u8], uid: &[u8]) -> Result<SecretBytes, CryptoError> {
    let shared = key.agree(&key.curve().point(peer)?)?;
    let x = shared
        .get(1..=key.curve().field_length())
        .ok_or(CryptoError::Library)?;
    let own = key.public_point()?;
    let (first, second) = if *own < *peer {
        (&*own, peer)
    } else {
        (peer, &*own)
    };
    let mut kek = Zeroizing::new(vec![0; 32]);
    Salt::new(HKDF_SHA256, uid)
        .extract(x)
        .expand(&[PURPOSE, first, second], HKDF_SHA256)?
        .fill(&mut kek)?;
    Ok(SecretBytes::new(kek))
}

const PURPOSE: &[u8] = b"chancery XKEK 1";

/// Request content and membership signature.
fn split(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut objects = Reader::new(data);
    let mut length = 0;
    for tag in [0x7F21, 0x42, 0x5F37] {
        length += objects.expect(Tag(tag)).ok()?.raw.len();
    }
    let membership = objects.expect(Tag(u32::from(MEMBERSHIP))).ok()?.value;
    objects.finish().ok()?;
    Some((data.get(..length)?, membership))
}

fn point_of(request: &AuthenticatedRequest) -> Result<&[u8], StatusWord> {
    match request.request().public_key() {
        PublicKey::Ec(key) => Ok(key.point()),
        _ => Err(StatusWord::WRONG_DATA),
    }
}

/// The group in a request's extensions.
fn named_group(request: &AuthenticatedRequest) -> Option<&[u8]> {
    let mut extensions = Reader::new(request.request().body().extensions()?);
    while let Some(extension) = extensions.next().ok()? {
        let mut fields = extension.children();
        let named = fields.expect(Tag(0x06)).ok()?.value == OID_GROUP;
        if extension.tag == Tag(0x73) && named {
            return Some(fields.expect(Tag(0x80)).ok()?.value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use openssl::md::Md;
    use openssl::pkey::Id;
    use openssl::pkey_ctx::PkeyCtx;

    use super::*;
    use crate::crypto::Curve;

    #[test]
    fn both_sides_compute_what_the_decision_says() {
        let uid = [0x55; 64];
        for curve in [Curve::Brainpool256, Curve::P521] {
            let (one, two) = (EcKey::generate(curve).unwrap(), EcKey::generate(curve).unwrap());
            let (from_one, from_two) = (one.public_point().unwrap(), two.public_point().unwrap());
            let kek = agreed(&one, &from_two, &uid).unwrap();
            assert!(kek == agreed(&two, &from_one, &uid).unwrap());

            let shared = one.agree(&curve.point(&from_two).unwrap()).unwrap();
            let mut points = [from_one, from_two];
            points.sort();
            let mut context = PkeyCtx::new_id(Id::HKDF).unwrap();
            context.derive_init().unwrap();
            context.set_hkdf_md(Md::sha256()).unwrap();
            context.set_hkdf_key(&shared[1..=curve.field_length()]).unwrap();
            context.set_hkdf_salt(&uid).unwrap();
            context
                .add_hkdf_info(&[b"chancery XKEK 1", &points.concat()[..]].concat())
                .unwrap();
            let mut expected = [0; 32];
            context.derive(Some(&mut expected)).unwrap();
            assert_eq!(kek.expose(), expected);
        }
    }
}
