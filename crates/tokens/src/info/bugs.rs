//! What firmware is known to do wrong or otherwise than expected.

use chancery_driver::Firmware;

/// Something to know about a version of the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownBug {
    /// Stable name.
    pub code: &'static str,
    /// What goes wrong.
    pub what: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

/// Platform byte of the Pico HSM, an independent firmware whose version numbers have nothing to do with the others'.
const PICO: u8 = 0xFF;

/// What is known of this version.
#[must_use]
pub fn known_bugs(firmware: Firmware) -> Vec<KnownBug> {
    let pico = firmware.platform == Some(PICO);
    let version = (firmware.major, firmware.minor);
    ENTRIES
        .iter()
        .filter(|(of, _)| match of {
            Of::Pico => pico,
            Of::Before(major, minor) => !pico && version < (*major, *minor),
            Of::Exactly(major, minor) => !pico && version == (*major, *minor),
            Of::Device => !pico,
        })
        .map(|(_, bug)| *bug)
        .collect()
}

/// Which firmware.
enum Of {
    /// The maker's, every version.
    Device,
    /// The maker's, before a version.
    Before(u8, u8),
    /// The maker's, one version.
    Exactly(u8, u8),
    /// Pico HSM.
    Pico,
}

const ENTRIES: &[(Of, KnownBug)] = &[
    (
        Of::Before(2, 0),
        KnownBug {
            code: "no-so-pin-check",
            what: "the SO-PIN cannot be checked alone, and there are neither use counters nor algorithm lists",
            advice: "a wrong SO-PIN shows only when the token is initialised or unblocked",
        },
    ),
    (
        Of::Exactly(3, 1),
        KnownBug {
            code: "unwrap-algorithm-list",
            what: "a wrapped key that carries an algorithm list cannot be unwrapped (6F00)",
            advice: "update to 3.2, or wrap only keys without an algorithm list",
        },
    ),
    (
        Of::Before(3, 0),
        KnownBug {
            code: "small-keys-only",
            what: "RSA above 2048 bits, EC above 320 bits, AES keys and several key domains are not offered",
            advice: "use a newer token for these",
        },
    ),
    (
        Of::Device,
        KnownBug {
            code: "files-not-truncated",
            what: "a file that is written shorter keeps its old tail",
            advice: "chancery deletes such a file before it writes it; other tools may show remnants",
        },
    ),
    (
        Of::Device,
        KnownBug {
            code: "custodian-curve",
            what: "answers of custodian keys on curves above 256 bits are refused for ever",
            advice: "register custodian keys on 256-bit curves only; chancery refuses others",
        },
    ),
    (
        Of::Pico,
        KnownBug {
            code: "pico-no-so-pin",
            what: "INITIALIZE DEVICE does not check the SO-PIN: whoever holds the token can erase it",
            advice: "keep it where nobody else reaches it",
        },
    ),
    (
        Of::Pico,
        KnownBug {
            code: "pico-kcv-locked",
            what: "key check values of key domains read zero until the PIN was verified",
            advice: "a KCV of zero says nothing here",
        },
    ),
    (
        Of::Pico,
        KnownBug {
            code: "pico-quorum-forgets",
            what: "each challenge makes it forget the custodians who have answered",
            advice: "chancery lets one challenge serve all custodians",
        },
    ),
    (
        Of::Pico,
        KnownBug {
            code: "pico-own-derivations",
            what: "exchange key domains and derived keys differ from the maker's devices",
            advice: "exchange keys with other Pico HSMs only",
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(major: u8, minor: u8, platform: Option<u8>) -> Vec<&'static str> {
        known_bugs(Firmware {
            major,
            minor,
            platform,
        })
        .into_iter()
        .map(|bug| bug.code)
        .collect()
    }

    #[test]
    fn each_version_has_its_own() {
        assert!(codes(1, 2, None).contains(&"no-so-pin-check"));
        assert!(codes(3, 1, Some(0)).contains(&"unwrap-algorithm-list"));
        assert!(!codes(3, 2, Some(0)).contains(&"unwrap-algorithm-list"));
        assert!(!codes(4, 1, Some(0)).contains(&"small-keys-only"));
        assert!(
            codes(6, 6, Some(0xFF))
                .iter()
                .all(|code| code.starts_with("pico-"))
        );
    }
}
