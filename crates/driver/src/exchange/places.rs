//! The places a token has for key domains.

use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::KeyDomainStatus;

use crate::domain::{MAX_DOMAINS, parse_status};
use crate::error::{Doing, Error};
use crate::session::{AppletAccess, Session};

/// Every place for a key domain, by its number: `None` while it is free. Empty on a token set up without key domains. One command
/// for each, and one more.
///
/// # Errors
/// A command failed.
pub fn places(card: &mut impl AppletAccess) -> Result<Vec<Option<KeyDomainStatus>>, Error> {
    card.session().places()
}

impl<T: Transport> Session<T> {
    fn places(&mut self) -> Result<Vec<Option<KeyDomainStatus>>, Error> {
        let mut places = Vec::new();
        for number in 0..MAX_DOMAINS {
            let doing = Doing::new("MANAGE KEY DOMAIN", format!("status of domain {number}"));
            let command = CommandApdu::new(0x80, 0x52, 0x00, number).expecting(256);
            let response = self.link.exchange(&doing, Ok(command))?;
            match response.status {
                StatusWord::OK => places.push(Some(parse_status(&doing, &response.data)?)),
                StatusWord(0x6A88) => places.push(None),
                StatusWord(0x6D00 | 0x6A86 | 0x6B00) => return Ok(places),
                status => return Err(Error::refused(&doing, status)),
            }
        }
        let doing = Doing::new("MANAGE KEY DOMAIN", "status");
        Err(Error::protocol(&doing, "more key domains than any token has"))
    }
}
