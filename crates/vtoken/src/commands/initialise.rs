//! INITIALIZE DEVICE, and the version query that is the same command without data.

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Reader, Tag};
use zeroize::Zeroizing;

use super::pin::{SO_PIN, SO_PIN_TRIES, USER_PIN, check, most_tries, record_of};
use crate::access::{
    OPTION_PIN_AND_PKA, OPTION_REPLACE_CUSTODIANS, OPTION_RESET_ONLY, OPTION_RESET_RETRY, OPTION_SESSION_PIN,
    OPTION_TRANSPORT_PIN,
};
use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, random};
use crate::secret::SecretBytes;
use crate::session::{Granted, Session};
use crate::state::{Change, Initialisation, PinReference, Pka, SharedDomain};

/// Options the firmware knows.
const KNOWN_OPTIONS: u16 = OPTION_RESET_RETRY
    | OPTION_TRANSPORT_PIN
    | OPTION_SESSION_PIN
    | OPTION_REPLACE_CUSTODIANS
    | OPTION_PIN_AND_PKA
    | OPTION_RESET_ONLY;
/// Most key domains.
const MOST_DOMAINS: u8 = 16;
/// Most custodian keys.
const MOST_CUSTODIANS: u8 = 90;
/// Free memory in bytes, as the version query reports it.
const FREE_MEMORY: u32 = 0x0010_0000;

/// Erases everything but the device key and its certificates and sets what the data says, in one step. The first
/// initialisation sets the SO-PIN, a later one has to present it.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p1p2() != 0 {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    if command.data.is_empty() {
        let version = [&FREE_MEMORY.to_be_bytes()[..], &card.state().firmware.identity()].concat();
        return Ok(Answer::data(version));
    }
    let request = Request::parse(command.data)?;
    if request.domains.is_some() && !card.state().firmware.has_key_domains() {
        return Err(StatusWord::WRONG_DATA);
    }
    if card.state().so_pin.is_some() {
        check(card, PinReference::So, &request.so_pin).map_err(|status| match status.retries_left() {
            // Hosts take 6985 for "wrong initialization code"; VERIFY tells the tries left.
            Some(_) => StatusWord::CONDITIONS_NOT_SATISFIED,
            None => status,
        })?;
    }
    let values = request.values()?;
    card.commit(&[Change::Initialise(values)])?;
    card.session = Session::selected();
    card.session.initialised_here = Granted::to(command.protected);
    Ok(Answer::done())
}

/// The data field, checked as far as it can be without the token's state.
struct Request {
    options: u16,
    user_pin: Option<Zeroizing<Vec<u8>>>,
    so_pin: Zeroizing<Vec<u8>>,
    tries: u8,
    shares: Option<u8>,
    domains: Option<u8>,
    pka: Option<Pka>,
}

impl Request {
    fn parse(data: &[u8]) -> Result<Self, StatusWord> {
        let mut found = Found::default();
        let mut objects = Reader::new(data);
        while let Some(object) = objects.next().map_err(|_| StatusWord::WRONG_DATA)? {
            found.take(object.tag, object.value)?;
        }
        let options = u16::from_be_bytes(found.options.ok_or(StatusWord::WRONG_DATA)?);
        if options & !KNOWN_OPTIONS != 0 {
            return Err(StatusWord::FUNCTION_NOT_SUPPORTED);
        }
        let so_pin = found.so_pin.ok_or(StatusWord::WRONG_DATA)?;
        if so_pin.len() != SO_PIN {
            return Err(StatusWord::WRONG_DATA);
        }
        let tries = match (found.user_pin, found.tries) {
            (Some(pin), Some([tries])) if tries_fit(pin.len(), tries) => tries,
            (None, None) => 0,
            // Without a PIN the counter has nothing to count; some hosts send it all the same.
            (None, Some([tries])) if (1..=10).contains(&tries) => 0,
            _ => return Err(StatusWord::WRONG_DATA),
        };
        let pka = found.pka.map(custodians).transpose()?;
        let both = options & OPTION_PIN_AND_PKA != 0;
        let transport = options & OPTION_TRANSPORT_PIN != 0;
        let needs_pin = both || transport || pka.is_none();
        if (needs_pin && found.user_pin.is_none()) || (both && pka.is_none()) {
            return Err(StatusWord::WRONG_DATA);
        }
        if found
            .domains
            .is_some_and(|[count]| count == 0 || count > MOST_DOMAINS)
        {
            return Err(StatusWord::WRONG_DATA);
        }
        let secret = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        Ok(Self {
            options,
            user_pin: found.user_pin.map(secret),
            so_pin: secret(so_pin),
            tries,
            shares: found.shares.map(|[count]| count),
            domains: found.domains.map(|[count]| count),
            pka,
        })
    }

    /// What the token will hold. Nothing here can fail but the source of randomness.
    fn values(self) -> Result<Initialisation, StatusWord> {
        let transport = self.options & OPTION_TRANSPORT_PIN != 0;
        let user_pin = self
            .user_pin
            .map(|pin| record_of(&pin, self.tries, transport))
            .transpose()?;
        let mut random_kek = None;
        let mut key_domains = vec![None; usize::from(self.domains.unwrap_or_default())];
        match self.shares {
            None if key_domains.is_empty() => random_kek = Some(random_key()?),
            None => {}
            Some(shares) => {
                let domain = if shares == 0 {
                    // No share will come: a random key, under which keys leave and come back to this token only.
                    SharedDomain {
                        expected_shares: 0,
                        received_shares: 0,
                        kek: random_key()?,
                    }
                } else {
                    SharedDomain::awaiting(shares)
                };
                match key_domains.first_mut() {
                    Some(first) => *first = Some(domain),
                    None => key_domains.push(Some(domain)),
                }
            }
        }
        Ok(Initialisation {
            options: self.options,
            user_pin,
            so_pin: Some(record_of(&self.so_pin, SO_PIN_TRIES, false)?),
            key_domains,
            random_kek,
            pka: self.pka,
        })
    }
}

/// The data objects as they come.
#[derive(Default)]
struct Found<'a> {
    options: Option<[u8; 2]>,
    user_pin: Option<&'a [u8]>,
    so_pin: Option<&'a [u8]>,
    tries: Option<[u8; 1]>,
    shares: Option<[u8; 1]>,
    pka: Option<[u8; 2]>,
    domains: Option<[u8; 1]>,
}

impl<'a> Found<'a> {
    fn take(&mut self, tag: Tag, value: &'a [u8]) -> Result<(), StatusWord> {
        let new = match tag {
            Tag(0x80) => set(&mut self.options, fixed(value)?),
            Tag(0x81) => set(&mut self.user_pin, value),
            Tag(0x82) => set(&mut self.so_pin, value),
            Tag(0x91) => set(&mut self.tries, fixed(value)?),
            Tag(0x92) => set(&mut self.shares, fixed(value)?),
            Tag(0x93) => set(&mut self.pka, fixed(value)?),
            Tag(0x97) => set(&mut self.domains, fixed(value)?),
            // 95 and 96 name biometric servers, which this device has not.
            _ => false,
        };
        if new { Ok(()) } else { Err(StatusWord::WRONG_DATA) }
    }
}

fn set<T>(place: &mut Option<T>, value: T) -> bool {
    place.replace(value).is_none()
}

fn fixed<const N: usize>(value: &[u8]) -> Result<[u8; N], StatusWord> {
    value.try_into().map_err(|_| StatusWord::WRONG_DATA)
}

fn tries_fit(pin_length: usize, tries: u8) -> bool {
    USER_PIN.contains(&pin_length) && (1..=most_tries(pin_length)).contains(&tries)
}

/// DO 93: m keys to register, then n keys required.
fn custodians([total, required]: [u8; 2]) -> Result<Pka, StatusWord> {
    if required == 0 || required > total || total > MOST_CUSTODIANS {
        return Err(StatusWord::WRONG_DATA);
    }
    Ok(Pka {
        required,
        slots: vec![None; usize::from(total)],
    })
}

fn random_key() -> Result<SecretBytes, StatusWord> {
    let mut key = Zeroizing::new(vec![0; 32]);
    random(&mut key)?;
    Ok(SecretBytes::new(key))
}
