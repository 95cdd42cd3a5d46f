//! Who is at the other end.

use std::{io, os::fd::AsFd};

use rustix::{net::sockopt::socket_peercred, process::getuid};

/// A process at the other end of a connection, as it was when it connected (`SO_PEERCRED`, unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) pid: u32,
    pub(super) uid: u32,
}

impl Peer {
    pub(super) fn of(stream: impl AsFd) -> io::Result<Self> {
        let credentials = socket_peercred(stream)?;
        Ok(Self {
            pid: u32::try_from(credentials.pid.as_raw_nonzero().get()).unwrap_or(0),
            uid: credentials.uid.as_raw(),
        })
    }

    /// Whether it may be spoken with: the same user and the superuser may.
    pub(super) const fn is_trusted_by(self, own_uid: u32) -> bool {
        self.uid == own_uid || self.uid == 0
    }
}

/// The user of this process.
pub(super) fn own_uid() -> u32 {
    getuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_user_and_the_superuser_are_trusted() {
        let trusted = |uid, own| Peer { pid: 1, uid }.is_trusted_by(own);
        assert!(trusted(1000, 1000) && trusted(0, 1000) && trusted(0, 0));
        assert!(!trusted(1001, 1000) && !trusted(1000, 0) && !trusted(65_534, 1000));
    }
}
