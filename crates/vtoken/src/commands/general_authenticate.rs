//! GENERAL AUTHENTICATE: chip authentication version 2 (BSI TR-03110-3 A.4, B.3), which opens a secure channel.

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Reader, Tag, Writer};
use chancery_schsm::secure_messaging::{CardChannel, ChannelKeys, NONCE_LENGTH};

use crate::apdu::Command;
use crate::card::{Answer, Card, Outcome, random, refused};
use crate::crypto::Curve;

/// Dynamic authentication data.
const TEMPLATE: Tag = Tag(0x7C);

/// The data is `7C { 80 ephemeral public key }` on the curve of the device key, the answer `7C { 81 nonce, 82 token }`.
/// MANAGE SECURITY ENVIRONMENT has to have chosen the protocol. Nobody has to be authenticated: the channel proves the
/// device to the host, not the host to the device.
pub(crate) fn run(card: &mut Card, command: &Command<'_>) -> Outcome {
    if command.p1p2() != 0 {
        return Err(StatusWord::INCORRECT_P1_P2);
    }
    let protocol = card
        .session
        .protocol
        .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
    let ephemeral = ephemeral(command.data).ok_or(StatusWord::WRONG_DATA)?;
    if command.expected == 0 {
        // Without the nonce the host cannot follow.
        return Err(StatusWord::WRONG_LENGTH);
    }
    let peer = Curve::Brainpool256.point(ephemeral).map_err(refused)?;
    let shared = card.device_key()?.agree(&peer).map_err(refused)?;
    let x = shared
        .get(1..=Curve::Brainpool256.field_length())
        .ok_or(StatusWord::UNKNOWN_ERROR)?;
    let mut nonce = [0; NONCE_LENGTH];
    random(&mut nonce)?;
    let keys = ChannelKeys::derive(protocol, x, &nonce);
    let token = keys.token(ephemeral);
    card.session.channel = Some(CardChannel::new(keys));
    let mut answer = Writer::new();
    answer.nested(TEMPLATE, |fields| {
        fields.tlv(Tag(0x81), &nonce).tlv(Tag(0x82), &token);
    });
    Ok(Answer::data(answer.finish()))
}

fn ephemeral(data: &[u8]) -> Option<&[u8]> {
    let mut objects = Reader::new(data);
    let template = objects.expect(TEMPLATE).ok()?;
    objects.finish().ok()?;
    let mut fields = template.children();
    let key = fields.expect(Tag(0x80)).ok()?;
    fields.finish().ok()?;
    Some(key.value)
}
