//! GENERATE ASYMMETRIC KEY PAIR (ISO/IEC 7816-8 11.2; key parameters of BSI TR-03110-3 D.3).

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Reader, Tag, Tlv};
use chancery_schsm::KeyType;

use super::attributes::Attributes;
use super::exchange;
use super::request::{self, Names};
use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, refused};
use crate::crypto::{Curve, EcKey, PrivateKey, RsaKey};
use crate::secret::SecretBytes;
use crate::state::{Change, KeyKind, KeyRecord};

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
    let (kind, there) = match template.kind {
        Kind::Ec(curve) => {
            let bits = usize::from(curve.domain().map_err(refused)?.bits);
            (KeyKind::Ec, card.state().firmware.has_keys(KeyType::Ec, bits))
        }
        Kind::Rsa(bits) => {
            let bits = usize::from(bits);
            (KeyKind::Rsa, card.state().firmware.has_keys(KeyType::Rsa, bits))
        }
    };
    if !there {
        return Err(StatusWord::WRONG_DATA);
    }
    let record = template.attributes.record(card, kind)?;
    let (key, secret) = match template.kind {
        Kind::Ec(curve) => {
            let key = EcKey::generate(curve).map_err(refused)?;
            let secret = key.to_pkcs8().map_err(refused)?;
            (PrivateKey::Ec(key), secret)
        }
        Kind::Rsa(bits) => {
            let key = RsaKey::generate(bits).map_err(refused)?;
            let secret = key.to_pkcs8().map_err(refused)?;
            (PrivateKey::Rsa(key), secret)
        }
    };
    let names = Names {
        authority: template.authority,
        holder: template.holder,
    };
    store(
        card,
        command.p1,
        &names,
        &key,
        KeyRecord {
            secret: SecretBytes::new(secret),
            ..record
        },
    )
}

/// Puts a key and its request into the store and answers with the request.
pub(crate) fn store(
    card: &mut Card,
    id: u8,
    names: &Names<'_>,
    key: &PrivateKey,
    record: KeyRecord,
) -> Outcome {
    let group = exchange::group_of(card.state(), &record).map(<[u8]>::to_vec);
    let request = request::build(card, names, key, group.as_deref())?;
    let fid = u16::from_be_bytes([0xCE, id]);
    card.commit(&[
        Change::PutKey { id, key: record },
        Change::PutFile {
            fid,
            contents: request.clone(),
        },
    ])?;
    Ok(Answer::data(request))
}

/// The data field.
struct Template<'a> {
    /// Authority reference of the inner request, when the host gave one.
    authority: Option<&'a [u8]>,
    /// Holder reference.
    holder: &'a [u8],
    kind: Kind,
    attributes: Attributes<'a>,
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
        let attributes = Attributes::read(&mut objects)?;
        let fits = is_reference(holder) && authority.is_none_or(is_reference);
        let kind = Kind::read(&parameters)?;
        fits.then_some(Self {
            authority,
            holder,
            kind,
            attributes,
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
            bits @ (1024 | 1536 | 2048 | 3072 | 4096) => Some(Self::Rsa(bits)),
            _ => None,
        }
    }
}

/// 8 to 16 printable characters.
fn is_reference(bytes: &[u8]) -> bool {
    (8..=16).contains(&bytes.len()) && bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}
