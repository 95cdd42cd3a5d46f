//! WRAP and UNWRAP: a key out of and into a token, enciphered under the key encryption key of its domain.

use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::KeyId;

use crate::error::{Doing, Error};
use crate::session::Session;

impl<T: Transport> Session<T> {
    /// The key as a blob; the key must permit it and its domain must have a complete KEK.
    pub(crate) fn wrap(&mut self, id: KeyId) -> Result<Vec<u8>, Error> {
        let doing = Doing::new("WRAP", format!("key {id}"));
        let command = CommandApdu::new(0x80, 0x72, id.0, 0x92)
            .expecting(65_536)
            .extended();
        let response = self
            .link
            .expect_ok(&doing, Ok(command), |doing, status| match status.0 {
                0x6981 | 0x6984 | 0x6985 | 0x6A81 => Error::UseNotPermitted {
                    doing: doing.clone(),
                    status,
                },
                0x6A82 => Error::NoSuchKey {
                    doing: doing.clone(),
                    status,
                },
                _ => Error::refused(doing, status),
            })?;
        Ok(response.data.to_vec())
    }

    /// Puts a wrapped key under `id`, which must be free: the card would replace a key without a word.
    pub(crate) fn unwrap_key(&mut self, id: KeyId, blob: &[u8]) -> Result<(), Error> {
        let doing = Doing::new("UNWRAP", format!("key {id}"));
        if id.0 == 0 {
            return Err(Error::input(&doing, "key id 00 is the device's own key"));
        }
        if self.key_attributes(id)?.is_some() {
            return Err(Error::KeyExists { doing });
        }
        let command = self.oversize(CommandApdu::new(0x80, 0x74, id.0, 0x93), blob)?;
        self.link.expect_ok(&doing, command, wrong_kek).map(drop)
    }
}

/// Cards do not agree on how they say that the blob does not fit.
fn wrong_kek(doing: &Doing, status: StatusWord) -> Error {
    match status.0 {
        0x6400 | 0x6984 | 0x6985 | 0x6A80 | 0x6A88 => Error::WrongKek {
            doing: doing.clone(),
            status,
        },
        _ => Error::refused(doing, status),
    }
}
