//! UNWRAP: a key from a blob.

use chancery_iso7816::StatusWord;
use chancery_schsm::{Kek, KeyMaterial, RsaSecret, blob};
use zeroize::Zeroizing;

use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, refused};
use crate::crypto::{CryptoError, Curve, EcKey, RsaKey};
use crate::secret::SecretBytes;
use crate::state::{Change, KeyKind, KeyRecord};

/// Sizes of RSA moduli in bytes.
const RSA: std::ops::RangeInclusive<usize> = 128..=512;

/// P1: id of the key, which is created or replaced. The blob comes as data or waits in EF 2F10; its key check value
/// says which domain the key belongs to, and only a domain with all its shares has one. Description and certificate are for the host to write.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p1 == 0 || command.p2 != 0x93 {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    card.require(Act::UseKeys)?;
    if card.state().key_domains.is_empty() {
        return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED);
    }
    let data = card.long_data(command.data);
    let mut complete = card
        .state()
        .key_domains
        .iter()
        .enumerate()
        .filter_map(|(index, domain)| {
            let kek = Kek::from_slice(domain.as_ref()?.complete_kek()?.expose()).ok()?;
            Some((u8::try_from(index).ok()?, kek))
        })
        .peekable();
    complete.peek().ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
    let kcv = blob::kcv_of(&data).map_err(|_| StatusWord::WRONG_DATA)?;
    let fitting = complete.find(|(_, kek)| kek.kcv() == kcv);
    let (domain, kek) = fitting.ok_or(StatusWord::WRONG_DATA)?;
    let opened = blob::open(&kek, &data).map_err(|_| StatusWord::WRONG_DATA)?;
    let (key_type, bits) = (opened.material.key_type(), opened.material.bits());
    if !card.state().firmware.has_keys(key_type, bits) {
        return Err(StatusWord::WRONG_DATA);
    }
    let (kind, secret) = stored(&opened.material).map_err(refused)?;
    let algorithms = opened.algorithms.ids();
    let key = KeyRecord {
        kind,
        secret: SecretBytes::new(secret),
        algorithms: (!algorithms.is_empty()).then(|| algorithms.to_vec()),
        use_counter: None,
        key_domain: Some(domain),
        made_here: false,
    };
    card.commit(&[Change::PutKey { id: command.p1, key }])?;
    Ok(Answer::done())
}

/// The key as the key store keeps it, after checking that its numbers belong together.
fn stored(material: &KeyMaterial) -> Result<(KeyKind, Zeroizing<Vec<u8>>), CryptoError> {
    match material {
        KeyMaterial::Ec {
            a, b, p, n, g, d, q, ..
        } => {
            let curve = Curve::by_parameters(p, a, b, g, n).ok_or(CryptoError::Data)?;
            let key = EcKey::from_scalar(curve, d, Some(q))?;
            Ok((KeyKind::Ec, key.to_pkcs8()?))
        }
        KeyMaterial::Rsa { n, e, secret, .. } => {
            if !RSA.contains(&n.len()) {
                return Err(CryptoError::Data);
            }
            let key = match secret {
                RsaSecret::Exponent(d) => RsaKey::from_exponents(n, e, d)?,
                RsaSecret::Crt(crt) => RsaKey::from_prime_bytes(n, e, &crt.p, &crt.q)?,
            };
            Ok((KeyKind::Rsa, key.to_pkcs8()?))
        }
        KeyMaterial::Aes { key } if matches!(key.len(), 16 | 24 | 32) => Ok((KeyKind::Aes, key.clone())),
        KeyMaterial::Aes { .. } => Err(CryptoError::Data),
    }
}
