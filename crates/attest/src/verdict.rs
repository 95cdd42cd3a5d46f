//! What can be said about a piece of evidence: one code and one sentence for each case, fixed for ever.

use chancery_cvc::Genuineness;
use serde::{Serialize, Serializer};

/// Declares an enum of verdicts: variant, code, whether the claim holds, how bad it is otherwise, sentence.
macro_rules! verdicts {
    ($(#[$meta:meta])* $name:ident: $($(#[$doc:meta])* $variant:ident = $code:literal, $outcome:ident, $text:literal;)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// Every verdict of this claim.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The fixed name in JSON.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The fixed sentence.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// What it means for the whole.
            #[must_use]
            pub const fn outcome(self) -> Outcome {
                match self {
                    $(Self::$variant => Outcome::$outcome,)*
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.code())
            }
        }
    };
}

pub(crate) use verdicts;

/// How a claim, or all of them together, came out. Worse ones are greater: the whole is as bad as its worst claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The claim holds.
    Holds,
    /// The proof holds, and a certificate in it was out of date at the time asked for.
    OutOfDate,
    /// What would prove it is not there.
    NotProven,
    /// The proof leads to a root that is not trusted.
    UnknownIssuer,
    /// The evidence is for another key.
    Differs,
    /// A signature is wrong, or something stands where it may not.
    Refused,
    /// The bytes cannot be read.
    Malformed,
}

verdicts! {
    /// What the chain of a device shows.
    ChainVerdict:
    /// Down to a trusted root, every certificate in date.
    Authentic = "authentic", Holds, "authentic";
    /// The same, and a certificate has expired.
    Expired = "authentic-expired", OutOfDate, "authentic, expired";
    /// The same, and a certificate is not valid yet.
    NotYetValid = "authentic-not-yet-valid", OutOfDate, "authentic, not valid yet";
    /// No trusted root.
    UnknownIssuer = "unknown-issuer", UnknownIssuer, "unknown issuer";
    /// A signature that is not the issuer's.
    BadSignature = "bad-signature", Refused, "bad signature";
    /// A role or a name that may not stand at its place.
    WrongRole = "wrong-role", Refused, "a role or a name stands where it may not";
    /// Signatures hold, and bytes they do not cover are not as they have to be.
    NotCanonical = "not-canonical", Refused, "changed outside of what is signed";
    /// No chain.
    Malformed = "malformed", Malformed, "malformed";
}

verdicts! {
    /// Whether a key was made in a device: generated there, or derived inside from another key it holds. What a request
    /// says is the same for both; a key that is derived is no more secret than the one it is derived from.
    OriginVerdict:
    /// The device signed the key's request; devices of this root do that for keys they generate or derive.
    Proven = "proven", Holds, "proven: the key was generated in, or derived inside, that device";
    /// The same under a root of virtual tokens, which derive from keys they made themselves only.
    Virtual = "proven-virtual", Holds,
        "proven: the key was generated in, or derived inside, a virtual token, not hardware";
    /// Under the test root, whose private key is not protected like the other.
    Test = "proven-test", Holds,
        "proven under the test root only: the key was generated in, or derived inside, a test device";
    /// Under another root that was asked for.
    SignedByDevice = "signed-by-device", NotProven,
        "not proven: the device signed the request, but under this root it may do so for imported keys, too";
    /// No chain of the device that is named.
    NoChain = "no-chain", NotProven, "not proven: the chain of the device is not there";
    /// The chain is there and is not authentic.
    ChainNotAuthentic = "chain-not-authentic", NotProven, "not proven: the chain of the device is not authentic";
    /// Chains of other devices are there.
    OtherDevice = "other-device", Differs, "not proven: the request is another device's than the chain";
    /// The key on the token is another than the one of the request beside it.
    OtherKey = "other-key", Differs, "not proven: the request is another key's than the one on the token";
    /// There is no request at all.
    NoRequest = "no-request", NotProven, "not proven: there is no request of the key";
    /// The device did not sign the request.
    BadSignature = "bad-signature", Refused, "bad signature: the device did not sign this request";
    /// Signatures hold, and bytes they do not cover are not as they have to be.
    NotCanonical = "not-canonical", Refused, "changed outside of what is signed";
    /// No request.
    Malformed = "malformed", Malformed, "malformed";
}

verdicts! {
    /// Whether whoever made a request had the private key.
    PossessionVerdict:
    /// The request is signed by its own key.
    Shown = "shown", Holds, "shown: the key signed its own request";
    /// It is not.
    BadSignature = "bad-signature", Refused, "bad signature: the key did not sign its own request";
}

verdicts! {
    /// Whether a certificate, request or public key is for a key there is evidence for.
    MatchVerdict:
    /// The same public key.
    Matches = "yes", Holds, "yes: the same public key";
    /// Another one.
    Differs = "no", Differs, "no: another public key";
    /// Nothing to compare with.
    NoEvidence = "no-evidence", NotProven, "there is no request to compare it with";
}

verdicts! {
    /// Whether the private key in a wrapped key is the one the request beside it names.
    WrappedVerdict:
    /// Nothing signed covers the wrapped key itself.
    NotShown = "not-shown", NotProven,
        "not shown: that the wrapped key is the one its request names shows only who unwraps it";
}

verdicts! {
    /// What a recorded secure channel shows to who held it. Its authentication codes are symmetric: to anybody else it
    /// shows what the one who recorded it says.
    ChannelVerdict:
    /// Every message is what the keys of the channel make of it, a key was generated in it, and who asks held the channel.
    Authentic = "authentic-to-holder", Holds,
        "authentic to who held the channel; others have only that party's word";
    /// The same for who did not hold the channel: whoever has the file, or any device's chain, can write such a transcript.
    Consistent = "consistent", NotProven,
        "not proven: its answers could be made by who recorded it, so only that party can rely on them";
    /// The same without a key generation.
    NoGeneration = "no-generation", NotProven, "authentic to who held the channel, but no key was generated in it";
    /// The chain of the device is not authentic: the keys cannot be computed.
    ChainNotAuthentic = "chain-not-authentic", NotProven, "not proven: the chain of the device is not authentic";
    /// A message, or the token's proof, is not what the keys make of it.
    NotAuthentic = "not-authentic", Refused, "not authentic: an authentication code is wrong";
    /// The keys cannot be computed from what is there.
    Malformed = "malformed", Malformed, "malformed";
}

impl OriginVerdict {
    /// What the request of a key shows that a device under such a root signed.
    #[must_use]
    pub const fn under(root: Genuineness) -> Self {
        match root {
            Genuineness::Production => Self::Proven,
            Genuineness::Virtual => Self::Virtual,
            Genuineness::Test => Self::Test,
            Genuineness::Other => Self::SignedByDevice,
        }
    }
}

verdicts! {
    /// Whether a file could be read at all.
    InputVerdict:
    /// It could not.
    Unreadable = "unreadable", Malformed, "not evidence, or damaged";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_makes_the_word_and_only_makers_of_generating_devices_prove() {
        for (root, verdict, holds, word) in [
            (
                Genuineness::Production,
                OriginVerdict::Proven,
                true,
                "that device",
            ),
            (Genuineness::Virtual, OriginVerdict::Virtual, true, "not hardware"),
            (
                Genuineness::Test,
                OriginVerdict::Test,
                true,
                "under the test root only",
            ),
            (
                Genuineness::Other,
                OriginVerdict::SignedByDevice,
                false,
                "not proven",
            ),
        ] {
            assert_eq!(OriginVerdict::under(root), verdict);
            assert_eq!(verdict.outcome() == Outcome::Holds, holds);
            assert!(verdict.text().contains(word), "{}", verdict.text());
            // A request does not tell a generated key from a derived one.
            assert_eq!(verdict.text().contains("derived"), holds);
        }
    }

    #[test]
    fn codes_are_told_apart_and_texts_are_short() {
        let mut all: Vec<(&str, &str, &str)> = Vec::new();
        all.extend(ChainVerdict::ALL.iter().map(|v| ("chain", v.code(), v.text())));
        all.extend(OriginVerdict::ALL.iter().map(|v| ("origin", v.code(), v.text())));
        all.extend(
            PossessionVerdict::ALL
                .iter()
                .map(|v| ("possession", v.code(), v.text())),
        );
        all.extend(MatchVerdict::ALL.iter().map(|v| ("match", v.code(), v.text())));
        all.extend(
            WrappedVerdict::ALL
                .iter()
                .map(|v| ("wrapped", v.code(), v.text())),
        );
        all.extend(
            ChannelVerdict::ALL
                .iter()
                .map(|v| ("channel", v.code(), v.text())),
        );
        for (index, (claim, code, text)) in all.iter().enumerate() {
            assert!(text.len() <= 110, "{text}");
            assert!(
                !all.iter()
                    .skip(index + 1)
                    .any(|(other, same, _)| other == claim && same == code),
                "{claim} {code}"
            );
        }
    }
}
