//! Examining a recorded channel: keys computed again, every message protected or opened again.

use chancery_cvc::{AuthenticatedRequest, DeviceIdentity, PublicKey};
use chancery_iso7816::tlv::{Reader, Tag};
use chancery_iso7816::{CommandApdu, ResponseApdu, StatusWord};
use chancery_schsm::secure_messaging::{ChannelKeys, HostChannel, NONCE_LENGTH};
use chancery_schsm::{Algorithm, AlgorithmList, KeyDomainStatus};
use openssl::bn::{BigNum, BigNumContext};
use openssl::derive::Deriver;
use openssl::ec::{EcKey, EcPoint, PointConversionForm};
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use serde::Serialize;

use crate::evidence::ChainFinding;
use crate::transcript::{Recorded, Transcript};
use crate::verdict::ChannelVerdict;

/// Why a transcript counts for who examines it. To everybody else it shows what whoever recorded it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// Who examines it says to have held the channel, and that nobody else could write to the file since.
    SaidByCaller,
    /// It is in the archive of the installation that recorded it.
    OwnArchive,
}

/// What a recorded channel shows.
#[derive(Clone, Debug)]
pub struct ChannelFinding {
    /// The result.
    pub verdict: ChannelVerdict,
    /// Why, where the verdict alone does not say it.
    pub detail: Option<String>,
    /// The key that was generated in it, when all of it is authentic.
    pub generated: Option<GeneratedInChannel>,
}

/// A key that was generated through a channel, with the attributes it was asked for and what the token said of it
/// afterwards. Evidence for who held the channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GeneratedInChannel {
    /// The request the token answered with, hexadecimal.
    #[serde(skip)]
    pub request: Vec<u8>,
    /// Id of the key on the token.
    pub key_id: u8,
    /// What was asked for.
    pub asked: Attributes,
    /// What the token said of the key through the channel; `None` when it was not asked.
    pub reported: Option<Attributes>,
    /// What the token said of the key domain through the channel; `None` when it was not asked or has none.
    pub domain: Option<Domain>,
}

/// Attributes of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attributes {
    /// Algorithm identifiers the key may be used with, hexadecimal; empty for no restriction.
    pub algorithms: Vec<String>,
    /// Whether the list permits wrapping; `None` without a list.
    pub wrap_listed: Option<bool>,
    /// Key domain.
    pub key_domain: Option<u8>,
    /// Uses the key has.
    pub use_counter: Option<u32>,
}

/// A key domain as the token described it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Domain {
    /// Its number.
    pub number: u8,
    /// Shares of its key encryption key.
    pub shares: u8,
    /// Shares that were missing.
    pub outstanding: u8,
    /// Check value, hexadecimal.
    pub kcv: String,
    /// Identifier of an exchange domain, hexadecimal.
    pub uid: Option<String>,
}

impl ChannelFinding {
    /// Examines a transcript whose chain was examined already, for who held the channel (`held`) or for anybody else.
    #[must_use]
    pub fn examine(transcript: &Transcript, chain: &ChainFinding, held: Option<Held>) -> Self {
        let failed = |verdict, detail: &str| Self {
            verdict,
            detail: Some(detail.to_owned()),
            generated: None,
        };
        let Some(device) = chain.identity() else {
            return failed(ChannelVerdict::ChainNotAuthentic, "the chain in the transcript");
        };
        let keys = match keys(transcript, device) {
            Ok(Some(keys)) => keys,
            Ok(None) => return failed(ChannelVerdict::Malformed, "ephemeral key, nonce or device key"),
            Err(_) => return failed(ChannelVerdict::Malformed, "the ephemeral key"),
        };
        let Some(keys) = keys.proven(&transcript.token) else {
            return failed(
                ChannelVerdict::NotAuthentic,
                "the token's proof does not fit the device key and the nonce",
            );
        };
        let mut channel = HostChannel::new(keys);
        let mut messages = Vec::new();
        for (number, exchange) in transcript.exchanges.iter().enumerate() {
            match replay(&mut channel, exchange) {
                Some(message) => messages.push(message),
                None => {
                    let detail = format!("message {} is not what the channel makes of it", number + 1);
                    return failed(ChannelVerdict::NotAuthentic, &detail);
                }
            }
        }
        let generated = generated(&messages);
        Self {
            verdict: match (&generated, held) {
                (Some(_), Some(_)) => ChannelVerdict::Authentic,
                (Some(_), None) => ChannelVerdict::Consistent,
                (None, _) => ChannelVerdict::NoGeneration,
            },
            detail: generated
                .as_ref()
                .map(|generated| format!("key {} of {}", generated.key_id, device.serial())),
            generated,
        }
    }
}

/// Keys of a channel with the host's public point.
struct Derived {
    keys: ChannelKeys,
    point: Vec<u8>,
}

impl Derived {
    fn proven(self, token: &[u8]) -> Option<ChannelKeys> {
        self.keys.token_matches(&self.point, token).then_some(self.keys)
    }
}

fn keys(transcript: &Transcript, device: &DeviceIdentity) -> Result<Option<Derived>, ErrorStack> {
    let PublicKey::Ec(device_key) = device.device_key() else {
        return Ok(None);
    };
    let Ok(nonce) = <[u8; NONCE_LENGTH]>::try_from(transcript.nonce.as_slice()) else {
        return Ok(None);
    };
    let (Ok(group), Ok(peer)) = (device_key.domain().group(), device_key.to_ec_key()) else {
        return Ok(None);
    };
    let private = BigNum::from_slice(&transcript.ephemeral)?;
    let mut order = BigNum::new()?;
    let mut context = BigNumContext::new()?;
    group.order(&mut order, &mut context)?;
    if private.num_bits() == 0 || private >= order {
        return Ok(None);
    }
    let mut point = EcPoint::new(&group)?;
    point.mul_generator2(&group, &private, &mut context)?;
    let own = PKey::from_ec_key(EcKey::from_private_components(&group, &private, &point)?)?;
    let peer = PKey::from_ec_key(peer)?;
    let mut deriver = Deriver::new(&own)?;
    deriver.set_peer(&peer)?;
    let shared = deriver.derive_to_vec()?;
    Ok(Some(Derived {
        keys: ChannelKeys::derive(transcript.protocol, &shared, &nonce),
        point: point.to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context)?,
    }))
}

/// A message that is authentic: command and answer in clear.
struct Message {
    command: CommandApdu,
    response: ResponseApdu,
}

fn replay(channel: &mut HostChannel, exchange: &Recorded) -> Option<Message> {
    let command = CommandApdu::parse(&exchange.command).ok()?;
    // One spelling of the command only.
    if *command.encode() != exchange.command {
        return None;
    }
    let protected = channel.protect_command(&command).ok()?;
    if *protected.encode() != exchange.protected_command {
        return None;
    }
    let outer = ResponseApdu::parse(&exchange.protected_response).ok()?;
    if outer.status != StatusWord::OK {
        return None;
    }
    let response = channel.unprotect_response(&outer).ok()?;
    Some(Message { command, response })
}

/// The key generation among the messages, the last when there are several, and what the token said after it.
fn generated(messages: &[Message]) -> Option<GeneratedInChannel> {
    let at = messages.iter().rposition(|message| {
        message.command.class & 0x7F == 0
            && message.command.instruction == GENERATE
            && message.response.status == StatusWord::OK
    })?;
    let (generation, after) = messages.get(at..)?.split_first()?;
    AuthenticatedRequest::parse(&generation.response.data).ok()?;
    let key_id = generation.command.p1;
    let mut found = GeneratedInChannel {
        request: generation.response.data.to_vec(),
        key_id,
        asked: asked(generation.command.data())?,
        reported: None,
        domain: None,
    };
    for message in after
        .iter()
        .filter(|message| message.response.status == StatusWord::OK)
    {
        let command = &message.command;
        match (command.class & 0x7F, command.instruction) {
            (0, SELECT) if command.data() == [KEY_PREFIX, key_id] => {
                found.reported = reported(&message.response.data);
            }
            (0, KEY_DOMAIN) if command.p1 == 0 && command.data().is_empty() => {
                found.domain = domain(command.p2, &message.response.data);
            }
            _ => {}
        }
    }
    Some(found)
}

/// The attributes in the data of a key generation: 90, 91 and 92 beside the key.
fn asked(data: &[u8]) -> Option<Attributes> {
    let mut attributes = Attributes::default();
    let mut fields = Reader::new(data);
    while let Some(field) = fields.next().ok()? {
        attributes.take(field.tag, field.value)?;
    }
    Some(attributes)
}

/// The attributes in the answer to SELECT of a key: in DO A5 of the FCI.
fn reported(fci: &[u8]) -> Option<Attributes> {
    let mut attributes = Attributes::default();
    let mut fields = Reader::new(fci).next().ok()??.children();
    while let Some(field) = fields.next().ok()? {
        if field.tag == OWN_ATTRIBUTES {
            let mut own = field.children();
            while let Some(attribute) = own.next().ok()? {
                attributes.take(attribute.tag, attribute.value)?;
            }
        }
    }
    Some(attributes)
}

fn domain(number: u8, answer: &[u8]) -> Option<Domain> {
    let status = KeyDomainStatus::parse(answer).ok()?;
    Some(Domain {
        number,
        shares: status.shares,
        outstanding: status.outstanding,
        kcv: hex::encode_upper(status.kcv.0),
        uid: status.uid.map(hex::encode),
    })
}

impl Attributes {
    /// Takes one attribute; `None` when its value cannot be one.
    fn take(&mut self, tag: Tag, value: &[u8]) -> Option<()> {
        match tag {
            Tag(0x90) => self.use_counter = Some(u32::from_be_bytes(value.try_into().ok()?)),
            Tag(0x91) => {
                let list = AlgorithmList::from_ids(value).ok()?;
                self.wrap_listed = (!list.is_unrestricted()).then(|| list.allows(Algorithm::Wrap));
                self.algorithms = list.ids().iter().map(|id| format!("{id:02X}")).collect();
            }
            Tag(0x92) => {
                let [domain] = value else { return None };
                self.key_domain = Some(*domain);
            }
            _ => {}
        }
        Some(())
    }
}

const GENERATE: u8 = 0x46;
const SELECT: u8 = 0xA4;
const KEY_DOMAIN: u8 = 0x52;
const KEY_PREFIX: u8 = 0xCC;
const OWN_ATTRIBUTES: Tag = Tag(0xA5);
