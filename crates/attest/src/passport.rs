//! The key passport: what is proven of a key, what its token merely says, and what is only a label.

use chancery_cvc::{AuthenticatedRequest, PublicKey, TrustAnchors};
use chancery_schsm::pkcs15::{KeyAccess, KeyUsage};
use chancery_schsm::{Algorithm, AlgorithmList, Kcv, KeyDomainStatus, PrivateKeyDescription};
use serde::{Serialize, Serializer};
use time::Date;

use crate::attestation::Attestation;
use crate::evidence::{ChainFinding, RequestFinding};
use crate::fingerprint::KeyFingerprint;
use crate::verdict::{ChainVerdict, OriginVerdict, PossessionVerdict};
use crate::verify::{Device, algorithm};

/// What is at hand about one key. Nothing in it has been verified.
#[derive(Clone, Debug, Default)]
pub struct KeyFacts {
    /// Where the key is, for people: the token and key id, or the file.
    pub place: String,
    /// The key's authenticated request, from the token, the file or the archive.
    pub request: Option<Vec<u8>>,
    /// Where the request was found, for people.
    pub request_from: Option<String>,
    /// Content of EF 2F02 of the device that signed the request, where it is at hand.
    pub chain: Option<Vec<u8>>,
    /// Public key as a certificate or public key names it, for a key without a request.
    pub public_key: Option<PublicKey>,
    /// PKCS#15 description.
    pub description: Option<PrivateKeyDescription>,
    /// What the token says; `None` for a key in a file.
    pub token: Option<TokenFacts>,
    /// Key check value of the key encryption key a file is wrapped under.
    pub wrapped_under: Option<Kcv>,
    /// Copies that were seen elsewhere.
    pub copies: Vec<Copy>,
}

/// What a token says of itself and of a key on it.
#[derive(Clone, Debug, Default)]
pub struct TokenFacts {
    /// Content of its EF 2F02.
    pub chain: Vec<u8>,
    /// Version of the applet.
    pub firmware: String,
    /// Its key domains with their numbers.
    pub domains: Vec<(u8, KeyDomainStatus)>,
    /// Key domain of the key, where the token names one.
    pub key_domain: Option<u8>,
    /// What the key may be used for.
    pub algorithms: AlgorithmList,
    /// Uses left.
    pub use_counter: Option<u32>,
    /// Whether the key on the token was found to be the one its request or certificate names.
    pub binding: Binding,
}

/// Whether a key on a token is the one that is named beside it: whoever has the PIN can write another key's request there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Binding {
    /// Nobody looked, which takes the PIN and a use of the key.
    #[default]
    NotChecked,
    /// The key made a signature, or agreed on a secret, that the named public key confirms.
    ByUse,
    /// It did, and the named public key does not confirm it.
    OtherKey,
    /// Its uses are counted, or it permits none that could show it.
    Unprovable,
}

impl Binding {
    /// Every case.
    pub const ALL: [Self; 4] = [Self::NotChecked, Self::ByUse, Self::OtherKey, Self::Unprovable];

    /// The fixed name in JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotChecked => "not-checked",
            Self::ByUse => "by-use",
            Self::OtherKey => "other-key",
            Self::Unprovable => "unprovable",
        }
    }

    /// The fixed sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotChecked => {
                "not checked: that the key on the token is the one named beside it takes its PIN"
            }
            Self::ByUse => "the key on the token was used and is the one named beside it",
            Self::OtherKey => "ANOTHER KEY than the one named beside it is on the token",
            Self::Unprovable => "not shown: its uses are counted, or it permits none that could show it",
        }
    }
}

impl Serialize for Binding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// A copy of a key that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copy {
    /// Where: a token or a file.
    pub place: String,
    /// Check value of the key encryption key it is or was wrapped under, hexadecimal.
    pub kcv: Option<String>,
    /// What says that it is a copy.
    pub basis: CopyBasis,
}

/// What says that there is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CopyBasis {
    /// The archive holds the key's request as it was seen on another token.
    SeenOnToken,
    /// A wrapped key carries the key's request. Whether the blob is of that key shows only who has the key encryption
    /// key.
    WrappedFile,
}

/// Ways a private key could leave its token, as its token describes its key domain. Nobody signs this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExportPath {
    /// The token has no key domain.
    NoneKnown,
    /// The domain has a DKEK of shares.
    Dkek,
    /// Shares are missing.
    DkekIncomplete,
    /// The domain has a key encryption key without shares.
    KekWithoutShares,
    /// The domain's key encryption key is agreed between member tokens.
    Xkek,
    /// The token has key domains and does not say which is the key's.
    Unclear,
    /// The key was found in a file: it has left.
    InFile,
    /// There is no token to ask.
    NotAsked,
}

impl ExportPath {
    /// Every path.
    pub const ALL: [Self; 8] = [
        Self::NoneKnown,
        Self::Dkek,
        Self::DkekIncomplete,
        Self::KekWithoutShares,
        Self::Xkek,
        Self::Unclear,
        Self::InFile,
        Self::NotAsked,
    ];

    /// The fixed name in JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoneKnown => "none-known",
            Self::Dkek => "dkek",
            Self::DkekIncomplete => "dkek-incomplete",
            Self::KekWithoutShares => "kek-without-shares",
            Self::Xkek => "xkek",
            Self::Unclear => "unclear",
            Self::InFile => "in-file",
            Self::NotAsked => "not-asked",
        }
    }

    /// Who could hold copies; the fixed sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoneKnown => "no export path is known: the token says that it has no key domain",
            Self::Dkek => "everybody who can assemble the shares of this DKEK can make and use copies",
            Self::DkekIncomplete => {
                "the DKEK lacks shares: no copies at present, and everybody's who later has all shares"
            }
            Self::KekWithoutShares => {
                "the token says that its key encryption key has no shares: no other holder is known"
            }
            Self::Xkek => "every token that is or becomes a member of this exchange domain can hold a copy",
            Self::Unclear => {
                "the token has key domains and does not say which is the key's: copies are possible"
            }
            Self::InFile => "the file itself is a copy: everybody who has the key encryption key can use it",
            Self::NotAsked => "unknown: there is no token here to ask",
        }
    }
}

impl Serialize for ExportPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// What can be said of a key.
#[derive(Clone, Debug, Serialize)]
pub struct Passport {
    /// Where the key is.
    pub place: String,
    /// SHA-256 of the public key; `None` when nothing names it.
    pub fingerprint: Option<String>,
    /// Kind and size.
    pub algorithm: Option<String>,
    /// Proven, or not.
    pub origin: Origin,
    /// The token the key is on.
    pub token: Option<Token>,
    /// How it could leave and who could hold copies.
    pub export: Export,
    /// Copies that were seen. That a list is empty does not mean that there are none.
    pub copies: Vec<Copy>,
    /// What is written beside the key by whoever had the PIN.
    pub labels: Option<Labels>,
}

/// Where a key comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Origin {
    /// The result.
    pub verdict: OriginVerdict,
    /// Its fixed sentence.
    pub text: &'static str,
    /// What is particular.
    pub detail: Option<String>,
    /// Whether the key signed its own request.
    pub possession: Option<PossessionVerdict>,
    /// The result for the chain of the device that signed.
    pub chain: Option<ChainVerdict>,
    /// The device that generated the key, where that is proven.
    pub device: Option<Device>,
    /// Where the request was found.
    pub evidence: Option<String>,
}

/// The token a key is on.
#[derive(Clone, Debug, Serialize)]
pub struct Token {
    /// The result for its chain.
    pub chain: ChainVerdict,
    /// Who it is, where that is proven.
    pub device: Option<Device>,
    /// Version of the applet, by its own words.
    pub firmware: String,
    /// Whether the device that generated the key is this very token; a key of which it is not came here wrapped, or has
    /// nothing to show. It is about the key named beside the one on the token: see `binding`.
    pub generated_here: bool,
    /// Whether the key on the token is the one named beside it.
    pub binding: Binding,
    /// Uses left, by its own words.
    pub uses_left: Option<u32>,
}

/// How a key could leave.
#[derive(Clone, Debug, Serialize)]
pub struct Export {
    /// The way.
    pub path: ExportPath,
    /// Its fixed sentence.
    pub text: &'static str,
    /// Key domain, where known.
    pub domain: Option<u8>,
    /// Check value of the key encryption key, hexadecimal.
    pub kcv: Option<String>,
    /// Number of shares of a DKEK.
    pub shares: Option<u8>,
    /// Identifier of an exchange domain, hexadecimal.
    pub uid: Option<String>,
    /// Whether the key's algorithm list permits wrapping, by the token's words.
    pub wrap_listed: Option<bool>,
}

/// What PKCS#15 says. Labels: whoever has the PIN writes them, nothing enforces them.
#[derive(Clone, Debug, Serialize)]
pub struct Labels {
    /// Name.
    pub label: String,
    /// CKA_ID, hexadecimal.
    pub id: String,
    /// What the key is said to be for.
    pub usage: Vec<&'static str>,
    /// Where it is said to come from.
    pub access: Vec<&'static str>,
}

impl Passport {
    /// Puts a passport together.
    #[must_use]
    pub fn of(facts: &KeyFacts, anchors: &TrustAnchors, at: Date) -> Self {
        let examine = |bytes: &[u8]| ChainFinding::examine(bytes, anchors, at);
        let token_chain = facts.token.as_ref().map(|token| examine(&token.chain));
        let own_chain = facts.chain.as_deref().map(examine);
        let chains: Vec<&ChainFinding> = own_chain.iter().chain(&token_chain).collect();
        let finding = facts
            .request
            .as_deref()
            .map(|request| RequestFinding::examine(request, chains.iter().copied()));
        let other_key = facts
            .token
            .as_ref()
            .is_some_and(|token| token.binding == Binding::OtherKey);
        let proven = finding
            .as_ref()
            .filter(|_| !other_key)
            .and_then(RequestFinding::proven);
        let generated_here = match (proven, token_chain.as_ref().and_then(ChainFinding::identity)) {
            (Some(by), Some(here)) => by.name() == here.name() && by.key() == here.key(),
            _ => false,
        };
        let key = finding
            .as_ref()
            .and_then(|finding| finding.key.clone())
            .or_else(|| facts.public_key.clone());
        let verdict = match &finding {
            Some(_) if other_key => OriginVerdict::OtherKey,
            Some(finding) => finding.origin,
            None => OriginVerdict::NoRequest,
        };
        let signer = finding.as_ref().and_then(|finding| finding.device.clone());
        Self {
            place: facts.place.clone(),
            fingerprint: key.as_ref().map(|key| KeyFingerprint::of(key).to_string()),
            algorithm: key.as_ref().map(algorithm),
            origin: Origin {
                verdict,
                text: verdict.text(),
                detail: finding.as_ref().and_then(|finding| finding.detail.clone()),
                possession: finding.as_ref().and_then(|finding| finding.possession),
                chain: chains
                    .iter()
                    .find(|chain| signer.is_some() && chain.device == signer)
                    .map(|chain| chain.verdict),
                device: proven.map(Device::of),
                evidence: facts.request_from.clone(),
            },
            token: facts
                .token
                .as_ref()
                .zip(token_chain.as_ref())
                .map(|(token, chain)| Token {
                    chain: chain.verdict,
                    device: chain.identity().map(Device::of),
                    firmware: token.firmware.clone(),
                    generated_here,
                    binding: token.binding,
                    uses_left: token.use_counter,
                }),
            export: export(facts),
            copies: facts.copies.clone(),
            labels: facts.description.as_ref().map(Labels::of),
        }
    }
}

impl Passport {
    /// Whether the key was found wrapped in a file with a request beside it: nothing outside the key encryption key's
    /// holders can tell that the two belong together.
    #[must_use]
    pub fn wrapped_only(&self) -> bool {
        self.export.path == ExportPath::InFile && self.origin.evidence.is_some()
    }
}

impl Copy {
    /// The copies an archive knows of: sightings of the same key on other tokens and in other files than `here`, which
    /// is the name of a token or a file.
    #[must_use]
    pub fn from_archive<'a>(
        key: KeyFingerprint,
        here: Option<&str>,
        archive: impl IntoIterator<Item = &'a Attestation>,
    ) -> Vec<Self> {
        let mut copies: Vec<Self> = Vec::new();
        for attestation in archive.into_iter().filter(|attestation| attestation.key() == key) {
            let seen = attestation.seen();
            let (place, basis) = match (&seen.token, &seen.file) {
                (Some(token), _) if Some(token.as_str()) != here => {
                    (format!("token {token}"), CopyBasis::SeenOnToken)
                }
                (None, Some(file)) if Some(file.as_str()) != here && seen.kcv.is_some() => {
                    (format!("file {file}"), CopyBasis::WrappedFile)
                }
                _ => continue,
            };
            if !copies.iter().any(|copy| copy.place == place) {
                let kcv = seen.kcv.clone();
                copies.push(Self { place, kcv, basis });
            }
        }
        copies
    }

    /// A wrapped file as a copy of a key, when it carries that key's request.
    #[must_use]
    pub fn from_container(
        key: KeyFingerprint,
        file: &str,
        container: &chancery_schsm::KeyContainer,
    ) -> Option<Self> {
        let request = AuthenticatedRequest::parse(container.certificate()?).ok()?;
        (KeyFingerprint::of(request.request().public_key()) == key).then(|| Self {
            place: format!("file {file}"),
            kcv: kcv_of(container.blob()).map(|kcv| hex::encode_upper(kcv.0)),
            basis: CopyBasis::WrappedFile,
        })
    }
}

/// The check value a blob starts with.
#[must_use]
pub fn kcv_of(blob: &[u8]) -> Option<Kcv> {
    blob.first_chunk::<8>().map(|kcv| Kcv(*kcv))
}

impl Labels {
    fn of(description: &PrivateKeyDescription) -> Self {
        let usage = [
            (KeyUsage::ENCRYPT, "encrypt"),
            (KeyUsage::DECRYPT, "decrypt"),
            (KeyUsage::SIGN, "sign"),
            (KeyUsage::SIGN_RECOVER, "sign-recover"),
            (KeyUsage::WRAP, "wrap"),
            (KeyUsage::UNWRAP, "unwrap"),
            (KeyUsage::VERIFY, "verify"),
            (KeyUsage::VERIFY_RECOVER, "verify-recover"),
            (KeyUsage::DERIVE, "derive"),
            (KeyUsage::NON_REPUDIATION, "non-repudiation"),
        ];
        let access = [
            (KeyAccess::SENSITIVE, "sensitive"),
            (KeyAccess::EXTRACTABLE, "extractable"),
            (KeyAccess::ALWAYS_SENSITIVE, "always-sensitive"),
            (KeyAccess::NEVER_EXTRACTABLE, "never-extractable"),
            (KeyAccess::LOCAL, "local"),
        ];
        Self {
            label: description.label.clone(),
            id: hex::encode(&description.id),
            usage: usage
                .into_iter()
                .filter(|(bit, _)| description.usage.contains(*bit))
                .map(|(_, name)| name)
                .collect(),
            access: access
                .into_iter()
                .filter(|(bit, _)| description.access.is_some_and(|access| access.contains(*bit)))
                .map(|(_, name)| name)
                .collect(),
        }
    }
}

fn export(facts: &KeyFacts) -> Export {
    let of = |path: ExportPath| Export {
        path,
        text: path.text(),
        domain: None,
        kcv: None,
        shares: None,
        uid: None,
        wrap_listed: None,
    };
    let Some(token) = &facts.token else {
        return match facts.wrapped_under {
            Some(kcv) => Export {
                kcv: Some(hex::encode_upper(kcv.0)),
                ..of(ExportPath::InFile)
            },
            None => of(ExportPath::NotAsked),
        };
    };
    let listed = (!token.algorithms.is_unrestricted()).then(|| token.algorithms.allows(Algorithm::Wrap));
    let found = match (token.key_domain, token.domains.as_slice()) {
        (_, []) => None,
        (Some(named), domains) => match domains.iter().find(|(number, _)| *number == named) {
            Some(domain) => Some(domain),
            // In a domain that is not there (any more): what it was is not known.
            None => {
                return Export {
                    domain: Some(named),
                    wrap_listed: listed,
                    ..of(ExportPath::Unclear)
                };
            }
        },
        // A token with one DKEK has its keys under it without naming it.
        (None, [only @ (0, _)]) => Some(only),
        (None, _) => {
            return Export {
                wrap_listed: listed,
                ..of(ExportPath::Unclear)
            };
        }
    };
    let Some((number, status)) = found else {
        return Export {
            wrap_listed: listed,
            domain: token.key_domain,
            ..of(match token.key_domain {
                None => ExportPath::NoneKnown,
                Some(_) => ExportPath::Unclear,
            })
        };
    };
    let path = match status {
        KeyDomainStatus { uid: Some(_), .. } => ExportPath::Xkek,
        status if !status.is_complete() => ExportPath::DkekIncomplete,
        KeyDomainStatus { shares: 0, .. } => ExportPath::KekWithoutShares,
        _ => ExportPath::Dkek,
    };
    Export {
        domain: Some(*number),
        kcv: status.is_complete().then(|| hex::encode_upper(status.kcv.0)),
        shares: (path != ExportPath::Xkek).then_some(status.shares),
        uid: status.uid.as_ref().map(hex::encode),
        wrap_listed: listed,
        ..of(path)
    }
}
