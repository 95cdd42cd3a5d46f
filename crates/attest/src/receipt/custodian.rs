//! What one custodian's statement shows.

use chancery_api::{CustodianStatement, LeaseText, StatementKind, lease_statement};
use chancery_cvc::{CvKey, Genuineness, PublicKey, TrustAnchors};
use time::Date;

use super::CustodianVerdict;
use crate::evidence::{ChainFinding, RequestFinding};
use crate::fingerprint::KeyFingerprint;
use crate::verdict::{ChainVerdict, OriginVerdict, Outcome, PossessionVerdict};
use crate::verify::nature;

/// A statement, judged.
pub(super) struct Judged {
    pub(super) verdict: CustodianVerdict,
    pub(super) detail: String,
    /// The key and the serial number of its token, where the statement counts.
    pub(super) counts: Option<(KeyFingerprint, String)>,
    /// Whether the token is hardware.
    pub(super) hardware: bool,
}

/// Judges a statement under the text of its lease.
pub(super) fn judge(
    said: &CustodianStatement,
    text: &LeaseText,
    bytes: &[u8],
    anchors: &TrustAnchors,
    at: Date,
) -> Judged {
    let chain = ChainFinding::examine(&said.chain.0, anchors, at);
    let request = RequestFinding::examine(&said.key_request.0, [&chain]);
    let device = chain
        .device
        .as_ref()
        .map_or_else(|| "?".to_owned(), |device| device.holder().to_owned());
    let of_what = chain.identity().map_or("", |identity| nature(identity.genuine()));
    let mut detail = format!("{}, key {}, token {device}", said.person, said.chr);
    if !of_what.is_empty() {
        detail.push_str(&format!(", {of_what}"));
    }
    detail.push_str(&format!(", for HSM {}", said.hsm.name));
    let verdict = verdict(said, text, bytes, &chain, &request);
    let good = matches!(verdict.outcome(), Outcome::Holds | Outcome::OutOfDate);
    Judged {
        verdict,
        detail,
        counts: request
            .key
            .as_ref()
            .filter(|_| good)
            .map(|key| (KeyFingerprint::of(key), device)),
        hardware: chain
            .identity()
            .is_some_and(|identity| identity.genuine() == Genuineness::Production),
    }
}

fn verdict(
    said: &CustodianStatement,
    text: &LeaseText,
    bytes: &[u8],
    chain: &ChainFinding,
    request: &RequestFinding,
) -> CustodianVerdict {
    let (Some(key), Some(chr)) = (&request.key, &request.chr) else {
        return CustodianVerdict::Malformed;
    };
    let Ok(challenge) = <[u8; 8]>::try_from(said.challenge.0.as_slice()) else {
        return CustodianVerdict::Malformed;
    };
    if said.kind == StatementKind::Refuse {
        return CustodianVerdict::Refused;
    }
    if !text.hsms.contains(&said.hsm) {
        return CustodianVerdict::OtherHsm;
    }
    if chr.as_str() != said.chr {
        return CustodianVerdict::OtherKey;
    }
    let statement = lease_statement(said.kind, bytes, said.log, None, &said.hsm.device, challenge);
    if !is_signed_by(key, &statement, &said.statement.0) {
        return CustodianVerdict::BadSignature;
    }
    let answer = [said.hsm.device.as_bytes(), &challenge].concat();
    let answered = match (said.kind, &said.unlock) {
        (StatementKind::Unlock, Some(unlock)) => is_signed_by(key, &answer, &unlock.0),
        (StatementKind::Open, None) => true,
        _ => false,
    };
    if !answered {
        return CustodianVerdict::BadAnswer;
    }
    if chain.verdict == ChainVerdict::UnknownIssuer {
        return CustodianVerdict::UnknownIssuer;
    }
    if request.origin == OriginVerdict::BadSignature
        || request.possession != Some(PossessionVerdict::Shown)
        || matches!(chain.verdict.outcome(), Outcome::Refused | Outcome::Malformed)
        || matches!(request.origin.outcome(), Outcome::Refused | Outcome::Differs)
    {
        return CustodianVerdict::OtherKey;
    }
    match (request.proven(), chain.verdict.outcome()) {
        (None, _) => CustodianVerdict::NotAttested,
        (Some(_), Outcome::OutOfDate) => CustodianVerdict::OutOfDate,
        (Some(device), _) if device.genuine() == Genuineness::Virtual => CustodianVerdict::AgreedVirtual,
        (Some(_), _) if said.kind == StatementKind::Open => CustodianVerdict::AgreedOpen,
        (Some(_), _) => CustodianVerdict::Agreed,
    }
}

/// Whether a plain signature with SHA-256 over a message is this key's.
fn is_signed_by(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    CvKey::with_sha256(key.clone()).verify(message, signature).is_ok()
}
