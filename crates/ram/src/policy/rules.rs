//! The table of permissions.

use super::Shape;

/// Who may have a command run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// Whoever is at the other end.
    Always,
    /// Whoever may use this key.
    Key(u8),
    /// Whoever may change the token.
    Management,
    /// Nobody: it carries, sets or gives out a PIN.
    Pin,
    /// Nobody: it is on no list.
    Unknown,
}

/// High bytes of files that every token lets anybody read: descriptions of keys, certificates and data, CA
/// certificates, metadata, certificates, public data.
const PUBLIC_FILES: [u8; 7] = [0xC4, 0xC8, 0xC9, 0xCA, 0xCB, 0xCE, 0xCF];
/// EF.DIR, device certificates, TokenInfo.
const PUBLIC_SYSTEM_FILES: [u8; 3] = [0x00, 0x02, 0x03];
/// Algorithm of INS 62 that stores a key encryption key.
const STORE_KEK: u8 = 0x84;

/// Algorithms of INS 68: RSA raw, PKCS#1 v1.5 and PSS, ECDSA.
const fn is_signature(algorithm: u8) -> bool {
    matches!(algorithm, 0x20 | 0x30..=0x35 | 0x40..=0x45 | 0x70..=0x75)
}

/// Algorithms of INS 62 that give a result and change nothing: RSA decryption, ECDH.
const fn is_decipherment(algorithm: u8) -> bool {
    matches!(algorithm, 0x21..=0x23 | 0x80 | 0x83)
}

/// What a command needs.
pub(super) fn permission(command: &Shape) -> Permission {
    use Permission::{Always, Key, Management, Pin, Unknown};
    let header = command.header();
    match (header.instruction, header.p1, header.p2, command.has_data()) {
        // VERIFY without data asks for a state; with another P1 it may do anything else.
        (0x20, 0x00, _, false) => Always,
        (0x20 | 0x24 | 0x2C | 0x5A, ..) => Pin,

        // MANAGE SECURITY ENVIRONMENT and PERFORM SECURITY OPERATION
        (0x22, 0x41 | 0x81, 0xA4, true) | (0x22, 0x81, 0xB6, true) => Always,
        (0x2A, 0x00, 0xBE, true) => Always,
        // EXTERNAL AUTHENTICATE, GET CHALLENGE, GENERAL AUTHENTICATE
        (0x82 | 0x86, 0x00, 0x00, true) | (0x84, 0x00, 0x00, false) => Always,

        // SELECT: this application by name, or a file. In a channel the name cannot be read, and no other
        // application knows the channel.
        (0xA4, 0x04, 0x00 | 0x04 | 0x0C, true) if command.is_protected() || command.names_application() => {
            Always
        }
        (0xA4, 0x00, 0x00 | 0x04 | 0x0C, _) => Always,
        // READ BINARY
        (0xB1, 0x2F, low, _) if PUBLIC_SYSTEM_FILES.contains(&low) => Always,
        (0xB1, high, _, _) if PUBLIC_FILES.contains(&high) => Always,
        (0xB1, ..) => Management,
        // GET RESPONSE, ENUMERATE OBJECTS
        (0xC0 | 0x58, 0x00, 0x00, false) => Always,
        // State of a key domain; with data it is the import of a share. Some functions have no data and change much.
        (0x52, 0x00, _, false) => Always,
        (0x52, 0x00..=0x04, ..) => Management,
        // State of the quorum, names of custodians; with data, registration. P1 01 replaces a custodian, with its data
        // in a file.
        (0x54, 0x00, 0x00, false) | (0x54, 0x02, _, false) => Always,
        (0x54, 0x00 | 0x01, ..) => Management,

        // SIGN, DECIPHER and ECDH
        (0x68, id, algorithm, true) if is_signature(algorithm) => Key(id),
        (0x62, id, algorithm, true) if is_decipherment(algorithm) => Key(id),
        (0x62, _, STORE_KEK, _) => Management,

        // GENERATE (asymmetric, symmetric), INITIALIZE DEVICE, WRAP, UNWRAP, DERIVE, CIPHER
        (0x46 | 0x48 | 0x50 | 0x72 | 0x74 | 0x76 | 0x78, ..) => Management,
        // UPDATE BINARY, DELETE FILE
        (0xD7 | 0xE4, ..) => Management,
        _ => Unknown,
    }
}
