//! Whose reader a token is inserted into.

use std::{collections::BTreeSet, fs};

use rustix::process::getuid;

/// The name under which newer systems run pcscd.
const PCSCD: &str = "pcscd";
const ROOT: u32 = 0;
/// Stands for every user that has no number in a user namespace, unless the system says another.
const OVERFLOW: u32 = 65_534;

/// Users whose reader a token is inserted into: whoever has it there is told its PINs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedUsers(BTreeSet<u32>);

impl TrustedUsers {
    /// root, the user of this process, and the system's user `pcscd` where there is one.
    ///
    /// The user of this process is not among them when its number stands for users of other namespaces, too.
    #[must_use]
    pub fn of_this_system() -> Self {
        let own = getuid().as_raw();
        let own = (own != overflow()).then_some(own);
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::only([ROOT].into_iter().chain(own).chain(user_named(&users, PCSCD)))
    }

    /// These users.
    #[must_use]
    pub fn only(users: impl IntoIterator<Item = u32>) -> Self {
        Self(users.into_iter().collect())
    }

    /// Further users.
    #[must_use]
    pub fn and(mut self, users: impl IntoIterator<Item = u32>) -> Self {
        self.0.extend(users);
        self
    }

    /// The first of these users that is not trusted.
    pub(super) fn stranger(&self, users: &BTreeSet<u32>) -> Option<u32> {
        users.difference(&self.0).next().copied()
    }
}

/// Number of the users that have none in this user namespace (`user_namespaces(7)`).
pub(super) fn overflow() -> u32 {
    fs::read_to_string("/proc/sys/kernel/overflowuid")
        .ok()
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(OVERFLOW)
}

/// Number of a user in the form of passwd(5).
fn user_named(users: &str, name: &str) -> Option<u32> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\npcscd2:x:7:7::/:/bin/sh\nnotpcscd:x:8:8::/:/bin/sh\n\
                     pcscd:x:996:996:PC/SC daemon:/:/usr/sbin/nologin\n";
        assert_eq!(user_named(users, PCSCD), Some(996));
        assert_eq!(user_named("pcscd", PCSCD), None);
        assert_eq!(user_named("pcscd:x:-1:0", PCSCD), None);
        assert_eq!(user_named("", PCSCD), None);
    }

    #[test]
    fn every_user_has_to_be_trusted() {
        let trusted = TrustedUsers::only([0]).and([996]);
        let stranger = |users: &[u32]| trusted.stranger(&users.iter().copied().collect());
        assert_eq!(stranger(&[0, 996]), None);
        assert_eq!(stranger(&[0, 1000]), Some(1000));
        assert!(
            TrustedUsers::of_this_system()
                .stranger(&BTreeSet::from([ROOT]))
                .is_none()
        );
    }
}
