//! Several files together: one result for each claim that can be made of them.

use chancery_cvc::{DeviceIdentity, Genuineness, PublicKey, TrustAnchors};
use serde::Serialize;
use time::Date;

use crate::channel::{ChannelFinding, GeneratedInChannel, Held};
use crate::evidence::{ChainFinding, RequestFinding, with_causes};
use crate::fingerprint::KeyFingerprint;
use crate::input::{Input, InputError, Kind, Subject};
use crate::receipt::{
    CustodianVerdict, ExtentVerdict, Known, LeaseVerdict, LogVerdict, Permit, QuorumVerdict, ReceiptFinding,
    SignatureVerdict,
};
use crate::transcript::Transcript;
use crate::verdict::{
    ChainVerdict, ChannelVerdict, InputVerdict, MatchVerdict, OriginVerdict, Outcome, PossessionVerdict,
    WrappedVerdict,
};

/// The result of examining files together.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// The day whose dates count.
    #[serde(serialize_with = "date")]
    pub at: Date,
    /// The worst of all claims.
    pub outcome: Outcome,
    /// Every claim, in the order of the files.
    pub claims: Vec<Claim>,
    /// Devices whose chains are authentic.
    pub devices: Vec<Device>,
    /// Keys that there are requests for.
    pub keys: Vec<Key>,
    /// Keys that were generated through recorded channels, with the attributes they were asked for. Evidence only where
    /// [`Channel::held`] says why.
    pub channels: Vec<Channel>,
    /// What receipts say was permitted; worth what their claims are worth.
    pub permits: Vec<Permit>,
}

/// One claim and its result.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// The file it is about.
    pub file: String,
    /// What the file is; `None` when it was not recognised.
    pub kind: Option<Kind>,
    /// The claim with its result.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Whether the claim holds. An authentic chain that is out of date does not, and `outcome` says so.
    pub holds: bool,
    /// What that means for the whole.
    pub outcome: Outcome,
    /// The fixed sentence of the result.
    pub text: &'static str,
    /// What is particular to this file: names, dates, what is damaged.
    pub detail: Option<String>,
}

/// A claim with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "claim", content = "verdict", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// The file can be read.
    Readable(InputVerdict),
    /// A chain leads to a trusted root.
    Chain(ChainVerdict),
    /// The key was made in a device.
    Origin(OriginVerdict),
    /// Whoever made the request had the private key.
    Possession(PossessionVerdict),
    /// The certificate, request or public key is for a key there is evidence for.
    #[serde(rename = "matches")]
    Match(MatchVerdict),
    /// The wrapped key is the one the request beside it names.
    Wrapped(WrappedVerdict),
    /// A recorded secure channel is authentic.
    Channel(ChannelVerdict),
    /// A key signed a digest.
    Signature(SignatureVerdict),
    /// A lease permits a signature.
    Lease(LeaseVerdict),
    /// A lease permits a digest.
    Extent(ExtentVerdict),
    /// A custodian agreed to a lease.
    Custodian(CustodianVerdict),
    /// Enough custodians agreed.
    Quorum(QuorumVerdict),
    /// The audit log has a receipt.
    Log(LogVerdict),
}

/// A device whose chain is authentic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Name in its certificate.
    pub name: String,
    /// Serial number: the name without its last five characters.
    pub serial: String,
    /// Names from the root down.
    pub path: String,
    /// `production`, `virtual`, `test` or `other`.
    pub genuineness: &'static str,
    /// Whether it is hardware of the maker: only then does its chain lead to the production root.
    pub hardware: bool,
}

/// A key that was generated through a recorded channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Channel {
    /// The transcript's file.
    pub file: String,
    /// Why it counts for who asked; `None` when it does not.
    pub held: Option<Held>,
    /// What was asked for and reported.
    #[serde(flatten)]
    pub generated: GeneratedInChannel,
}

/// A key that there is a request for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// The file with the request.
    pub file: String,
    /// SHA-256 of the public key.
    pub fingerprint: String,
    /// Kind and size.
    pub algorithm: String,
    /// The name the host gave the key; other hosts give all keys of a device the same.
    pub name: String,
    /// The device that signed the request, by the request's own words.
    pub device: String,
    /// Whether origin and possession are proven.
    pub proven: bool,
}

impl Verdict {
    /// The fixed sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Readable(verdict) => verdict.text(),
            Self::Chain(verdict) => verdict.text(),
            Self::Origin(verdict) => verdict.text(),
            Self::Possession(verdict) => verdict.text(),
            Self::Match(verdict) => verdict.text(),
            Self::Wrapped(verdict) => verdict.text(),
            Self::Channel(verdict) => verdict.text(),
            Self::Signature(verdict) => verdict.text(),
            Self::Lease(verdict) => verdict.text(),
            Self::Extent(verdict) => verdict.text(),
            Self::Custodian(verdict) => verdict.text(),
            Self::Quorum(verdict) => verdict.text(),
            Self::Log(verdict) => verdict.text(),
        }
    }

    /// What it means for the whole.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Readable(verdict) => verdict.outcome(),
            Self::Chain(verdict) => verdict.outcome(),
            Self::Origin(verdict) => verdict.outcome(),
            Self::Possession(verdict) => verdict.outcome(),
            Self::Match(verdict) => verdict.outcome(),
            Self::Wrapped(verdict) => verdict.outcome(),
            Self::Channel(verdict) => verdict.outcome(),
            Self::Signature(verdict) => verdict.outcome(),
            Self::Lease(verdict) => verdict.outcome(),
            Self::Extent(verdict) => verdict.outcome(),
            Self::Custodian(verdict) => verdict.outcome(),
            Self::Quorum(verdict) => verdict.outcome(),
            Self::Log(verdict) => verdict.outcome(),
        }
    }

    /// Name of the claim.
    #[must_use]
    pub const fn claim(self) -> &'static str {
        match self {
            Self::Readable(_) => "readable",
            Self::Chain(_) => "chain",
            Self::Origin(_) => "origin",
            Self::Possession(_) => "possession",
            Self::Match(_) => "matches",
            Self::Wrapped(_) => "wrapped",
            Self::Channel(_) => "channel",
            Self::Signature(_) => "signature",
            Self::Lease(_) => "lease",
            Self::Extent(_) => "extent",
            Self::Custodian(_) => "custodian",
            Self::Quorum(_) => "quorum",
            Self::Log(_) => "log",
        }
    }
}

/// A file as it was given: its name, and what it was recognised as.
pub type NamedInput = (String, Result<Input, InputError>);

impl Verification {
    /// Examines files together for somebody who held none of the channels in them: every chain serves every request, every
    /// certificate is compared with every request.
    #[must_use]
    pub fn of(files: &[NamedInput], anchors: &TrustAnchors, at: Date) -> Self {
        Self::for_holder(files, anchors, at, |_| None)
    }

    /// As [`Self::of`], for somebody who held the channels of those transcripts that `held` gives a reason for.
    #[must_use]
    pub fn for_holder(
        files: &[NamedInput],
        anchors: &TrustAnchors,
        at: Date,
        held: impl Fn(&Transcript) -> Option<Held>,
    ) -> Self {
        Self::knowing(files, anchors, at, &Known::default(), held)
    }

    /// As [`Self::for_holder`], for somebody who knows more than the files say.
    #[must_use]
    pub fn knowing(
        files: &[NamedInput],
        anchors: &TrustAnchors,
        at: Date,
        known: &Known,
        held: impl Fn(&Transcript) -> Option<Held>,
    ) -> Self {
        let chains: Vec<(usize, ChainFinding)> = chains_of(files)
            .map(|(index, bytes)| (index, ChainFinding::examine(bytes, anchors, at)))
            .collect();
        let channels: Vec<(usize, ChannelFinding, Option<Held>)> = files
            .iter()
            .enumerate()
            .filter_map(|(index, (_, input))| match input {
                Ok(Input::Transcript(transcript)) => {
                    let (_, chain) = chains.iter().find(|(at, _)| *at == index)?;
                    let held = held(transcript);
                    Some((index, ChannelFinding::examine(transcript, chain, held), held))
                }
                _ => None,
            })
            .collect();
        let in_channels = channels.iter().filter_map(|(index, finding, _)| {
            let generated = finding.generated.as_ref()?;
            Some((*index, generated.request.as_slice()))
        });
        let requests: Vec<(usize, RequestFinding)> = requests_of(files)
            .chain(in_channels)
            .map(|(index, bytes)| {
                let findings = chains.iter().map(|(_, finding)| finding);
                (index, RequestFinding::examine(bytes, findings))
            })
            .collect();
        let receipts: Vec<(usize, ReceiptFinding)> = files
            .iter()
            .enumerate()
            .filter_map(|(index, (file, input))| match input {
                Ok(Input::Receipt(receipt)) => {
                    Some((index, ReceiptFinding::examine(file, receipt, anchors, at, known)))
                }
                _ => None,
            })
            .collect();
        let keys: Vec<&PublicKey> = requests
            .iter()
            .filter_map(|(_, finding)| finding.key.as_ref())
            .chain(receipts.iter().filter_map(|(_, finding)| finding.key.as_ref()))
            .collect();
        let mut claims = Vec::new();
        for (index, (file, input)) in files.iter().enumerate() {
            let kind = input.as_ref().ok().map(Input::kind);
            let mut claim = |verdict: Verdict, detail: Option<String>| {
                claims.push(Claim {
                    file: file.clone(),
                    kind,
                    verdict,
                    holds: verdict.outcome() == Outcome::Holds,
                    outcome: verdict.outcome(),
                    text: verdict.text(),
                    detail,
                });
            };
            let input = match input {
                Ok(input) => input,
                Err(error) => {
                    claim(
                        Verdict::Readable(InputVerdict::Unreadable),
                        Some(with_causes(error)),
                    );
                    continue;
                }
            };
            for (_, finding) in chains.iter().filter(|(at, _)| *at == index) {
                claim(Verdict::Chain(finding.verdict), chain_detail(finding));
            }
            for (_, finding, _) in channels.iter().filter(|(at, ..)| *at == index) {
                claim(Verdict::Channel(finding.verdict), finding.detail.clone());
            }
            for (_, finding) in receipts.iter().filter(|(at, _)| *at == index) {
                for (verdict, detail) in &finding.claims {
                    claim(*verdict, detail.clone());
                }
            }
            let mut found = false;
            for (_, finding) in requests.iter().filter(|(at, _)| *at == index) {
                found = true;
                claim(Verdict::Origin(finding.origin), finding.detail.clone());
                if let Some(possession) = finding.possession {
                    claim(Verdict::Possession(possession), None);
                }
            }
            match input {
                Input::Container(_) if !found => claim(Verdict::Origin(OriginVerdict::NoRequest), None),
                Input::Container(_) => claim(Verdict::Wrapped(WrappedVerdict::NotShown), None),
                Input::Subject(subject) => subject_claims(subject, &keys, claim),
                _ => {}
            }
        }
        let outcome = claims.iter().map(|claim| claim.outcome).max();
        Self {
            at,
            outcome: outcome.unwrap_or(Outcome::NotProven),
            devices: devices(&chains),
            keys: requests
                .iter()
                .filter_map(|(index, finding)| key(files.get(*index)?.0.as_str(), finding))
                .collect(),
            channels: channels
                .iter()
                .filter_map(|(index, finding, held)| {
                    Some(Channel {
                        file: files.get(*index)?.0.clone(),
                        held: *held,
                        generated: finding.generated.clone()?,
                    })
                })
                .collect(),
            permits: receipts
                .into_iter()
                .filter_map(|(_, finding)| finding.permit)
                .collect(),
            claims,
        }
    }
}

fn subject_claims(subject: &Subject, keys: &[&PublicKey], mut claim: impl FnMut(Verdict, Option<String>)) {
    if let Some(possession) = subject.possession {
        let verdict = if possession {
            PossessionVerdict::Shown
        } else {
            PossessionVerdict::BadSignature
        };
        claim(Verdict::Possession(verdict), None);
    }
    let verdict = if keys.is_empty() {
        MatchVerdict::NoEvidence
    } else if subject.key.as_ref().is_some_and(|key| keys.contains(&key)) {
        MatchVerdict::Matches
    } else {
        MatchVerdict::Differs
    };
    let fingerprint = subject.key.as_ref().map(KeyFingerprint::of);
    claim(
        Verdict::Match(verdict),
        fingerprint.map(|fingerprint| format!("key {}", fingerprint.short())),
    );
}

fn chains_of(files: &[NamedInput]) -> impl Iterator<Item = (usize, &[u8])> {
    files.iter().enumerate().filter_map(|(index, (_, input))| {
        let chain = match input {
            Ok(Input::Chain(bytes)) => bytes.as_slice(),
            Ok(Input::Attestation(attestation)) if !attestation.chain().is_empty() => attestation.chain(),
            Ok(Input::Transcript(transcript)) => transcript.chain.as_slice(),
            _ => return None,
        };
        Some((index, chain))
    })
}

fn requests_of(files: &[NamedInput]) -> impl Iterator<Item = (usize, &[u8])> {
    files.iter().enumerate().filter_map(|(index, (_, input))| {
        let request = match input {
            Ok(Input::Request(bytes)) => bytes.as_slice(),
            Ok(Input::Attestation(attestation)) => attestation.request(),
            Ok(Input::Container(container)) => container
                .certificate()
                .filter(|found| found.first() == Some(&0x67))?,
            _ => return None,
        };
        Some((index, request))
    })
}

fn chain_detail(finding: &ChainFinding) -> Option<String> {
    let what = match (finding.identity(), &finding.device) {
        (Some(identity), _) => Some(format!("{}, {}", identity.serial(), nature(identity.genuine()))),
        (None, Some(device)) if finding.virtual_name => Some(format!(
            "{} by its own words, a name of a virtual token, not hardware",
            device.holder()
        )),
        (None, Some(device)) => Some(format!("{} by its own words", device.holder())),
        (None, None) => None,
    };
    let parts: Vec<String> = [what, finding.detail.clone()].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn devices(chains: &[(usize, ChainFinding)]) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    for identity in chains.iter().filter_map(|(_, finding)| finding.identity()) {
        let device = Device::of(identity);
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    devices
}

impl Device {
    /// Of a proven identity.
    #[must_use]
    pub fn of(identity: &DeviceIdentity) -> Self {
        Self {
            name: identity.name().to_string(),
            serial: identity.serial().to_owned(),
            path: identity.display_path(),
            genuineness: match identity.genuine() {
                Genuineness::Production => "production",
                Genuineness::Virtual => "virtual",
                Genuineness::Test => "test",
                Genuineness::Other => "other",
            },
            hardware: identity.genuine() == Genuineness::Production,
        }
    }
}

/// What a root makes of a device, for people.
#[must_use]
pub fn nature(genuine: Genuineness) -> &'static str {
    match genuine {
        Genuineness::Production => "hardware under the maker's root",
        Genuineness::Virtual => "virtual token, not hardware",
        Genuineness::Test => "test device under the test root",
        Genuineness::Other => "device under a root that was asked for",
    }
}

fn key(file: &str, finding: &RequestFinding) -> Option<Key> {
    let key = finding.key.as_ref()?;
    Some(Key {
        file: file.to_owned(),
        fingerprint: KeyFingerprint::of(key).to_string(),
        algorithm: algorithm(key),
        name: finding.chr.as_ref()?.to_string(),
        device: finding.device.as_ref()?.to_string(),
        proven: finding.proven().is_some(),
    })
}

/// Kind and size of a key, for people.
#[must_use]
pub fn algorithm(key: &PublicKey) -> String {
    match key {
        PublicKey::Rsa(key) => format!("RSA-{}", key.bits()),
        PublicKey::Ec(key) => key.domain().to_string(),
        PublicKey::EcPointOnly(_) => "EC, curve not named".to_owned(),
    }
}

fn date<S: serde::Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(date)
}
