//! Examining one receipt: a verdict for each claim it makes.

use std::collections::BTreeSet;

use chancery_api::{
    DigestValue, Extent, Hash32, LeaseText, Receipt, Requester, StatementKind, Widening, canonical_json,
    manifest_hash,
};
use chancery_audit::NoteVerifier;
use chancery_cvc::{DeviceIdentity, PublicKey, TrustAnchors};
use serde::Serialize;
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    ExtentVerdict, LeaseVerdict, LogVerdict, QuorumVerdict, SignatureVerdict, custodian, log, signature,
};
use crate::evidence::{ChainFinding, RequestFinding, with_causes};
use crate::fingerprint::KeyFingerprint;
use crate::verdict::{MatchVerdict, OriginVerdict, Outcome};
use crate::verify::{Verdict, nature};

/// What whoever checks a receipt knows from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Keys that sign heads of audit logs.
    pub log_keys: Vec<NoteVerifier>,
    /// A list of digests, for leases that name too many to be in the receipt.
    pub digests: Vec<DigestValue>,
}

/// What a receipt shows.
#[derive(Clone, Debug)]
pub struct ReceiptFinding {
    /// Every claim with its verdict, and what is particular to it.
    pub claims: Vec<(Verdict, Option<String>)>,
    /// The key that signed, where its origin is proven and it is the lease's.
    pub key: Option<PublicKey>,
    /// What was permitted, when the lease's text can be read. Worth what the claims are worth.
    pub permit: Option<Permit>,
}

/// What was permitted, by the words of the receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permit {
    /// The file.
    pub file: String,
    /// What was signed.
    pub digest: String,
    /// Name of the signer.
    pub signer: String,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key: Hash32,
    /// What for, in the requester's words.
    pub purpose: String,
    /// Who asked, as the node verified it.
    pub requester: Requester,
    /// The lease.
    pub lease: String,
    /// The installation.
    pub installation: String,
    /// When, by the node's clock.
    pub time: String,
    /// Whether the node counted the custodians instead of the HSMs.
    pub node_enforced: bool,
    /// Custodians needed.
    pub needed: u8,
    /// Whose statements count.
    pub agreed: Vec<Agreed>,
    /// What custodians added to the lease before they agreed, by the word of the node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub widened: Vec<Widening>,
}

/// A custodian whose statement counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Agreed {
    /// The name the node gives.
    pub person: String,
    /// CHR of the key.
    pub chr: String,
    /// Serial number of the token.
    pub device: String,
    /// Whether the token is hardware of the maker.
    pub hardware: bool,
    /// HSM it was for.
    pub hsm: String,
}

impl ReceiptFinding {
    /// Examines a receipt under these roots, on this day, with what is known from elsewhere.
    #[must_use]
    pub fn examine(file: &str, receipt: &Receipt, anchors: &TrustAnchors, at: Date, known: &Known) -> Self {
        let mut claims = Vec::new();
        let text = match read_text(&receipt.text.0) {
            Ok(text) => text,
            Err((verdict, why)) => {
                claims.push((Verdict::Lease(verdict), Some(why)));
                return Self {
                    claims,
                    key: None,
                    permit: None,
                };
            }
        };
        let key = PublicKey::from_spki_der(&receipt.public_key.0);
        let (signed, why) = match &key {
            Ok(key) => (
                signature::judge(key, text.mechanism, &receipt.digest, &receipt.signature.0),
                None,
            ),
            Err(error) => (SignatureVerdict::Unfit, Some(with_causes(error))),
        };
        claims.push((
            Verdict::Signature(signed),
            Some(why.unwrap_or_else(|| receipt.digest.to_string())),
        ));
        let key = key.ok();
        let born_in = origin(receipt, key.as_ref(), anchors, at, &mut claims);
        let signer = signing_hsm(receipt, anchors, at, &mut claims);
        let (lease, why) = lease(receipt, &text, signer.as_ref());
        claims.push((Verdict::Lease(lease), Some(why)));
        claims.push((
            Verdict::Extent(extent(
                &text.extent,
                &receipt.digest,
                &list(&text, receipt, known),
            )),
            Some(words(&text)),
        ));
        let agreed = custodians(receipt, &text, anchors, at, &mut claims);
        let (logged, why) = log::judge(receipt, &text.installation.to_string(), &known.log_keys);
        claims.push((Verdict::Log(logged), why));
        let permit = Permit {
            file: file.to_owned(),
            digest: receipt.digest.to_string(),
            signer: text.signer,
            key: text.key,
            purpose: text.purpose,
            requester: text.requester,
            lease: text.lease.to_string(),
            installation: text.installation.to_string(),
            time: receipt.time.clone(),
            node_enforced: receipt.node_enforced,
            needed: receipt.needed,
            agreed,
            widened: text.widened,
        };
        Self {
            claims,
            key: key.filter(|_| born_in && lease == LeaseVerdict::Permits),
            permit: Some(permit),
        }
    }

    /// Whether the audit log has the receipt, every byte of it; nothing else is looked at.
    #[must_use]
    pub fn logged(receipt: &Receipt, log_keys: &[NoteVerifier]) -> LogVerdict {
        match read_text(&receipt.text.0) {
            Ok(text) => log::judge(receipt, &text.installation.to_string(), log_keys).0,
            Err(_) => LogVerdict::OtherEntry,
        }
    }

    /// The worst of its claims.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.claims
            .iter()
            .map(|(verdict, _)| verdict.outcome())
            .max()
            .unwrap_or(Outcome::Malformed)
    }
}

type Claims = Vec<(Verdict, Option<String>)>;

fn read_text(bytes: &[u8]) -> Result<LeaseText, (LeaseVerdict, String)> {
    let text: LeaseText = serde_json::from_slice(bytes).map_err(|error| {
        (
            LeaseVerdict::Malformed,
            format!("the text cannot be read: {error}"),
        )
    })?;
    if text.v != 1 {
        return Err((LeaseVerdict::Malformed, format!("version {}, known is 1", text.v)));
    }
    if !text.is_widened_rightly() {
        let why = "what custodians added is not in what it permits".to_owned();
        return Err((LeaseVerdict::Malformed, why));
    }
    if canonical_json(&text).ok().as_deref() == Some(bytes) {
        Ok(text)
    } else {
        Err((LeaseVerdict::NotCanonical, format!("lease {}", text.lease)))
    }
}

/// Where the key was born; whether that is proven and it is the key that signed.
fn origin(
    receipt: &Receipt,
    key: Option<&PublicKey>,
    anchors: &TrustAnchors,
    at: Date,
    claims: &mut Claims,
) -> bool {
    let chain = ChainFinding::examine(&receipt.origin.chain.0, anchors, at);
    let request = RequestFinding::examine(&receipt.origin.request.0, [&chain]);
    let detail = match (chain.identity(), &chain.device) {
        (Some(identity), _) => Some(format!(
            "key born in {}, {}",
            identity.serial(),
            nature(identity.genuine())
        )),
        (None, Some(device)) => Some(format!("{} by its own words", device.holder())),
        (None, None) => None,
    };
    claims.push((Verdict::Chain(chain.verdict), detail));
    claims.push((Verdict::Origin(request.origin), request.detail.clone()));
    if let Some(possession) = request.possession {
        claims.push((Verdict::Possession(possession), None));
    }
    let matches = match (key, &request.key) {
        (Some(key), Some(attested)) if key == attested => MatchVerdict::Matches,
        (Some(_), Some(_)) => MatchVerdict::Differs,
        _ => MatchVerdict::NoEvidence,
    };
    let detail = key.map(|key| format!("key {}", KeyFingerprint::of(key).short()));
    claims.push((Verdict::Match(matches), detail));
    matches == MatchVerdict::Matches
        && request.proven().is_some()
        && request.origin != OriginVerdict::SignedByDevice
}

/// The HSM that signed, when its chain is authentic.
fn signing_hsm(
    receipt: &Receipt,
    anchors: &TrustAnchors,
    at: Date,
    claims: &mut Claims,
) -> Option<DeviceIdentity> {
    let chain = ChainFinding::examine(&receipt.hsm_chain.0, anchors, at);
    let what = chain.identity().map_or_else(String::new, |identity| {
        format!(", {}", nature(identity.genuine()))
    });
    claims.push((
        Verdict::Chain(chain.verdict),
        Some(format!("signed in HSM {}{what}", receipt.hsm.name)),
    ));
    chain.identity().cloned()
}

fn lease(receipt: &Receipt, text: &LeaseText, signer: Option<&DeviceIdentity>) -> (LeaseVerdict, String) {
    let hsm = &receipt.hsm;
    let is_hsm = |device: &DeviceIdentity| {
        let key = device.device_key().point().map(Hash32::of);
        device.name().as_str() == hsm.device && key == Some(hsm.key)
    };
    if Hash32::of(&receipt.public_key.0) != text.key {
        return (
            LeaseVerdict::OtherKey,
            format!("it names the key with SHA-256 {}", text.key),
        );
    }
    if !text.hsms.contains(hsm) || signer.is_some_and(|device| !is_hsm(device)) {
        return (LeaseVerdict::OtherHsm, format!("HSM {}", hsm.name));
    }
    if signer.is_none() {
        return (LeaseVerdict::HsmNotProven, format!("HSM {}", hsm.name));
    }
    let read = |time: &str| OffsetDateTime::parse(time, &Rfc3339).ok();
    let (Some(asked), Some(deadline), Some(time)) =
        (read(&text.asked), read(&text.deadline), read(&receipt.time))
    else {
        return (LeaseVerdict::Malformed, "a time cannot be read".to_owned());
    };
    if time < asked || time > deadline {
        return (
            LeaseVerdict::OutOfTime,
            format!(
                "signed {}, permitted {} to {}",
                receipt.time, text.asked, text.deadline
            ),
        );
    }
    (
        LeaseVerdict::Permits,
        format!(
            "lease {}, signer {}, until {}",
            text.lease, text.signer, text.deadline
        ),
    )
}

/// The digests the lease names: those in the receipt, or else those known from elsewhere.
fn list(text: &LeaseText, receipt: &Receipt, known: &Known) -> Vec<DigestValue> {
    if receipt.manifest.is_empty() && !matches!(text.extent, Extent::Count { .. }) {
        let mut digests = known.digests.clone();
        digests.sort_unstable();
        digests.dedup();
        digests
    } else {
        receipt.manifest.clone()
    }
}

fn extent(extent: &Extent, digest: &DigestValue, list: &[DigestValue]) -> ExtentVerdict {
    let (manifest, count, further) = match extent {
        Extent::Manifest { manifest, count } => (*manifest, *count, 0),
        Extent::Named {
            manifest,
            count,
            further,
        } => (*manifest, *count, *further),
        Extent::Count { .. } if list.is_empty() => return ExtentVerdict::Counted,
        Extent::Count { .. } => return ExtentVerdict::OtherList,
    };
    if list.is_empty() {
        return ExtentVerdict::NoList;
    }
    let ascending = list.iter().zip(list.iter().skip(1)).all(|(one, next)| one < next);
    if !ascending || u64::try_from(list.len()) != Ok(count) || manifest_hash(list) != manifest {
        return ExtentVerdict::OtherList;
    }
    if list.contains(digest) {
        ExtentVerdict::Named
    } else if further > 0 {
        ExtentVerdict::Counted
    } else {
        ExtentVerdict::NotNamed
    }
}

fn words(text: &LeaseText) -> String {
    let mut words = match &text.extent {
        Extent::Manifest { count, .. } => format!("{count} named"),
        Extent::Named { count, further, .. } => format!("{count} named and {further} further"),
        Extent::Count { count } => format!("any {count}"),
    };
    for widening in &text.widened {
        words.push_str(&format!(
            ", {} of them added by {} at {}",
            widening.next, widening.by, widening.at
        ));
    }
    words
}

fn custodians(
    receipt: &Receipt,
    text: &LeaseText,
    anchors: &TrustAnchors,
    at: Date,
    claims: &mut Claims,
) -> Vec<Agreed> {
    let mut agreed = Vec::new();
    // One key cannot stand for two custodians, nor can one token.
    let (mut keys, mut devices, mut here) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut unproven = 0_usize;
    for said in &receipt.statements {
        let judged = custodian::judge(said, text, &receipt.text.0, anchors, at);
        claims.push((Verdict::Custodian(judged.verdict), Some(judged.detail)));
        let Some((key, device)) = judged.counts else {
            let open = [Outcome::NotProven, Outcome::UnknownIssuer].contains(&judged.verdict.outcome());
            unproven += usize::from(open);
            continue;
        };
        keys.insert(key);
        devices.insert(device.clone());
        if said.hsm == receipt.hsm {
            here.insert(device.clone());
        }
        agreed.push(Agreed {
            person: said.person.clone(),
            chr: said.chr.clone(),
            device,
            hardware: judged.hardware,
            hsm: said.hsm.name.clone(),
        });
    }
    let needed = usize::from(receipt.needed);
    let count = keys.len().min(devices.len());
    let counted_by_node = receipt
        .statements
        .iter()
        .any(|said| said.kind == StatementKind::Open);
    let verdict = if needed == 0 || count + unproven < needed {
        QuorumVerdict::Incomplete
    } else if count < needed {
        QuorumVerdict::NotProven
    } else if counted_by_node && !receipt.node_enforced {
        QuorumVerdict::Contradicts
    } else if here.len() < needed {
        QuorumVerdict::Elsewhere
    } else {
        QuorumVerdict::Complete
    };
    let how = if receipt.node_enforced {
        "node-enforced: an HSM was open already"
    } else {
        "enforced by the HSMs"
    };
    claims.push((
        Verdict::Quorum(verdict),
        Some(format!("{count} of {needed} needed; {how}")),
    ));
    agreed
}
