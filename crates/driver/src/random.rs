//! GET CHALLENGE as a source of random bytes (reference: ISO/IEC 7816-4 11.5.3).

use chancery_iso7816::{CommandApdu, Transport};
use zeroize::Zeroizing;

use crate::error::{Doing, Error};
use crate::session::Session;

/// Most random bytes the card gives in one answer.
const MAX_RANDOM: u16 = 1024;

impl<T: Transport> Session<T> {
    /// `length` random bytes from the card, at most 1024.
    ///
    /// On a token with custodians this draws a new challenge: a pending one is gone.
    pub(crate) fn random(&mut self, length: u16) -> Result<Zeroizing<Vec<u8>>, Error> {
        let doing = Doing::new("GET CHALLENGE", format!("{length} random bytes"));
        if length == 0 || length > MAX_RANDOM {
            return Err(Error::input(
                &doing,
                format!("one answer holds 1 to {MAX_RANDOM} random bytes"),
            ));
        }
        let command = CommandApdu::new(0x00, 0x84, 0x00, 0x00).expecting(length.into());
        let response = self.link.expect_ok(&doing, Ok(command), Error::refused)?;
        if response.data.len() != usize::from(length) {
            return Err(Error::protocol(&doing, "another number of bytes than asked for"));
        }
        Ok(response.data)
    }
}
