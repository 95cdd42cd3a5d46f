//! Status words (reference: ISO/IEC 7816-4 5.6, tables 5 and 6) and what SmartCard-HSM tokens mean by them.

use std::fmt;

/// SW1-SW2, the last two bytes of every response.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusWord(pub u16);

macro_rules! status_words {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        impl StatusWord {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// What the status word means, without its value.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self.0 {
                    $($value => $text,)*
                    0x6100..=0x61FF => "more response data is waiting",
                    0x63C0 => "verification failed, no try left",
                    0x63C1 => "verification failed, one try left",
                    0x63C2..=0x63CF => "verification failed, tries are left",
                    0x6C00..=0x6CFF => "wrong Le, the low byte is the right one",
                    0x6200..=0x63FF => "warning",
                    0x6400..=0x6FFF => "error",
                    _ => "unknown status",
                }
            }
        }
    };
}

status_words! {
    /// Done.
    OK = 0x9000, "ok";
    /// Enumerating registered public keys: this one is registered and has answered.
    OK_AUTHENTICATED = 0x9001, "registered and authenticated";
    /// Fewer bytes than asked for: the file ended.
    WARNING_EOF = 0x6282, "end of file before Le bytes";
    /// Signature wrong, or authentication state not reached (quorum incomplete).
    AUTHENTICATION_FAILED = 0x6300, "authentication failed or not complete";
    /// Execution failed, nothing changed; some tokens answer a wrong key check value with it.
    EXECUTION_ERROR = 0x6400, "execution failed, state unchanged";
    /// Lc or the whole length is wrong.
    WRONG_LENGTH = 0x6700, "wrong length";
    /// The logical channel or secure messaging is not supported.
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882, "secure messaging not supported";
    /// A command chain was interrupted.
    LAST_COMMAND_EXPECTED = 0x6883, "last command of the chain expected";
    /// Command not allowed; seen before the application is selected.
    NOT_ALLOWED = 0x6900, "command not allowed";
    /// Authentication is missing.
    SECURITY_STATUS_NOT_SATISFIED = 0x6982, "security status not satisfied";
    /// Retry counter exhausted.
    AUTHENTICATION_BLOCKED = 0x6983, "authentication method blocked";
    /// Transport PIN active, use counter exhausted, or (first generation) not initialised.
    REFERENCE_DATA_NOT_USABLE = 0x6984, "reference data not usable: transport PIN active, key use counter exhausted, or not initialised";
    /// Conditions of use not satisfied.
    CONDITIONS_NOT_SATISFIED = 0x6985, "conditions of use not satisfied";
    /// Command not allowed in this state.
    COMMAND_NOT_ALLOWED = 0x6986, "command not allowed in this state";
    /// Secure messaging data objects missing; the channel is gone.
    SECURE_MESSAGING_MISSING = 0x6987, "secure messaging data objects missing";
    /// Secure messaging data objects wrong; the channel is gone.
    SECURE_MESSAGING_INCORRECT = 0x6988, "secure messaging data objects incorrect";
    /// The data field is wrong.
    WRONG_DATA = 0x6A80, "incorrect parameters in the data field";
    /// Function not supported; the algorithm is not in the key's list.
    FUNCTION_NOT_SUPPORTED = 0x6A81, "function not supported, or algorithm not allowed for this key";
    /// No such file, application or key.
    FILE_NOT_FOUND = 0x6A82, "file, application or key not found";
    /// No memory left.
    NOT_ENOUGH_MEMORY = 0x6A84, "not enough memory";
    /// P1-P2 wrong; also: key domain beyond the configured number.
    INCORRECT_P1_P2 = 0x6A86, "incorrect P1-P2";
    /// The PIN, key or domain that is named does not exist.
    REFERENCE_NOT_FOUND = 0x6A88, "referenced data not found, or not initialised";
    /// Exists already; also: key domain still holds keys.
    ALREADY_EXISTS = 0x6A89, "file already exists, or still in use";
    /// P1-P2 wrong (offset outside the file).
    WRONG_P1_P2 = 0x6B00, "wrong P1-P2";
    /// The instruction is unknown; also: the token was initialised without this feature.
    INSTRUCTION_NOT_SUPPORTED = 0x6D00, "instruction not supported, or feature not configured";
    /// The class is unknown; also: application not selected.
    CLASS_NOT_SUPPORTED = 0x6E00, "class not supported";
    /// Something else went wrong.
    UNKNOWN_ERROR = 0x6F00, "no precise diagnosis";
}

impl StatusWord {
    /// `63Cx`: verification failed, `retries` tries are left (only the low four bits are kept).
    #[must_use]
    pub fn with_retries_left(retries: u8) -> Self {
        Self(0x63C0 | u16::from(retries & 0x0F))
    }

    /// Whether this is 9000.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }

    /// The tries left, when this is `63Cx`.
    #[must_use]
    pub fn retries_left(self) -> Option<u8> {
        let [high, low] = self.0.to_be_bytes();
        (high == 0x63 && low & 0xF0 == 0xC0).then_some(low & 0x0F)
    }

    /// SW1.
    #[must_use]
    pub fn sw1(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// SW2.
    #[must_use]
    pub fn sw2(self) -> u8 {
        self.0.to_be_bytes()[1]
    }
}

impl From<u16> for StatusWord {
    fn from(value: u16) -> Self {
        Self(value)
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X} {}", self.0, self.meaning())?;
        match self.retries_left() {
            Some(retries @ 2..) => write!(f, " ({retries})"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusWord({:04X})", self.0)
    }
}
