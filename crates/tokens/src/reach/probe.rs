//! Who a token says it is.

use chancery_cvc::DeviceChain;
use chancery_driver::{Card, Error, keystore};
use chancery_iso7816::{CommandApdu, ResponseApdu, StatusWord, Transport};
use chancery_schsm::{Fid, TokenInfo, fid};

/// What a token says about itself; not verified.
pub(super) struct Probed {
    pub(super) device: Option<String>,
    pub(super) label: Option<String>,
}

/// Reads device id and label.
///
/// It first reads as if the application were selected already: selecting it would log out whoever works with the token
/// through the same reader. Only a token that then does not answer is selected.
pub(super) fn probe(transport: &mut impl Transport) -> Result<Probed, Error> {
    if let Some(chain) = read(transport, fid::DEVICE_CERTIFICATES) {
        let device = DeviceChain::parse(&chain)
            .ok()
            .and_then(|chain| chain.device_name().map(|name| name.holder().to_owned()));
        if device.is_some() {
            let label = read(transport, fid::TOKEN_INFO).and_then(|content| label_of(&content));
            return Ok(Probed { device, label });
        }
    }
    let mut card = Card::new(transport).select().map_err(Error::from)?;
    let device = card
        .device_chain()
        .ok()
        .and_then(|chain| chain.device_name().map(|name| name.holder().to_owned()));
    // A label that cannot be read is no label; a link that is lost shows when the token is used.
    let label = keystore::token_info(&mut card)
        .ok()
        .flatten()
        .map(|info| info.label);
    Ok(Probed { device, label })
}

/// A file in one READ BINARY; `None` for whatever else happens.
fn read(transport: &mut impl Transport, file: Fid) -> Option<Vec<u8>> {
    let [p1, p2] = file.to_bytes();
    let command = CommandApdu::new(0x00, 0xB1, p1, p2)
        .with_data(&[0x54, 0x02, 0x00, 0x00])
        .ok()?
        .expecting(65_536)
        .extended();
    let answer = transport.transmit(&command.encode()).ok()?;
    let response = ResponseApdu::parse(&answer).ok()?;
    matches!(response.status, StatusWord(0x9000 | 0x6282)).then(|| response.data.to_vec())
}

/// The label in an EF 2F03, whose tail may be left over from a longer one.
fn label_of(content: &[u8]) -> Option<String> {
    let object = chancery_iso7816::tlv::Reader::new(content).next().ok()??;
    TokenInfo::parse(object.raw).ok().map(|info| info.label)
}
