//! MANAGE KEY DOMAIN: state of a key domain and import of DKEK shares.

use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::{KekShare, KeyDomainStatus};

use crate::error::{Doing, Error};
use crate::session::Session;

/// Key domains looked at before a card that never says "no more" is given up.
pub(crate) const MAX_DOMAINS: u8 = 64;

impl<T: Transport> Session<T> {
    /// State of key domain `domain`; `None` when the token has no such domain.
    pub(crate) fn key_domain(&mut self, domain: u8) -> Result<Option<KeyDomainStatus>, Error> {
        let doing = Doing::new("MANAGE KEY DOMAIN", format!("status of domain {domain}"));
        let command = CommandApdu::new(0x80, 0x52, 0x00, domain).expecting(256);
        let response = self.link.exchange(&doing, Ok(command))?;
        match response.status {
            StatusWord::OK => parse_status(&doing, &response.data).map(Some),
            // No domains at all; beyond the last; not created.
            StatusWord(0x6D00 | 0x6A86 | 0x6A88 | 0x6B00) => Ok(None),
            status => Err(Error::refused(&doing, status)),
        }
    }

    /// Every domain that exists, with its number.
    pub(crate) fn key_domains(&mut self) -> Result<Vec<(u8, KeyDomainStatus)>, Error> {
        let mut found = Vec::new();
        for domain in 0..MAX_DOMAINS {
            let doing = Doing::new("MANAGE KEY DOMAIN", format!("status of domain {domain}"));
            let command = CommandApdu::new(0x80, 0x52, 0x00, domain).expecting(256);
            let response = self.link.exchange(&doing, Ok(command))?;
            match response.status {
                StatusWord::OK => found.push((domain, parse_status(&doing, &response.data)?)),
                StatusWord(0x6A88) => {}
                StatusWord(0x6D00 | 0x6A86 | 0x6B00) => break,
                status => return Err(Error::refused(&doing, status)),
            }
        }
        Ok(found)
    }

    /// Imports one share of the domain's DKEK; needs no PIN.
    pub(crate) fn import_share(&mut self, domain: u8, share: &KekShare) -> Result<KeyDomainStatus, Error> {
        let doing = Doing::new("MANAGE KEY DOMAIN", format!("DKEK share for domain {domain}"));
        let command = CommandApdu::new(0x80, 0x52, 0x00, domain)
            .with_data(share.secret_bytes())
            .map(|c| c.expecting(256));
        let response = self.link.expect_ok(&doing, command, Error::refused)?;
        parse_status(&doing, &response.data)
    }
}

pub(crate) fn parse_status(doing: &Doing, data: &[u8]) -> Result<KeyDomainStatus, Error> {
    KeyDomainStatus::parse(data).map_err(|error| Error::protocol(doing, error.to_string()))
}
