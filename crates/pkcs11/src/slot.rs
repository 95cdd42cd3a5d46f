//! What a slot is: the seam between the sessions of programs and that which holds the keys.

use std::sync::Arc;

use cryptoki_sys as ck;
use zeroize::Zeroizing;

use crate::{
    attribute::{Attributes, Kind, Template},
    error::Result,
    hash::Hash,
    mechanism::Offer,
};

/// A slot with its token. All methods may be called from several threads at once and may block; the library holds no lock
/// while it calls them. What a person has to know of a failure belongs into [`Error::Told`](crate::Error::Told): the library
/// puts it on the terminal.
///
/// Login state of programs is the library's: it calls [`Slot::login`] when no user is logged in by PKCS#11's rules, and
/// [`Slot::logout`] when the user logs out or the last session is closed. A slot whose state lives elsewhere may do nothing
/// there. A slot that finds its user logged out answers `CKR_USER_NOT_LOGGED_IN`, which ends that state in the library, too.
pub trait Slot: Send + Sync {
    /// What is said of the slot, at once and without asking anybody.
    fn description(&self) -> SlotDescription;

    /// Whether a token is in it, as far as a glance tells.
    fn is_present(&self) -> bool;

    /// What is said of the token.
    ///
    /// # Errors
    /// `CKR_TOKEN_NOT_PRESENT`, `CKR_TOKEN_NOT_RECOGNIZED`, `CKR_DEVICE_ERROR`.
    fn token(&self) -> Result<TokenDescription>;

    /// What the token can do.
    fn mechanisms(&self) -> Vec<Offer>;

    /// Presents a PIN, or does whatever else lets the user in. [`User::Context`] is for the operation that was begun with
    /// `key`.
    ///
    /// # Errors
    /// `CKR_PIN_INCORRECT`, `CKR_PIN_LOCKED`, `CKR_FUNCTION_CANCELED`, ...
    fn login(&self, user: User, pin: Option<&Pin>, key: Option<ObjectId>) -> Result<()>;

    /// Forgets a login. Called from exit handlers, too: it must not wait for another thread.
    fn logout(&self);

    /// Objects on the token, at least those that are asked for; what is asked for and missing is not there. Private objects
    /// only while a user is logged in ([`Wanted::private`]).
    ///
    /// # Errors
    /// `CKR_DEVICE_ERROR`, `CKR_TOKEN_NOT_PRESENT`, ...
    fn objects(&self, wanted: &Wanted) -> Result<Vec<Arc<Object>>>;

    /// Signs. The signature is as PKCS#11 wants it: as long as the modulus, or r | s.
    ///
    /// # Errors
    /// `CKR_USER_NOT_LOGGED_IN`, `CKR_KEY_FUNCTION_NOT_PERMITTED`, `CKR_FUNCTION_CANCELED`, ...
    fn sign(&self, key: ObjectId, input: &SignInput<'_>) -> Result<Vec<u8>>;

    /// Random bytes of the token.
    ///
    /// # Errors
    /// `CKR_DEVICE_ERROR`, ...
    fn random(&self, out: &mut [u8]) -> Result<()>;

    /// Private key operations other than signatures; `None` when the slot has none.
    fn decipher(&self) -> Option<&dyn Decipher>;

    /// Making and changing what is on the token; `None` when it is not changed from here.
    fn manage(&self) -> Option<&dyn Manage>;

    /// Lets go of everything, for good: the module is finalised, maybe by an exit handler. Must not wait for another thread.
    fn close(&self);
}

/// Private key operations other than signatures.
pub trait Decipher {
    /// The raw RSA operation: a block as long as the modulus from a block as long as the modulus.
    ///
    /// # Errors
    /// As [`Slot::sign`].
    fn decrypt_raw(&self, key: ObjectId, cryptogram: &[u8]) -> Result<Zeroizing<Vec<u8>>>;

    /// ECDH: the x coordinate of the shared point, as long as the field, from an uncompressed point.
    ///
    /// # Errors
    /// As [`Slot::sign`].
    fn agree(&self, key: ObjectId, public: &[u8]) -> Result<Zeroizing<Vec<u8>>>;
}

/// Making and changing what is on a token. The user is logged in and the session may write.
pub trait Manage {
    /// Generates a key pair; public and private object.
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCONSISTENT`, `CKR_DEVICE_MEMORY`, ...
    fn generate(
        &self,
        what: KeyKind<'_>,
        public: &Template,
        private: &Template,
    ) -> Result<(ObjectId, ObjectId)>;

    /// Stores an object.
    ///
    /// # Errors
    /// `CKR_TEMPLATE_INCONSISTENT`, `CKR_DEVICE_MEMORY`, ...
    fn create(&self, template: &Template) -> Result<ObjectId>;

    /// Deletes an object.
    ///
    /// # Errors
    /// `CKR_OBJECT_HANDLE_INVALID`, `CKR_ACTION_PROHIBITED`, ...
    fn destroy(&self, object: ObjectId) -> Result<()>;

    /// Changes attributes of an object.
    ///
    /// # Errors
    /// `CKR_ATTRIBUTE_READ_ONLY`, ...
    fn change(&self, object: ObjectId, template: &Template) -> Result<()>;

    /// Changes the PIN of whoever is logged in, or the user's when nobody is.
    ///
    /// # Errors
    /// `CKR_PIN_INCORRECT`, `CKR_PIN_LEN_RANGE`, `CKR_PIN_LOCKED`.
    fn set_pin(&self, user: User, old: &Pin, new: &Pin) -> Result<()>;

    /// Sets the user's PIN as the security officer, who is logged in.
    ///
    /// # Errors
    /// `CKR_PIN_LEN_RANGE`, `CKR_ACTION_PROHIBITED`.
    fn init_pin(&self, new: &Pin) -> Result<()>;
}

/// Who logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// `CKU_SO`
    SecurityOfficer,
    /// `CKU_USER`
    User,
    /// `CKU_CONTEXT_SPECIFIC`
    Context,
}

/// A PIN as a program gave it. Wiped when dropped.
#[derive(Clone)]
pub struct Pin(Zeroizing<Vec<u8>>);

/// An object of a slot. The slot chooses the number; it stays the same while the module is initialised and is not given to
/// another object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub u64);

/// An object on a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its number in the slot.
    pub id: ObjectId,
    /// Its attributes.
    pub attributes: Attributes,
    /// Of a key: bits of its modulus or field; otherwise 0.
    pub key_bits: usize,
}

/// Which objects somebody looks for, and what of them. A slot that has everything at hand may ignore it.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// This object only.
    pub only: Option<ObjectId>,
    /// Objects of this class (`CKO_...`) only.
    pub class: Option<ck::CK_OBJECT_CLASS>,
    /// Attributes that are compared or read.
    pub attributes: Vec<Kind>,
    /// Whether a user is logged in.
    pub private: bool,
}

/// What is to be signed.
#[derive(Clone, Copy)]
pub enum SignInput<'a> {
    /// RSASSA-PKCS1-v1_5: the T of RFC 8017 section 9.2, usually a DigestInfo ([`Hash::of_digest_info`] reads it).
    RsaPkcs1(&'a [u8]),
    /// RSA without padding: a block as long as the modulus.
    RsaRaw(&'a [u8]),
    /// RSASSA-PSS.
    RsaPss {
        /// Hash function of the digest.
        hash: Hash,
        /// Hash function of the mask generation function MGF1.
        mask: Hash,
        /// Length of the salt, in bytes.
        salt_length: usize,
        /// The digest.
        digest: &'a [u8],
    },
    /// ECDSA.
    Ecdsa {
        /// The hash function, when it was applied here; a caller's digest does not say.
        hash: Option<Hash>,
        /// The digest.
        digest: &'a [u8],
    },
}

/// A key pair to generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind<'a> {
    /// RSA.
    Rsa {
        /// Bits of the modulus.
        bits: u16,
        /// Public exponent, big endian.
        exponent: &'a [u8],
    },
    /// On a named curve.
    Ec {
        /// The curve.
        curve: &'static crate::curve::Curve,
    },
}

/// `CK_SLOT_INFO`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotDescription {
    /// What and where it is, at most 64 bytes.
    pub description: String,
    /// Who made it, at most 32 bytes.
    pub manufacturer: String,
    /// Whether tokens come and go (`CKF_REMOVABLE_DEVICE`).
    pub removable: bool,
    /// Whether it is a device (`CKF_HW_SLOT`).
    pub hardware: bool,
}

/// `CK_TOKEN_INFO`, without what the library knows itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenDescription {
    /// Name, at most 32 bytes.
    pub label: String,
    /// Who made it, at most 32 bytes.
    pub manufacturer: String,
    /// What it is, at most 16 bytes.
    pub model: String,
    /// Serial number, at most 16 characters.
    pub serial: String,
    /// `CKF_...`
    pub flags: ck::CK_FLAGS,
    /// Shortest and longest PIN, in bytes.
    pub pin_length: (ck::CK_ULONG, ck::CK_ULONG),
    /// Version of its firmware: major, minor.
    pub firmware: (u8, u8),
}

impl Pin {
    /// From bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes, to be presented and nothing else.
    #[must_use]
    pub fn secret_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Object {
    /// Its class (`CKO_...`).
    #[must_use]
    pub fn class(&self) -> Option<ck::CK_OBJECT_CLASS> {
        self.attributes.get_number(ck::CKA_CLASS)
    }

    /// Whether only a user who is logged in sees it.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.attributes.get_flag(ck::CKA_PRIVATE)
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin")
    }
}

impl std::fmt::Debug for SignInput<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RsaPkcs1(_) => "RsaPkcs1",
            Self::RsaRaw(_) => "RsaRaw",
            Self::RsaPss { .. } => "RsaPss",
            Self::Ecdsa { .. } => "Ecdsa",
        })
    }
}
