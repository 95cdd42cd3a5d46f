//! Chip authentication: MSE SET AT, GENERAL AUTHENTICATE, and the keys that follow.

use chancery_cvc::{DeviceIdentity, PublicKey};
use chancery_iso7816::tlv::{Reader, Tag, TlvError, Writer};
use chancery_iso7816::{ApduError, CommandApdu, ResponseApdu, StatusWord, Transport};
use chancery_schsm::secure_messaging::{ChannelKeys, NONCE_LENGTH, Protocol, TOKEN_LENGTH};
use openssl::bn::BigNumContext;
use openssl::derive::Deriver;
use openssl::ec::{EcKey, PointConversionForm};
use openssl::pkey::{PKey, Private, Public};
use zeroize::Zeroizing;

use super::error::ChannelError;

/// What was agreed on with a token that has proved itself.
pub(super) struct Agreement {
    pub(super) keys: ChannelKeys,
    pub(super) ephemeral: EcKey<Private>,
    pub(super) nonce: [u8; NONCE_LENGTH],
    pub(super) token: [u8; TOKEN_LENGTH],
}

impl Agreement {
    /// Agrees on keys with the device, in the best protocol it knows, and checks that it has its private key.
    pub(super) fn with(
        transport: &mut impl Transport,
        device: &DeviceIdentity,
    ) -> Result<Self, ChannelError> {
        let device_key = match device.device_key() {
            PublicKey::Ec(key) => key.to_ec_key().map_err(ChannelError::DeviceKey)?,
            PublicKey::EcPointOnly(_) | PublicKey::Rsa(_) => return Err(ChannelError::NoCurve),
        };
        let protocol = choose_protocol(transport)?;
        let ephemeral = EcKey::generate(device_key.group()).map_err(ChannelError::Crypto)?;
        let point = BigNumContext::new()
            .and_then(|mut context| {
                let form = PointConversionForm::UNCOMPRESSED;
                ephemeral
                    .public_key()
                    .to_bytes(ephemeral.group(), form, &mut context)
            })
            .map_err(ChannelError::Crypto)?;
        let response = send(transport, general_authenticate(&point))?;
        if response.status != StatusWord::OK {
            return Err(ChannelError::Refused {
                status: response.status,
            });
        }
        let (nonce, token) = parse_answer(&response.data).map_err(|_| ChannelError::Answer)?;
        let shared = shared_secret(&ephemeral, device_key)?;
        let keys = ChannelKeys::derive(protocol, &shared, &nonce);
        if !keys.token_matches(&point, &token) {
            return Err(ChannelError::NotTheDevice);
        }
        Ok(Self {
            keys,
            ephemeral,
            nonce,
            token,
        })
    }
}

/// MSE SET AT with each protocol until the card takes one. Old cards know triple DES alone and answer 6A80 to AES.
fn choose_protocol(transport: &mut impl Transport) -> Result<Protocol, ChannelError> {
    let mut status = StatusWord::OK;
    for protocol in Protocol::ALL {
        let mut reference = Writer::new();
        reference.tlv(Tag(0x80), protocol.oid());
        let command = CommandApdu::new(0x00, 0x22, 0x41, 0xA4).with_data(&reference.finish());
        status = send(transport, command)?.status;
        match status.0 {
            0x9000 => return Ok(protocol),
            0x6A80 => {}
            _ => break,
        }
    }
    Err(ChannelError::Refused { status })
}

fn general_authenticate(point: &[u8]) -> Result<CommandApdu, ApduError> {
    let mut data = Writer::new();
    data.nested(Tag(0x7C), |fields| {
        fields.tlv(Tag(0x80), point);
    });
    CommandApdu::new(0x00, 0x86, 0x00, 0x00)
        .with_data(&data.finish())
        .map(|command| command.expecting(256))
}

/// `7C { 81 nonce, 82 token }`.
fn parse_answer(data: &[u8]) -> Result<([u8; NONCE_LENGTH], [u8; TOKEN_LENGTH]), TlvError> {
    let mut outer = Reader::new(data);
    let mut fields = outer.expect(Tag(0x7C))?.children();
    outer.finish()?;
    let nonce = fields.expect(Tag(0x81))?.value;
    let token = fields.expect(Tag(0x82))?.value;
    fields.finish()?;
    let wrong = |expected| TlvError::Missing { offset: 0, expected };
    Ok((
        nonce.try_into().map_err(|_| wrong(Tag(0x81)))?,
        token.try_into().map_err(|_| wrong(Tag(0x82)))?,
    ))
}

/// x coordinate of the common point, as long as the field.
fn shared_secret(
    ephemeral: &EcKey<Private>,
    device: EcKey<Public>,
) -> Result<Zeroizing<Vec<u8>>, ChannelError> {
    let agree = || {
        let own = PKey::from_ec_key(ephemeral.clone())?;
        let peer = PKey::from_ec_key(device)?;
        let mut deriver = Deriver::new(&own)?;
        deriver.set_peer(&peer)?;
        deriver.derive_to_vec().map(Zeroizing::new)
    };
    agree().map_err(ChannelError::Crypto)
}

fn send(
    transport: &mut impl Transport,
    command: Result<CommandApdu, ApduError>,
) -> Result<ResponseApdu, ChannelError> {
    let command = command.map_err(|_| ChannelError::Answer)?;
    let answer = transport
        .transmit(&command.encode())
        .map_err(ChannelError::Link)?;
    let response = ResponseApdu::parse(&answer).map_err(|_| ChannelError::Answer)?;
    tracing::debug!(
        instruction = "chip authentication",
        received = answer.len(),
        status = format_args!("{:04X}", response.status.0),
        "card command"
    );
    Ok(response)
}
