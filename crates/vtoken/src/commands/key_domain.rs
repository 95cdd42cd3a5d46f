//! MANAGE KEY DOMAIN: domains, and the shares of their key encryption keys.

use chancery_iso7816::StatusWord;
use chancery_schsm::{Kcv, Kek, KeyDomainStatus};
use zeroize::Zeroizing;

use super::exchange;
use crate::access::Act;
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome};
use crate::secret::SecretBytes;
use crate::state::{Change, ExchangeDomain, KeyDomain, SharedDomain};

/// Length of a share and of a key encryption key in bytes.
const SHARE: usize = 32;

/// P1: 00 status or import of a share, 01 create, 02 create by membership in a group, 03 delete, 04 delete the key
/// encryption key. P2: the domain.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    let index = command.p2;
    if card.state().key_domains.is_empty() {
        return Err(StatusWord::INSTRUCTION_NOT_SUPPORTED);
    }
    let slot = card
        .state()
        .key_domains
        .get(usize::from(index))
        .ok_or(StatusWord::INCORRECT_P1_P2)?
        .clone();
    if command.p1 != 0 && !card.state().firmware.has_key_domains() {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    match command.p1 {
        0x00 if command.data.is_empty() => status(&slot),
        0x00 => import(card, index, slot, command.data),
        0x01 => {
            card.require(Act::ManageDomains)?;
            create(card, index, slot.is_some(), command.data)
        }
        0x03 => {
            card.require(Act::ManageDomains)?;
            unused(card, index)?;
            slot.ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
            card.commit(&[Change::PutKeyDomain { index, domain: None }])?;
            Ok(Answer::done())
        }
        0x02 => {
            card.require(Act::ManageDomains)?;
            join(card, index, slot.is_some(), command.data)
        }
        0x04 => {
            card.require(Act::ManageDomains)?;
            match slot.ok_or(StatusWord::REFERENCE_NOT_FOUND)? {
                KeyDomain::Shared(domain) => {
                    unused(card, index)?;
                    if domain.expected_shares == 0 {
                        // Nobody holds shares of a random key: without it the domain is of no use.
                        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
                    }
                    put(card, index, SharedDomain::awaiting(domain.expected_shares))
                }
                // Its keys stay: another key encryption key comes from the same group only.
                KeyDomain::Exchange(domain) => {
                    put_exchange(card, index, ExchangeDomain { kek: None, ..domain })
                }
            }
        }
        _ => Err(StatusWord::INCORRECT_P1_P2),
    }
}

/// Adds a share, from anybody: a share alone opens nothing, and a domain has no keys before its last share. One that
/// has some all the same, from before this was so, takes none: its key encryption key would be the importer's choice.
fn import(card: &mut Card, index: u8, slot: Option<KeyDomain>, share: &[u8]) -> Outcome {
    if share.len() != SHARE {
        return Err(StatusWord::WRONG_LENGTH);
    }
    let KeyDomain::Shared(domain) = slot.ok_or(StatusWord::REFERENCE_NOT_FOUND)? else {
        return Err(StatusWord::COMMAND_NOT_ALLOWED);
    };
    if domain.complete_kek().is_some() {
        return Err(StatusWord::COMMAND_NOT_ALLOWED);
    }
    unused(card, index)?;
    let sum: Zeroizing<Vec<u8>> = Zeroizing::new(
        domain
            .kek
            .expose()
            .iter()
            .zip(share)
            .map(|(one, other)| one ^ other)
            .collect(),
    );
    let received_shares = domain.received_shares.saturating_add(1);
    put(
        card,
        index,
        SharedDomain {
            received_shares,
            kek: SecretBytes::new(sum),
            ..domain
        },
    )
}

fn create(card: &mut Card, index: u8, exists: bool, data: &[u8]) -> Outcome {
    let &[shares @ 1..=u8::MAX] = data else {
        return Err(StatusWord::WRONG_DATA);
    };
    if exists {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    put(card, index, SharedDomain::awaiting(shares))
}

/// The data comes with the command or waits in EF 2F10.
fn join(card: &mut Card, index: u8, exists: bool, data: &[u8]) -> Outcome {
    if exists {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    let data = card.long_data(data);
    let domain = exchange::admitted(card, &data)?;
    put_exchange(card, index, domain)
}

/// A domain that holds keys stays: under another key encryption key they could leave to other tokens.
fn unused(card: &Card, index: u8) -> Result<(), StatusWord> {
    if card
        .state()
        .keys
        .values()
        .any(|key| key.key_domain == Some(index))
    {
        Err(StatusWord::ALREADY_EXISTS)
    } else {
        Ok(())
    }
}

fn put(card: &mut Card, index: u8, domain: SharedDomain) -> Outcome {
    let answer = status(&Some(KeyDomain::Shared(domain.clone())));
    card.commit(&[Change::PutKeyDomain {
        index,
        domain: Some(domain),
    }])?;
    answer
}

fn put_exchange(card: &mut Card, index: u8, domain: ExchangeDomain) -> Outcome {
    let answer = status(&Some(KeyDomain::Exchange(domain.clone())));
    card.commit(&[Change::PutExchangeDomain { index, domain }])?;
    answer
}

fn status(slot: &Option<KeyDomain>) -> Outcome {
    let domain = slot.as_ref().ok_or(StatusWord::REFERENCE_NOT_FOUND)?;
    let kcv = match domain.complete_kek() {
        Some(kek) => Kek::from_slice(kek.expose())
            .map_err(|_| StatusWord::UNKNOWN_ERROR)?
            .kcv(),
        None => Kcv::NONE,
    };
    let status = match domain {
        KeyDomain::Shared(domain) => KeyDomainStatus {
            shares: domain.expected_shares,
            outstanding: domain.expected_shares.saturating_sub(domain.received_shares),
            kcv,
            uid: None,
        },
        KeyDomain::Exchange(domain) => KeyDomainStatus {
            shares: 0,
            outstanding: 0,
            kcv,
            uid: Some(domain.uid.clone()),
        },
    };
    Ok(Answer::data(status.encode()))
}
