//! VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER and the PIN status (reference: ISO/IEC 7816-4 11.5).

use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use zeroize::Zeroizing;

use crate::error::{Doing, Error};
use crate::secret::{Pin, SoPin};
use crate::session::Session;

/// Reference of the user PIN.
pub(crate) const USER_PIN: u8 = 0x81;

/// State of the user PIN, from a VERIFY without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinStatus {
    /// The token is open: the PIN was verified, or the quorum reached.
    Verified,
    /// Not verified.
    NotVerified {
        /// Tries left before the PIN is blocked.
        tries_left: u8,
    },
    /// No tries left.
    Blocked,
    /// The transport PIN must be changed first.
    TransportPin,
    /// Not initialised, or set up without a user PIN.
    Absent,
    /// Opened by public key authentication, and the quorum is not reached.
    QuorumOpen,
}

impl<T: Transport> Session<T> {
    pub(crate) fn pin_status(&mut self) -> Result<PinStatus, Error> {
        let doing = Doing::new("VERIFY", "user PIN status");
        let response = self
            .link
            .exchange(&doing, Ok(CommandApdu::new(0x00, 0x20, 0x00, USER_PIN)))?;
        let status = response.status;
        match (status.0, status.retries_left()) {
            (0x9000, _) => Ok(PinStatus::Verified),
            (0x63C0 | 0x6983, _) => Ok(PinStatus::Blocked),
            (_, Some(tries_left)) => Ok(PinStatus::NotVerified { tries_left }),
            (0x6300, _) => Ok(PinStatus::QuorumOpen),
            // Before version 2, 6984 meant a token without PIN.
            (0x6984, _) if self.info.firmware.major >= 2 => Ok(PinStatus::TransportPin),
            (0x6984 | 0x6A88, _) => Ok(PinStatus::Absent),
            _ => Err(Error::refused(&doing, status)),
        }
    }

    /// Presents the user PIN.
    pub(crate) fn verify_pin(&mut self, pin: &Pin) -> Result<(), Error> {
        let doing = Doing::new("VERIFY", "user PIN");
        let command = CommandApdu::new(0x00, 0x20, 0x00, USER_PIN).with_data(pin.secret_bytes());
        let modern = self.info.firmware.major >= 2;
        self.link
            .expect_ok(&doing, command, |doing, status| {
                pin_refused(doing, status, modern)
            })
            .map(drop)
    }

    /// Replaces the user PIN (or the transport PIN) by `new`.
    pub(crate) fn change_pin(&mut self, old: &Pin, new: &Pin) -> Result<(), Error> {
        let doing = Doing::new("CHANGE REFERENCE DATA", "user PIN");
        let command = CommandApdu::new(0x00, 0x24, 0x00, USER_PIN)
            .with_data(&joined(old.secret_bytes(), new.secret_bytes()));
        self.link
            .expect_ok(&doing, command, |doing, status| pin_refused(doing, status, true))
            .map(drop)
    }

    /// Resets the retry counter with the SO-PIN and, with `new`, sets a new user PIN.
    pub(crate) fn unblock_pin(&mut self, so_pin: &SoPin, new: Option<&Pin>) -> Result<(), Error> {
        let doing = Doing::new("RESET RETRY COUNTER", "user PIN");
        let p1 = if new.is_some() { 0x00 } else { 0x01 };
        let data = joined(so_pin.secret_bytes(), new.map_or(&[], Pin::secret_bytes));
        let command = CommandApdu::new(0x00, 0x2C, p1, USER_PIN).with_data(&data);
        self.link
            .expect_ok(&doing, command, |doing, status| match status.retries_left() {
                Some(_) => Error::WrongSoPin {
                    doing: doing.clone(),
                    status,
                },
                None => Error::refused(doing, status),
            })
            .map(drop)
    }
}

fn pin_refused(doing: &Doing, status: StatusWord, modern: bool) -> Error {
    let doing = doing.clone();
    match (status.0, status.retries_left()) {
        (0x63C0 | 0x6983, _) => Error::PinBlocked { doing, status },
        (_, Some(tries_left)) => Error::WrongPin {
            doing,
            status,
            tries_left,
        },
        (0x6984, _) if modern => Error::TransportPin { doing, status },
        (0x6984 | 0x6A88, _) => Error::NotInitialized { doing, status },
        (0x6D00, _) => Error::NotSelected { doing, status },
        _ => Error::refused(&doing, status),
    }
}

/// Both secrets behind each other, in a buffer that is wiped and never grows.
pub(crate) fn joined(first: &[u8], second: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut data = Zeroizing::new(Vec::with_capacity(first.len() + second.len()));
    data.extend_from_slice(first);
    data.extend_from_slice(second);
    data
}
