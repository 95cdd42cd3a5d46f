//! INITIALIZE DEVICE: erases a token and sets PINs, quorum and key domains.

mod preview;

use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::InitializeOptions;
use zeroize::Zeroizing;

use crate::error::{Doing, Error};
use crate::secret::{Pin, SoPin};
use crate::session::Session;

/// Unlock quorum: `required` of `total` custodian keys must answer the token's challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Keys that must answer (n), 1 to `total`.
    pub required: u8,
    /// Keys to register (m), 1 to 90.
    pub total: u8,
}

/// What a token is set up with. Everything on it but its device key and certificate is erased.
#[derive(Clone, Debug)]
pub struct Initialize {
    /// Option word.
    pub options: InitializeOptions,
    /// Initial user (or transport) PIN; only a token with a quorum may do without.
    pub user_pin: Option<Pin>,
    /// SO-PIN: set by the first initialisation, to be presented by each later one, which costs one of its 15
    /// tries when it is wrong.
    pub so_pin: SoPin,
    /// Tries of the user PIN: at most 3 with 6 bytes of PIN, 5 with 7, otherwise 10.
    pub retry: u8,
    /// DKEK shares of key domain 0; without this and `domains`, keys can never be wrapped.
    pub dkek_shares: Option<u8>,
    /// Unlock by custodians.
    pub quorum: Option<Quorum>,
    /// Number of key domains, each to be created before use.
    pub domains: Option<u8>,
}

impl Initialize {
    /// Checks the rules a token enforces, so that no command is spent on what cannot be accepted.
    ///
    /// # Errors
    /// [`Error::Input`] naming the rule.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |reason: &'static str| Err(Error::input(&doing(), reason));
        if self.user_pin.is_none() && self.quorum.is_none() {
            return refuse("a token needs a user PIN, a quorum, or both");
        }
        if self.options.contains(InitializeOptions::PIN_AND_PUBLIC_KEYS)
            && (self.user_pin.is_none() || self.quorum.is_none())
        {
            return refuse("PIN and quorum together need both a PIN and a quorum");
        }
        if let Some(Quorum { required, total }) = self.quorum
            && !(1 <= required && required <= total && total <= 90)
        {
            return refuse("a quorum is 1 <= required <= total <= 90");
        }
        let most = match self.user_pin.as_ref().map_or(0, |pin| pin.secret_bytes().len()) {
            0..=6 => 3,
            7 => 5,
            _ => 10,
        };
        if !(1..=most).contains(&self.retry) {
            return refuse("tries of the user PIN: 1 to 3 with 6 bytes of PIN, to 5 with 7, to 10 with more");
        }
        Ok(())
    }

    /// The command data: 80 options, 81 PIN, 82 SO-PIN, 91 tries, 92 shares, 93 quorum, 97 domains.
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Room for every object at its longest, so that no copy of a PIN is left behind by growth.
        let mut data = Zeroizing::new(Vec::with_capacity(64));
        let mut object = |tag: u8, value: &[u8]| {
            let [.., length] = value.len().to_be_bytes();
            data.extend_from_slice(&[tag, length]);
            data.extend_from_slice(value);
        };
        object(0x80, &self.options.0.to_be_bytes());
        if let Some(pin) = &self.user_pin {
            object(0x81, pin.secret_bytes());
        }
        object(0x82, self.so_pin.secret_bytes());
        object(0x91, &[self.retry]);
        if let Some(shares) = self.dkek_shares {
            object(0x92, &[shares]);
        }
        if let Some(Quorum { required, total }) = self.quorum {
            object(0x93, &[total, required]);
        }
        if let Some(domains) = self.domains {
            object(0x97, &[domains]);
        }
        data
    }
}

impl<T: Transport> Session<T> {
    pub(crate) fn initialize(&mut self, setup: &Initialize) -> Result<(), Error> {
        setup.check()?;
        let doing = doing();
        let data = setup.encode();
        let send = |session: &mut Self| {
            session
                .link
                .exchange(&doing, CommandApdu::new(0x80, 0x50, 0x00, 0x00).with_data(&data))
        };
        let mut status = send(self)?.status;
        if status.0 == 0x6A84 {
            // The erased memory is collected on some cards only by the next command.
            status = send(self)?.status;
        }
        match (status, status.retries_left()) {
            (StatusWord::OK, _) => {
                self.registered.clear();
                self.info.options = self.info.options.map(|_| setup.options);
                Ok(())
            }
            (StatusWord(0x6985 | 0x6986), _) | (_, Some(_)) => Err(Error::WrongSoPin { doing, status }),
            _ => Err(Error::refused(&doing, status)),
        }
    }
}

fn doing() -> Doing {
    Doing::new("INITIALIZE DEVICE", "token")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> Initialize {
        Initialize {
            options: InitializeOptions::RESET_RETRY_COUNTER,
            user_pin: Some(Pin::new("648219").unwrap()),
            so_pin: SoPin::from_hex("3537363231383830").unwrap(),
            retry: 3,
            dkek_shares: Some(1),
            quorum: None,
            domains: None,
        }
    }

    #[test]
    fn objects_stand_in_order() {
        let full = Initialize {
            quorum: Some(Quorum {
                required: 2,
                total: 3,
            }),
            domains: Some(4),
            ..setup()
        };
        assert_eq!(
            hex::encode_upper(&*full.encode()),
            "8002000181063634383231398208353736323138383091010392010193020302970104"
        );
    }

    #[test]
    fn rules_are_checked_before_anything_is_sent() {
        let quorum = |required, total| Initialize {
            quorum: Some(Quorum { required, total }),
            ..setup()
        };
        assert!(setup().check().is_ok());
        assert!(quorum(1, 1).check().is_ok());
        for bad in [
            quorum(0, 3),
            quorum(3, 2),
            quorum(1, 91),
            Initialize {
                user_pin: None,
                ..setup()
            },
            Initialize { retry: 4, ..setup() },
            Initialize { retry: 0, ..setup() },
            Initialize {
                options: InitializeOptions::PIN_AND_PUBLIC_KEYS,
                ..setup()
            },
        ] {
            assert!(matches!(bad.check(), Err(Error::Input { .. })), "{bad:?}");
        }
    }
}
