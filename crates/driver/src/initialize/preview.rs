//! The command as it would be sent, for people, without its PINs.

use std::fmt::Write as _;

use chancery_iso7816::tlv::{Reader, Tag};

use super::Initialize;
use crate::error::Error;

impl Initialize {
    /// The command APDU in hexadecimal, each data object on its own. Nothing of a PIN is shown, not even how long it is: for its
    /// bytes, its length, and the length of the whole stands `**`.
    ///
    /// # Errors
    /// The rules of [`Self::check`].
    pub fn preview(&self) -> Result<String, Error> {
        self.check()?;
        let data = self.encode();
        let mut text = "80 50 00 00 **".to_owned();
        let mut objects = Reader::new(&data);
        while let Ok(Some(object)) = objects.next() {
            // Writing to a string cannot fail.
            let _ = write!(text, "  {:02X}", object.tag.0);
            if matches!(object.tag, Tag(0x81 | 0x82)) {
                text.push_str(" ** **");
                continue;
            }
            let _ = write!(text, " {:02X}", object.value.len());
            for byte in object.value {
                let _ = write!(text, " {byte:02X}");
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use chancery_schsm::InitializeOptions;

    use super::*;
    use crate::{Pin, SoPin};

    #[test]
    fn the_command_is_shown_without_pins() {
        let setup = Initialize {
            options: InitializeOptions::RESET_RETRY_COUNTER,
            user_pin: Some(Pin::new("648219").unwrap()),
            so_pin: SoPin::from_hex("3537363231383830").unwrap(),
            retry: 3,
            dkek_shares: Some(1),
            quorum: None,
            domains: None,
        };
        let shown = "80 50 00 00 **  80 02 00 01  81 ** **  82 ** **  91 01 03  92 01 01";
        assert_eq!(setup.preview().unwrap(), shown);
        let longer = Initialize {
            user_pin: Some(Pin::new("6482193571").unwrap()),
            ..setup.clone()
        };
        assert_eq!(longer.preview().unwrap(), shown);
        assert!(Initialize { retry: 9, ..setup }.preview().is_err());
    }
}
