//! What can be said about the parts of a receipt.

use serde::{Serialize, Serializer};

use crate::verdict::{Outcome, verdicts};

verdicts! {
    /// Whether the key of the receipt signed its digest.
    SignatureVerdict:
    /// It did.
    Valid = "valid", Holds, "valid: this key signed this digest";
    /// It did not.
    Wrong = "wrong", Refused, "wrong: this key did not sign this digest";
    /// Key, mechanism and signature do not belong together.
    Unfit = "unfit", Refused, "wrong: key, mechanism and signature do not fit each other";
}

verdicts! {
    /// Whether the lease's text permits what was signed.
    LeaseVerdict:
    /// Key, mechanism, HSM and time are those it names.
    Permits = "permits", Holds, "permits it: this key, like this, in this HSM, at this time";
    /// The text is not the one form a text has.
    NotCanonical = "not-canonical", Refused, "not as it was signed: the text is not in canonical form";
    /// It is for another key.
    OtherKey = "other-key", Refused, "does not permit it: it is for another key";
    /// It is for other HSMs, or the HSM's certificates are another one's.
    OtherHsm = "other-hsm", Refused, "does not permit it: it is for other HSMs";
    /// The HSM's certificates are not authentic, so that nothing shows which device signed.
    HsmNotProven = "hsm-not-proven", NotProven, "not proven: the chain of the HSM that signed is not authentic";
    /// Before it was asked for, or after its deadline.
    OutOfTime = "out-of-time", Refused, "does not permit it: it was signed outside of its time";
    /// No text.
    Malformed = "malformed", Malformed, "malformed";
}

verdicts! {
    /// Whether the digest is one the lease permits.
    ExtentVerdict:
    /// The lease names it.
    Named = "named", Holds, "permitted by name: the custodians agreed to this very digest";
    /// The lease permits a number of digests that nobody knew.
    Counted = "counted", Holds, "permitted by number: the custodians agreed to digests nobody knew; the node counts them";
    /// The list of digests is not in the receipt.
    NoList = "no-list", NotProven, "not proven: the list of digests the lease names by its hash is not in the receipt";
    /// The list is another one.
    OtherList = "other-list", Refused, "not permitted: the list of digests is not the one the lease names";
    /// The lease permits only what it names, and does not name this one.
    NotNamed = "not-named", Refused, "not permitted: the lease does not name this digest";
}

verdicts! {
    /// What one custodian's statement shows.
    CustodianVerdict:
    /// An attested key agreed to this lease and answered the HSM.
    Agreed = "agreed", Holds, "agreed to this lease and answered this HSM's challenge, with a key of that token";
    /// An attested key agreed to this lease; the node counted.
    AgreedOpen = "agreed-open", Holds, "agreed to this lease, counted by the node, with a key of that token";
    /// The same under a root of virtual tokens.
    AgreedVirtual = "agreed-virtual", Holds, "agreed to this lease, with a key of a virtual token, not hardware";
    /// A certificate of the custodian's token was out of date.
    OutOfDate = "out-of-date", OutOfDate, "agreed to this lease, and a certificate of that token was out of date";
    /// Nothing shows whose key it is.
    NotAttested = "not-attested", NotProven, "not proven: it is not shown that a token holds this key";
    /// The token's chain leads to a root that does not count.
    UnknownIssuer = "unknown-issuer", UnknownIssuer, "unknown issuer: the chain of that token leads to no root that counts";
    /// The key did not sign the statement.
    BadSignature = "bad-signature", Refused, "bad signature: this key did not agree to this lease";
    /// The key did not answer the HSM.
    BadAnswer = "bad-answer", Refused, "bad signature: this key did not answer this HSM's challenge";
    /// The statement is no agreement.
    Refused = "refused", Refused, "no agreement: it is a refusal";
    /// The statement is about an HSM the lease does not name.
    OtherHsm = "other-hsm", Refused, "for an HSM the lease does not name";
    /// The names of key or token are not those of the evidence.
    OtherKey = "other-key", Refused, "for another key than the one it names";
    /// It cannot be read.
    Malformed = "malformed", Malformed, "malformed";
}

verdicts! {
    /// Whether enough custodians agreed.
    QuorumVerdict:
    /// Enough, for the HSM that signed.
    Complete = "complete", Holds, "complete: as many tokens agreed for this HSM as are needed, by the node's word";
    /// Enough, not all for the HSM that signed.
    Elsewhere = "complete-elsewhere", Holds, "complete: as many tokens agreed as are needed, not all of them for this HSM";
    /// Enough, if all tokens were known to be some.
    NotProven = "not-proven", NotProven, "not proven: for too many statements it is not shown that a token holds the key";
    /// Too few.
    Incomplete = "incomplete", Refused, "incomplete: fewer tokens agreed than are needed";
    /// What the receipt says of the quorum contradicts the statements.
    Contradicts = "contradicts", Refused, "the receipt says the HSMs counted, and the custodians' statements say the node did";
}

verdicts! {
    /// Whether the audit log has the receipt.
    LogVerdict:
    /// It has, under a head that a known key signed.
    Included = "included", Holds, "included: a signed head of the log covers the whole receipt, time and names as well";
    /// No head covers it yet.
    NoProof = "no-proof", NotProven, "not proven: no signed head yet; time, names and quorum are the node's word";
    /// The key that signs the log is not known here.
    UnknownKey = "unknown-key", NotProven, "not proven: the key that signs the log's heads is not known";
    /// The entry is about something else.
    OtherEntry = "other-entry", Refused, "the log's entry is not about this receipt: something in it was changed";
    /// The head is not signed as it should be, or is another log's.
    BadHead = "bad-head", Refused, "the head of the log is not signed by its key, or is another log's";
    /// The proof does not hold.
    NotIncluded = "not-included", Refused, "the proof does not lead from the entry to the head";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_and_texts_are_short() {
        fn check(all: &[(&str, &str)]) {
            for (index, (code, text)) in all.iter().enumerate() {
                assert!(text.len() <= 110, "{text}");
                assert!(
                    !all.iter().skip(index + 1).any(|(same, _)| same == code),
                    "{code}"
                );
            }
        }
        macro_rules! all {
            ($($name:ident),*) => {$(
                check(&$name::ALL.iter().map(|v| (v.code(), v.text())).collect::<Vec<_>>());
            )*};
        }
        all!(
            SignatureVerdict,
            LeaseVerdict,
            ExtentVerdict,
            CustodianVerdict,
            QuorumVerdict,
            LogVerdict
        );
    }
}
