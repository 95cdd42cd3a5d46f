//! The SO-PIN, what the device says of itself without being selected, and key domains made and deleted.

use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::KeyDomainStatus;

use crate::card::{Authenticated, Selected};
use crate::domain::parse_status;
use crate::error::{Doing, Error};
use crate::pin::{USER_PIN, joined};
use crate::secret::{Pin, SoPin};
use crate::session::{AppletAccess, Session, sealed::HasSession};

/// Reference of the SO-PIN.
const SO_PIN: u8 = 0x88;

/// State of the SO-PIN, from a VERIFY without data (reference: ISO/IEC 7816-4 11.5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SoPinStatus {
    /// It was verified in this session.
    Verified,
    /// Not verified.
    NotVerified {
        /// Tries left, of 15. With none left the token cannot be initialised again.
        tries_left: u8,
    },
    /// No tries left: the token cannot be initialised any more.
    Blocked,
    /// Not initialised yet: the first initialisation sets it.
    Absent,
    /// The firmware does not tell.
    Unknown,
}

/// What INITIALIZE DEVICE without data answers; it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceState {
    /// Free memory in bytes, where the firmware tells it.
    pub free_memory: Option<u32>,
    /// Major and minor version of the firmware.
    pub version: (u8, u8),
}

impl<T: Transport> Selected<T> {
    /// Presents the SO-PIN alone, which costs a try when it is wrong.
    ///
    /// # Errors
    /// [`Error::WrongSoPin`]; the firmware may not offer it (before 2.0).
    pub fn verify_so_pin(&mut self, so_pin: &SoPin) -> Result<(), Error> {
        let doing = Doing::new("VERIFY", "SO-PIN");
        let command = CommandApdu::new(0x00, 0x20, 0x00, SO_PIN).with_data(so_pin.secret_bytes());
        self.session()
            .link
            .expect_ok(&doing, command, so_pin_refused)
            .map(drop)
    }

    /// Replaces the SO-PIN.
    ///
    /// # Errors
    /// [`Error::WrongSoPin`].
    pub fn change_so_pin(&mut self, old: &SoPin, new: &SoPin) -> Result<(), Error> {
        let doing = Doing::new("CHANGE REFERENCE DATA", "SO-PIN");
        let command = CommandApdu::new(0x00, 0x24, 0x00, SO_PIN)
            .with_data(&joined(old.secret_bytes(), new.secret_bytes()));
        self.session()
            .link
            .expect_ok(&doing, command, so_pin_refused)
            .map(drop)
    }

    /// Writes the token's label (EF 2F03). Permitted without login only right after the initialisation.
    ///
    /// # Errors
    /// The label is too long, or a command failed.
    pub fn write_label_after_initialization(&mut self, label: &str) -> Result<(), Error> {
        self.session().write_label(label)
    }
}

impl<T: Transport> Authenticated<T> {
    /// Makes key domain `domain`, which must not exist, for a DKEK of `shares` shares.
    ///
    /// # Errors
    /// A command failed: the token was not set up for so many domains, or the domain exists.
    pub fn create_key_domain(&mut self, domain: u8, shares: u8) -> Result<KeyDomainStatus, Error> {
        self.session().create_domain(domain, shares)
    }

    /// A random PIN that opens the token, in the place of the user PIN, until the session ends (or, by option, until it is
    /// cleared). Tokens give it through a secure channel alone, and only with the option set.
    ///
    /// # Errors
    /// A command failed: no secure channel, or the option is not set; or what came is no PIN.
    pub fn session_pin(&mut self) -> Result<Pin, Error> {
        let doing = Doing::new("GENERATE SESSION PIN", "user PIN");
        let command = CommandApdu::new(0x80, 0x5A, 0x01, USER_PIN).expecting(256);
        let response = self
            .session()
            .link
            .expect_ok(&doing, Ok(command), Error::refused)?;
        Pin::new(&*response.data).map_err(|error| Error::protocol(&doing, error.to_string()))
    }

    /// Deletes a key domain that no key belongs to; its number can be used again.
    ///
    /// # Errors
    /// A command failed: keys belong to it, or there is none.
    pub fn delete_key_domain(&mut self, domain: u8) -> Result<(), Error> {
        let doing = Doing::new("MANAGE KEY DOMAIN", format!("delete domain {domain}"));
        let command = CommandApdu::new(0x80, 0x52, 0x03, domain).expecting(256);
        self.session().domain_gone(&doing, command)
    }

    /// Deletes the key encryption key of a domain, which then waits for its shares again.
    ///
    /// # Errors
    /// A command failed.
    pub fn delete_kek(&mut self, domain: u8) -> Result<(), Error> {
        let doing = Doing::new(
            "MANAGE KEY DOMAIN",
            format!("delete the key encryption key of domain {domain}"),
        );
        let command = CommandApdu::new(0x80, 0x52, 0x04, domain).expecting(256);
        self.session().domain_gone(&doing, command)
    }
}

/// State of the SO-PIN; costs no try.
///
/// # Errors
/// The link failed, or the token answered nonsense.
pub fn so_pin_status(card: &mut impl AppletAccess) -> Result<SoPinStatus, Error> {
    let doing = Doing::new("VERIFY", "SO-PIN status");
    let response = card
        .session()
        .link
        .exchange(&doing, Ok(CommandApdu::new(0x00, 0x20, 0x00, SO_PIN)))?;
    let status = response.status;
    Ok(match (status.0, status.retries_left()) {
        (0x9000, _) => SoPinStatus::Verified,
        (0x63C0 | 0x6983, _) => SoPinStatus::Blocked,
        (_, Some(tries_left)) => SoPinStatus::NotVerified { tries_left },
        (0x6984 | 0x6A88, _) => SoPinStatus::Absent,
        (0x6900 | 0x6D00 | 0x6E00, _) => return Err(Error::refused(&doing, status)),
        _ => SoPinStatus::Unknown,
    })
}

/// Free memory and version, from INITIALIZE DEVICE without data; changes nothing. `None` when the firmware (before 2.4) does
/// not know the question.
///
/// # Errors
/// The link failed.
pub fn device_state(card: &mut impl AppletAccess) -> Result<Option<DeviceState>, Error> {
    let doing = Doing::new("INITIALIZE DEVICE", "version and free memory");
    let command = CommandApdu::new(0x80, 0x50, 0x00, 0x00).expecting(256);
    let response = card.session().link.exchange(&doing, Ok(command))?;
    if response.status != StatusWord::OK {
        return Ok(None);
    }
    let Some((memory, &[major, minor])) = response.data.split_last_chunk::<2>() else {
        return Ok(None);
    };
    Ok(Some(DeviceState {
        // Free memory, a byte of no meaning, version; other lengths are of other firmware.
        free_memory: match memory {
            [a, b, c, d, _] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => None,
        },
        version: (major, minor),
    }))
}

impl<T: Transport> Session<T> {
    fn create_domain(&mut self, domain: u8, shares: u8) -> Result<KeyDomainStatus, Error> {
        let doing = Doing::new("MANAGE KEY DOMAIN", format!("create domain {domain}"));
        if shares == 0 {
            return Err(Error::input(&doing, "a key domain has at least one share"));
        }
        let command = CommandApdu::new(0x80, 0x52, 0x01, domain)
            .with_data(&[shares])
            .map(|c| c.expecting(256));
        let response = self.link.expect_ok(&doing, command, Error::refused)?;
        parse_status(&doing, &response.data)
    }

    /// Sends a deletion. Some firmware answers it with the status of what is not there any more.
    fn domain_gone(&mut self, doing: &Doing, command: CommandApdu) -> Result<(), Error> {
        let response = self.link.exchange(doing, Ok(command))?;
        match response.status {
            StatusWord::OK | StatusWord(0x6A88) => Ok(()),
            status => Err(Error::refused(doing, status)),
        }
    }
}

fn so_pin_refused(doing: &Doing, status: StatusWord) -> Error {
    let doing = doing.clone();
    match (status.0, status.retries_left()) {
        (_, Some(_)) | (0x6985 | 0x6986, _) => Error::WrongSoPin { doing, status },
        (0x6983, _) => Error::PinBlocked { doing, status },
        (0x6984 | 0x6A88, _) => Error::NotInitialized { doing, status },
        _ => Error::refused(&doing, status),
    }
}
