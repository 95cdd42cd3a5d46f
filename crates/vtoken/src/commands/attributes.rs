//! What a host asks of a new key besides its kind: use counter (DO 90), algorithms (DO 91), key domain (DO 92).

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Reader, Tag};

use crate::card::Card;
use crate::state::{KeyDomain, KeyKind, KeyRecord};

/// Most entries of an algorithm list.
const MOST_ALGORITHMS: usize = 16;

/// The data objects behind the kind of key.
#[derive(Default)]
pub(crate) struct Attributes<'a> {
    use_counter: Option<u32>,
    algorithms: Option<&'a [u8]>,
    key_domain: Option<u8>,
}

impl<'a> Attributes<'a> {
    /// Takes all objects that are left, in any order, each at most once; `None` when one is not an attribute.
    pub(crate) fn read(objects: &mut Reader<'a>) -> Option<Self> {
        let mut found = Self::default();
        while let Some(object) = objects.next().ok()? {
            let doubled = match object.tag {
                Tag(0x90) => found
                    .use_counter
                    .replace(u32::from_be_bytes(object.value.try_into().ok()?))
                    .is_some(),
                Tag(0x91) => found.algorithms.replace(object.value).is_some(),
                Tag(0x92) => {
                    let [domain] = object.value.try_into().ok()?;
                    found.key_domain.replace(domain).is_some()
                }
                _ => true,
            };
            if doubled {
                return None;
            }
        }
        let fits = found.use_counter != Some(0)
            && found
                .algorithms
                .is_none_or(|list| (1..=MOST_ALGORITHMS).contains(&list.len()));
        fits.then_some(found)
    }

    /// A key to be made, without its secret: what these attributes make of it on this card. 6A86 and 6A88 for a domain that is
    /// not there, 6985 for one that cannot take keys yet.
    pub(crate) fn record(&self, card: &Card, kind: KeyKind) -> Result<KeyRecord, StatusWord> {
        Ok(KeyRecord {
            kind,
            secret: Default::default(),
            algorithms: self.algorithms.map(<[u8]>::to_vec),
            use_counter: self.use_counter,
            key_domain: domain_of(card, self.key_domain)?,
            made_here: true,
        })
    }
}

/// The domain a new key joins: the named one, or the only one of the device. A domain of shares takes keys only with
/// all its shares: who knows the last one could import it later and take the key out. In an exchange domain nobody
/// chooses the key encryption key, and the keys that agree on it have to be there before. A key made where no domain
/// is set up never joins one.
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
    if let KeyDomain::Shared(domain) = domain {
        domain
            .complete_kek()
            .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
    }
    Ok(Some(index))
}
