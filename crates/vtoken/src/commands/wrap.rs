//! WRAP: a key under the key encryption key of its domain.

use chancery_iso7816::StatusWord;
use chancery_schsm::{AlgorithmList, Kek, KeyMaterial, RsaSecret, blob};
use zeroize::Zeroizing;

use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, random, refused};
use crate::crypto::{CryptoError, PrivateKey};

/// P2, and the entry in a key's algorithm list that permits wrapping.
const WRAP: u8 = 0x92;

/// P1: key id. The key needs 92 in its algorithm list, if it has one, and a domain whose key encryption key is
/// complete. A key with a use counter stays: a copy would count anew.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p2 != WRAP || !command.data.is_empty() {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    card.require(Act::UseKeys)?;
    let state = card.state();
    if state.key_domains.is_empty() {
        return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED);
    }
    let record = state
        .keys
        .get(&command.p1)
        .ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    let listed = record.algorithms.as_ref().is_none_or(|list| list.contains(&WRAP));
    if !listed || record.use_counter.is_some() {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    let domain = record
        .key_domain
        .and_then(|index| state.key_domains.get(usize::from(index))?.as_ref());
    let kek = domain
        .and_then(|domain| domain.complete_kek())
        .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
    let kek = Kek::from_slice(kek.expose()).map_err(|_| StatusWord::UNKNOWN_ERROR)?;
    let algorithms = AlgorithmList::from_ids(record.algorithms.as_deref().unwrap_or_default())
        .map_err(|_| StatusWord::UNKNOWN_ERROR)?;
    let key = card.key(command.p1)?;
    let material = material(&key).map_err(refused)?;
    let mut prefix = [0; 8];
    random(&mut prefix)?;
    let blob = blob::seal(&kek, &material, &algorithms, prefix).map_err(|_| StatusWord::UNKNOWN_ERROR)?;
    Ok(Answer::data(blob))
}

/// The key in clear. RSA keys travel with d, as devices of this generation send them.
fn material(key: &PrivateKey) -> Result<KeyMaterial, CryptoError> {
    Ok(match key {
        PrivateKey::Ec(key) => {
            let domain = key.curve().domain()?;
            KeyMaterial::Ec {
                bits: domain.bits,
                a: domain.a.clone(),
                b: domain.b.clone(),
                p: domain.p.clone(),
                n: domain.n.clone(),
                g: domain.g.clone(),
                d: key.scalar()?,
                q: key.public_point()?,
            }
        }
        PrivateKey::Rsa(key) => {
            let numbers = key.numbers();
            KeyMaterial::Rsa {
                bits: u16::try_from(numbers.n().num_bits()).map_err(|_| CryptoError::Library)?,
                n: numbers.n().to_vec(),
                e: numbers.e().to_vec(),
                secret: RsaSecret::Exponent(Zeroizing::new(numbers.d().to_vec())),
            }
        }
        PrivateKey::Aes(key) => KeyMaterial::Aes {
            key: Zeroizing::new(key.expose().to_vec()),
        },
    })
}
