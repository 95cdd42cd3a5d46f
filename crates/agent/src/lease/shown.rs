//! A lease as this side understood it.

use std::collections::BTreeSet;

use chancery_api::{
    DigestValue, Extent, Hash32, HsmDocument, InstallationId, LeaseId, LeaseText, LeaseView, Mechanism,
    Requester, canonical_json, manifest_hash,
};
use time::OffsetDateTime;

use super::{compare::Comparison, remaining, trust, wider};
use crate::{
    Accepted, AcceptedHsm, AgentError, one_line,
    text::{quoted, short_line},
};

/// Longest lease, in seconds: 31 days.
const LONGEST: i64 = 31 * 86_400;
/// Longest purpose, in characters.
const LONGEST_PURPOSE: usize = 200;
/// Longest foreign text that is shown, in characters.
const LONGEST_CLAIM: usize = 160;
/// Longest foreign name that is shown, in characters.
pub(super) const LONGEST_NAME: usize = 64;
/// How many digests are shown.
const FIRST_DIGESTS: usize = 8;
/// How the name of a virtual token's device certificate begins.
const VIRTUAL: &str = "UTCHD";

/// A lease, read from the bytes that are signed and found to be one this custodian can decide on.
#[derive(Clone, Debug)]
pub struct ShownLease {
    text: LeaseText,
    bytes: Vec<u8>,
    deadline: OffsetDateTime,
    node_enforced: bool,
    agreed: Vec<String>,
    needed: u8,
    remaining_seconds: u64,
    states: Vec<(String, String)>,
    manifest: Option<Vec<DigestValue>>,
}

impl ShownLease {
    /// Reads a lease and refuses one that is not in canonical form, is for another installation, contradicts itself, or names an HSM this
    /// custodian did not accept: what is shown is all there is.
    ///
    /// # Errors
    /// [`AgentError::OtherLease`], or [`AgentError::NotAccepted`] for the HSM.
    pub fn read(
        view: &LeaseView,
        installation: InstallationId,
        accepted: &Accepted,
    ) -> Result<Self, AgentError> {
        let refuse = |why: String| AgentError::OtherLease(why);
        let bytes = view.text.0.as_slice();
        let text: LeaseText = serde_json::from_slice(bytes)
            .map_err(|error| refuse(format!("its text cannot be read ({error})")))?;
        let canonical = canonical_json(&text).map_err(|error| refuse(error.to_string()))?;
        if canonical != bytes {
            return Err(refuse("its text is not in canonical form".to_owned()));
        }
        let deadline = check(&text, view, installation).map_err(refuse)?;
        for hsm in &text.hsms {
            accepted.check(
                &hsm.name,
                &AcceptedHsm {
                    device: hsm.device.clone(),
                    key: hsm.key,
                },
            )?;
        }
        Ok(Self {
            text,
            bytes: canonical,
            deadline,
            node_enforced: view.node_enforced,
            agreed: view.agreed.clone(),
            needed: view.needed,
            remaining_seconds: view.remaining_seconds,
            states: view
                .hsms
                .iter()
                .map(|hsm| (hsm.hsm.clone(), hsm.state.clone()))
                .collect(),
            manifest: None,
        })
    }

    /// Takes the digests the text names; without them nothing can be agreed to.
    ///
    /// # Errors
    /// [`AgentError::OtherLease`] when they are not the ones the text names by hash and count.
    pub fn with_manifest(mut self, digests: Vec<DigestValue>) -> Result<Self, AgentError> {
        let refuse = |why: &str| Err(AgentError::OtherLease(why.to_owned()));
        let Some((hash, count)) = self.named() else {
            return if digests.is_empty() {
                Ok(self)
            } else {
                refuse("it gives digests that its text does not name")
            };
        };
        let ascending = digests
            .iter()
            .zip(digests.iter().skip(1))
            .all(|(one, next)| one < next);
        let one_function = digests
            .iter()
            .zip(digests.iter().skip(1))
            .all(|(one, next)| one.hash() == next.hash());
        if u64::try_from(digests.len()) != Ok(count) || !ascending {
            return refuse("its digests are not as many distinct ones as its text names");
        }
        if !one_function {
            return refuse("its digests are by several hash functions");
        }
        if manifest_hash(&digests) != hash {
            return refuse("its digests are not those its text names by their hash");
        }
        self.manifest = Some(digests);
        Ok(self)
    }

    /// The lease.
    #[must_use]
    pub const fn lease(&self) -> LeaseId {
        self.text.lease
    }

    /// What is signed, as it was read.
    #[must_use]
    pub const fn text(&self) -> &LeaseText {
        &self.text
    }

    /// The digests, once they were fetched and found to be those of the text.
    #[must_use]
    pub fn digests(&self) -> &[DigestValue] {
        self.manifest.as_deref().unwrap_or_default()
    }

    /// Whether the node counts the custodians this time.
    #[must_use]
    pub const fn node_enforced(&self) -> bool {
        self.node_enforced
    }

    /// Hash and number of the digests the text names.
    #[must_use]
    pub const fn named(&self) -> Option<(Hash32, u64)> {
        match self.text.extent {
            Extent::Manifest { manifest, count } | Extent::Named { manifest, count, .. } => {
                Some((manifest, count))
            }
            Extent::Count { .. } => None,
        }
    }

    /// Refuses a lease to which something was added at a time that is yet to come by this machine's clock.
    ///
    /// # Errors
    /// [`AgentError::Clock`].
    pub fn check_clock(&self, now: OffsetDateTime) -> Result<(), AgentError> {
        for widening in &self.text.widened {
            // What cannot be read was refused when the lease was read.
            let ahead = remaining::parse(&widening.at).map_or(0, |at| (at - now).whole_seconds());
            if ahead > remaining::SKEW {
                return Err(AgentError::Clock {
                    what: format!("{} added to the lease", quoted(&widening.by, LONGEST_NAME)),
                    apart: remaining::apart(ahead),
                    lease: self.text.lease,
                });
            }
        }
        Ok(())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Refuses a lease whose digests were not looked at.
    pub(crate) fn require_manifest(&self) -> Result<(), AgentError> {
        if self.named().is_some() && self.manifest.is_none() {
            return Err(AgentError::OtherLease("its digests were not fetched".to_owned()));
        }
        Ok(())
    }

    /// Everything that is agreed to, a line each, at this time by this machine's clock.
    #[must_use]
    pub fn lines(&self, now: OffsetDateTime, comparison: Option<&Comparison>) -> Vec<String> {
        let text = &self.text;
        let mut lines = vec![format!("lease {}", text.lease)];
        let mut fact = |name: &str, value: String| lines.push(format!("  {name:<11} {value}"));
        fact("what for", quoted(&text.purpose, LONGEST_PURPOSE));
        fact(
            "signs with",
            format!(
                "{}: {} key, SHA-256 {}",
                quoted(&text.signer, LONGEST_NAME),
                quoted(&text.algorithm, LONGEST_NAME),
                text.key
            ),
        );
        fact("how", mechanism(text.mechanism).to_owned());
        fact("may sign", self.extent());
        for line in wider::lines(&text.widened) {
            fact("widened", line);
        }
        fact(
            "lasts",
            remaining::line(self.deadline, now, self.remaining_seconds),
        );
        for hsm in &text.hsms {
            fact("HSM", self.hsm(hsm));
        }
        fact("enforced by", self.enforced());
        fact("agreed", self.agreed());
        fact("asked by", requester(&text.requester));
        let claimed = &text.claimed;
        fact(
            "its program",
            format!(
                "says of itself, which nobody checked: user {:?}, host {:?}, command {:?}",
                Quoted(&claimed.user),
                Quoted(&claimed.host),
                Quoted(&claimed.command)
            ),
        );
        for digest in self.digests().iter().take(FIRST_DIGESTS) {
            fact("digest", digest.to_string());
        }
        if let Some(more) = self
            .digests()
            .len()
            .checked_sub(FIRST_DIGESTS)
            .filter(|more| *more > 0)
        {
            fact("", format!("and {more} more, all in the manifest"));
        }
        if let Some(comparison) = comparison {
            lines.push("your own files:".to_owned());
            lines.extend(comparison.lines());
        }
        lines.push("know this:".to_owned());
        let is_virtual = text.hsms.iter().any(|hsm| hsm.device.starts_with(VIRTUAL));
        for statement in trust::statements(self.node_enforced, &text.extent, is_virtual) {
            lines.push(format!("  - {statement}"));
        }
        lines
    }

    fn extent(&self) -> String {
        match &self.text.extent {
            Extent::Manifest { manifest, count } => {
                format!("exactly {}, manifest SHA-256 {manifest}", digests(*count))
            }
            Extent::Named {
                manifest,
                count,
                further,
            } => format!(
                "{}, manifest SHA-256 {manifest}, AND THE NEXT {further}, WHICH NOBODY KNOWS YET",
                digests(*count)
            ),
            Extent::Count { count } => format!("any {}: DIGESTS UNKNOWN", digests(*count)),
        }
    }

    fn hsm(&self, hsm: &HsmDocument) -> String {
        let state = self
            .states
            .iter()
            .find(|(name, _)| *name == hsm.name)
            .map_or("not told", |(_, state)| state.as_str());
        format!(
            "{}: device {}, key SHA-256 {}, as you accepted it; by the node's word {}",
            one_line(&hsm.name),
            one_line(&hsm.device),
            hsm.key,
            quoted(state, LONGEST_NAME)
        )
    }

    fn enforced(&self) -> String {
        if self.node_enforced {
            "THE NODE: an HSM is open already (node-enforced)".to_owned()
        } else if self.text.strict {
            "the HSMs' own quorum; an HSM that is open is locked first (strict)".to_owned()
        } else {
            "the HSMs' own quorum".to_owned()
        }
    }

    fn agreed(&self) -> String {
        let names: Vec<String> = self
            .agreed
            .iter()
            .map(|name| quoted(name, LONGEST_NAME))
            .collect();
        let names = if names.is_empty() {
            String::new()
        } else {
            format!(": {}", names.join(", "))
        };
        format!("{} of {} custodians{names}", self.agreed.len(), self.needed)
    }
}

/// What the text of a lease must be, whatever HSMs it is about.
fn check(text: &LeaseText, view: &LeaseView, installation: InstallationId) -> Result<OffsetDateTime, String> {
    let names: BTreeSet<&str> = text.hsms.iter().map(|hsm| hsm.name.as_str()).collect();
    let (Some(asked), Some(deadline)) = (remaining::parse(&text.asked), remaining::parse(&text.deadline))
    else {
        return Err("its times cannot be read".to_owned());
    };
    let fits = match text.mechanism {
        Mechanism::Ecdsa => text.algorithm.starts_with("ec:"),
        Mechanism::RsaPkcs1 | Mechanism::RsaPss => text.algorithm.starts_with("rsa:"),
    };
    let lasts = (deadline - asked).whole_seconds();
    let wrong = if text.v != 1 {
        format!("its text has version {}, known is 1", text.v)
    } else if text.installation != installation {
        format!("it is for installation {}", text.installation)
    } else if text.lease != view.lease {
        format!("its text is that of lease {}", text.lease)
    } else if text.hsms.is_empty() || names.len() != text.hsms.len() {
        "its HSMs are not distinct".to_owned()
    } else if text.purpose.chars().count() > LONGEST_PURPOSE {
        "its purpose is longer than 200 characters".to_owned()
    } else if !fits {
        format!(
            "a key of {} cannot sign like that",
            short_line(&text.algorithm, 40)
        )
    } else if !text.is_widened_rightly() {
        "what custodians added to it is not in what it may sign".to_owned()
    } else if text
        .widened
        .iter()
        .any(|widening| remaining::parse(&widening.at).is_none_or(|at| at < asked))
    {
        "something was added to it before it was asked for".to_owned()
    } else if text.extent.limit() == 0 {
        "it may sign nothing".to_owned()
    } else if !(0..=LONGEST).contains(&lasts) {
        "it lasts longer than 31 days, or ends before it begins".to_owned()
    } else if view.needed == 0 {
        "it needs no custodian".to_owned()
    } else if text.strict && view.node_enforced {
        "it is strict and node-enforced at once".to_owned()
    } else {
        return Ok(deadline);
    };
    Err(wrong)
}

fn digests(count: u64) -> String {
    match count {
        1 => "1 digest".to_owned(),
        count => format!("{count} distinct digests"),
    }
}

const fn mechanism(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Ecdsa => "ECDSA over digests",
        Mechanism::RsaPkcs1 => "RSA PKCS#1 v1.5 over digests",
        Mechanism::RsaPss => "RSA-PSS over digests",
    }
}

fn requester(requester: &Requester) -> String {
    match requester {
        Requester::Local { uid } => format!("user {uid} on the node's own machine, as the node verified"),
        Requester::Client { name, key, address } => format!(
            "client {}, key SHA-256 {key}, from {}, as the node verified",
            quoted(name, LONGEST_NAME),
            quoted(address, LONGEST_NAME)
        ),
    }
}

/// Foreign text in quotation marks, escaped, on one line, not too long.
struct Quoted<'a>(&'a str);

impl std::fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&quoted(self.0, LONGEST_CLAIM))
    }
}
