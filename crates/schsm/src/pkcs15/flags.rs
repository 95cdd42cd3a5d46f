//! Named bit strings (reference: ITU-T X.690 8.6 and 11.2.2: no trailing zero bits).

use std::fmt;
use std::ops::BitOr;

use super::Pkcs15Error;

/// What a key is for, as PKCS#15 says it; combine with `|`. Only a hint for other software: what the token lets the
/// key do is its [algorithm list](crate::AlgorithmList).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KeyUsage(u16);

/// Where a key comes from and whether it can leave; combine with `|`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KeyAccess(u16);

macro_rules! bits {
    ($type:ident: $($(#[$doc:meta])* $name:ident = $bit:literal;)*) => {
        impl $type {
            $($(#[$doc])* pub const $name: Self = Self(0x8000 >> $bit);)*

            /// Whether all bits of `other` are set.
            #[must_use]
            pub fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            pub(super) fn encode(self) -> Vec<u8> {
                encode(self.0)
            }

            pub(super) fn parse(value: &[u8], field: &'static str) -> Result<Self, Pkcs15Error> {
                parse(value, field).map(Self)
            }
        }

        impl BitOr for $type {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut set = f.debug_set();
                $(if self.contains(Self::$name) {
                    set.entry(&format_args!("{}", stringify!($name)));
                })*
                set.finish()
            }
        }
    };
}

bits! { KeyUsage:
    /// Encryption.
    ENCRYPT = 0;
    /// Decryption.
    DECRYPT = 1;
    /// Signature over a hash or message.
    SIGN = 2;
    /// Signature with message recovery, which is how raw RSA is named.
    SIGN_RECOVER = 3;
    /// Wrapping of other keys.
    WRAP = 4;
    /// Unwrapping of other keys.
    UNWRAP = 5;
    /// Verification.
    VERIFY = 6;
    /// Verification with message recovery.
    VERIFY_RECOVER = 7;
    /// Key agreement and derivation.
    DERIVE = 8;
    /// Non-repudiation.
    NON_REPUDIATION = 9;
}

bits! { KeyAccess:
    /// Never leaves the token in clear.
    SENSITIVE = 0;
    /// May leave the token, wrapped.
    EXTRACTABLE = 1;
    /// Never was outside in clear.
    ALWAYS_SENSITIVE = 2;
    /// Never could leave.
    NEVER_EXTRACTABLE = 3;
    /// Made on the token.
    LOCAL = 4;
}

impl KeyUsage {
    /// Without the bits after the tenth, which PKCS#15 does not define.
    pub(super) const fn defined(self) -> Self {
        Self(self.0 & 0xFFC0)
    }

    /// All ten bits, trailing zeros included.
    pub(super) fn encode_all(self) -> Vec<u8> {
        let [first, second] = self.0.to_be_bytes();
        vec![6, first, second]
    }
}

/// Bit string value with as few bits as carry all ones: a byte counting unused bits, then the bits.
pub(super) fn encode(bits: u16) -> Vec<u8> {
    let [first, second] = bits.to_be_bytes();
    let unused = |byte: u8| byte.trailing_zeros().to_be_bytes()[3];
    match (first, second) {
        (0, 0) => vec![0],
        (first, 0) => vec![unused(first), first],
        (first, second) => vec![unused(second), first, second],
    }
}

/// Reads a bit string; bits after the sixteenth are ignored, and so are bits that are counted as unused.
pub(super) fn parse(value: &[u8], field: &'static str) -> Result<u16, Pkcs15Error> {
    let Some((&unused @ 0..=7, bits)) = value.split_first() else {
        return Err(Pkcs15Error::Value { field });
    };
    let Some((&last, front)) = bits.split_last() else {
        return if unused == 0 {
            Ok(0)
        } else {
            Err(Pkcs15Error::Value { field })
        };
    };
    let mut bytes = front.to_vec();
    bytes.push(last & (0xFF << unused));
    bytes.resize(2, 0);
    Ok(bytes
        .iter()
        .take(2)
        .fold(0, |sum, byte| sum << 8 | u16::from(*byte)))
}
