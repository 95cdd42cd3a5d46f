//! DERIVE EC KEY: another key from one in the store.

use chancery_iso7816::StatusWord;

use super::generate;
use super::request::Names;
use super::sign::permit;
use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Card, Outcome, refused};
use crate::crypto::PrivateKey;
use crate::secret::SecretBytes;
use crate::state::KeyRecord;

/// First byte of the data, and the entry in a key's algorithm list that permits derivation.
const DERIVE: u8 = 0x98;
/// Characters of a holder reference that number the key.
const SEQUENCE: usize = 5;

/// P1: id of the key, P2: id of the new one, which is created or replaced. The data is 98 and, without a length, the
/// parameter: the new private number is the old one plus the parameter modulo the order of the curve. Its request stands
/// in CExx afterwards, with the device's serial number and the key id for a name.
///
/// Who has the new key and the parameter has the old key, too: the new one may do no more and is in the same domain. Who
/// has the old one has the new: its request would call a key made here that somebody outside chose, so only keys made
/// here are derived from (6985). A key with a use counter is not either: each new key would count anew.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    let (id, new) = (command.p1, command.p2);
    if new == 0 || new == id {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    card.require(Act::UseKeys)?;
    permit(card, id, DERIVE)?;
    let key = card.key(id)?;
    let PrivateKey::Ec(key) = &*key else {
        return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
    };
    let record = card
        .state()
        .keys
        .get(&id)
        .ok_or(StatusWord::REFERENCE_NOT_FOUND)?
        .clone();
    if !record.made_here || record.use_counter.is_some() {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    let &[DERIVE, ref parameter @ ..] = command.data else {
        return Err(StatusWord::WRONG_DATA);
    };
    if parameter.is_empty() {
        return Err(StatusWord::WRONG_DATA);
    }
    let derived = key.tweaked(parameter).map_err(refused)?;
    let secret = derived.to_pkcs8().map_err(refused)?;
    let record = KeyRecord {
        secret: SecretBytes::new(secret),
        ..record
    };
    let device = &card.state().device.chr;
    let serial = device
        .get(..device.len().saturating_sub(SEQUENCE))
        .unwrap_or(device);
    let holder = format!("{serial}{new:05}");
    let names = Names {
        authority: None,
        holder: holder.as_bytes(),
    };
    generate::store(card, new, &names, &PrivateKey::Ec(derived), record)
}
