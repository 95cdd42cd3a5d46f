//! GENERATE ASYMMETRIC KEY PAIR (ISO/IEC 7816-8 11.2; key parameters of BSI TR-03110-3 D.3).

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Reader, Tag, Tlv};

use super::request;
use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, refused};
use crate::crypto::{Curve, EcKey, PrivateKey, RsaKey};
use crate::secret::SecretBytes;
use crate::state::{Change, KeyKind, KeyRecord};

/// Most entries of an algorithm list.
const MOST_ALGORITHMS: usize = 16;
/// 65537, the only public exponent.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// Object identifiers 0.4.0.127.0.7.2.2.2.1.x (RSA) and .2.x (ECDSA) without their last byte.
const RSA: [u8; 9] = [4, 0, 0x7F, 0, 7, 2, 2, 2, 1];
const ECDSA: [u8; 9] = [4, 0, 0x7F, 0, 7, 2, 2, 2, 2];

/// Makes the key P1 and answers with its authenticated request, which is also stored in CExx. Key and request become
/// durable together.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p1 == 0 || command.p2 != 0 {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    card.require(Act::UseKeys)?;
    let template = Template::parse(command.data)?;
    let key_domain = domain_of(card, template.key_domain)?;
    let (kind, key, secret) = match template.kind {
        Kind::Ec(curve) => {
            let key = EcKey::generate(curve).map_err(refused)?;
            let secret = key.to_pkcs8().map_err(refused)?;
            (KeyKind::Ec, PrivateKey::Ec(key), secret)
        }
        Kind::Rsa(bits) => {
            let key = RsaKey::generate(bits).map_err(refused)?;
            let secret = key.to_pkcs8().map_err(refused)?;
            (KeyKind::Rsa, PrivateKey::Rsa(key), secret)
        }
    };
    let request = request::build(card, &template, &key)?;
    let record = KeyRecord {
        kind,
        secret: SecretBytes::new(secret),
        algorithms: template.algorithms.map(<[u8]>::to_vec),
        use_counter: template.use_counter,
        key_domain,
    };
    let fid = u16::from_be_bytes([0xCE, command.p1]);
    card.commit(&[
        Change::PutKey {
            id: command.p1,
            key: record,
        },
        Change::PutFile {
            fid,
            contents: request.clone(),
        },
    ])?;
    Ok(Answer::data(request))
}

/// The domain a new key joins: the named one, or the only one of the device, and only with all its shares: who knows
/// the last one could import it later and take the key out. A key made where no domain is set up never joins one.
fn domain_of(card: &Card, named: Option<u8>) -> Result<Option<u8>, StatusWord> {
    let domains = card.state().key_domains.as_slice();
    let (index, domain) = match (named, domains) {
        (Some(index), _) => {
            let slot = domains
                .get(usize::from(index))
                .ok_or(StatusWord::INCORRECT_P1_P2)?;
            (index, slot.as_ref().ok_or(StatusWord::REFERENCE_NOT_FOUND)?)
        }
        (None, [Some(only)]) => (0, only),
        (None, _) => return Ok(None),
    };
    domain
        .complete_kek()
        .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
    Ok(Some(index))
}

/// The data field.
pub(crate) struct Template<'a> {
    /// Authority reference of the inner request, when the host gave one.
    pub(crate) authority: Option<&'a [u8]>,
    /// Holder reference.
    pub(crate) holder: &'a [u8],
    kind: Kind,
    use_counter: Option<u32>,
    algorithms: Option<&'a [u8]>,
    key_domain: Option<u8>,
}

enum Kind {
    Ec(Curve),
    Rsa(u16),
}

impl<'a> Template<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, StatusWord> {
        Self::read(Reader::new(data)).ok_or(StatusWord::WRONG_DATA)
    }

    fn read(mut objects: Reader<'a>) -> Option<Self> {
        if objects.expect(Tag(0x5F29)).ok()?.value != [0] {
            return None;
        }
        let authority = objects.optional(Tag(0x42)).ok()?.map(|object| object.value);
        let parameters = objects.expect(Tag(0x7F49)).ok()?;
        let holder = objects.expect(Tag(0x5F20)).ok()?.value;
        let (mut use_counter, mut algorithms, mut key_domain) = (None, None, None);
        while let Some(object) = objects.next().ok()? {
            let doubled = match object.tag {
                Tag(0x90) => use_counter
                    .replace(u32::from_be_bytes(object.value.try_into().ok()?))
                    .is_some(),
                Tag(0x91) => algorithms.replace(object.value).is_some(),
                Tag(0x92) => {
                    let [domain] = object.value.try_into().ok()?;
                    key_domain.replace(domain).is_some()
                }
                _ => true,
            };
            if doubled {
                return None;
            }
        }
        let fits = is_reference(holder)
            && authority.is_none_or(is_reference)
            && use_counter != Some(0)
            && algorithms.is_none_or(|list| (1..=MOST_ALGORITHMS).contains(&list.len()));
        let kind = Kind::read(&parameters)?;
        fits.then_some(Self {
            authority,
            holder,
            kind,
            use_counter,
            algorithms,
            key_domain,
        })
    }
}

impl Kind {
    fn read(parameters: &Tlv<'_>) -> Option<Self> {
        let mut objects = parameters.children();
        let oid = objects.expect(Tag(0x06)).ok()?.value;
        if oid.len() != 10 {
            return None;
        }
        if oid.starts_with(&ECDSA) {
            let mut field = |tag: u32| objects.expect(Tag(tag)).ok().map(|object| object.value);
            let (p, a, b, g, n) = (
                field(0x81)?,
                field(0x82)?,
                field(0x83)?,
                field(0x84)?,
                field(0x85)?,
            );
            let cofactor = objects.optional(Tag(0x87)).ok()?;
            objects.finish().ok()?;
            if a.is_empty() || cofactor.is_some_and(|object| crate::crypto::trimmed(object.value) != [1]) {
                return None;
            }
            return Curve::by_parameters(p, a, b, g, n).map(Self::Ec);
        }
        if !oid.starts_with(&RSA) {
            return None;
        }
        let exponent = objects.optional(Tag(0x82)).ok()?;
        let bits = objects.expect(Tag(0x02)).ok()?.value;
        let late_exponent = objects.optional(Tag(0x82)).ok()?;
        objects.finish().ok()?;
        let plain = |object: Tlv<'_>| crate::crypto::trimmed(object.value) == EXPONENT;
        if !exponent.is_none_or(plain) || !late_exponent.is_none_or(plain) {
            return None;
        }
        match u16::from_be_bytes(bits.try_into().ok()?) {
            bits @ (2048 | 3072 | 4096) => Some(Self::Rsa(bits)),
            _ => None,
        }
    }
}

/// 8 to 16 printable characters.
fn is_reference(bytes: &[u8]) -> bool {
    (8..=16).contains(&bytes.len()) && bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}
