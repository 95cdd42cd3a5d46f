//! The key passport: what is proven of a key, what its token merely says, and what is only a label.

mod cases;

use chancery_cvc::{AuthenticatedRequest, PublicKey, TrustAnchors};
use chancery_schsm::pkcs15::{KeyAccess, KeyUsage};
use chancery_schsm::{Algorithm, AlgorithmList, Kcv, KeyDomainStatus, PrivateKeyDescription};
use serde::Serialize;
use time::Date;

use crate::attestation::Attestation;
use crate::evidence::{ChainFinding, RequestFinding};
use crate::fingerprint::KeyFingerprint;
use crate::verdict::{ChainVerdict, OriginVerdict, PossessionVerdict, WrappedVerdict};
use crate::verify::{Device, algorithm};

pub use cases::{Binding, ExportPath};

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
    /// Whether it has several places for key domains, made or not: a key that names no domain is then in none of them.
    pub several_places: bool,
    /// Key domain of the key, where the token names one.
    pub key_domain: Option<u8>,
    /// What the key may be used for.
    pub algorithms: AlgorithmList,
    /// Uses left.
    pub use_counter: Option<u32>,
    /// Whether the key on the token was found to be the one its request or certificate names.
    pub binding: Binding,
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
    /// For a key that was found wrapped in a file with a request beside it: whether the two belong together.
    pub wrapped: Option<WrappedVerdict>,
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
    /// The device the key was generated in, or derived inside, where that is proven.
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
    /// Whether the key on the token was generated or derived in this very token; one that was not came here wrapped.
    /// `None` unless the key was found to be the one its proven request names (`binding`).
    pub generated_here: Option<bool>,
    /// Whether the proven request beside the key is one of this very token; `None` without such a request or without
    /// an authentic chain of the token. Whoever has the PIN can write any request there.
    pub request_of_this_token: Option<bool>,
    /// Whether the key on the token is the one named beside it.
    pub binding: Binding,
    /// Its fixed sentence.
    pub binding_text: &'static str,
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
        let here = token_chain.as_ref().and_then(ChainFinding::identity);
        let request_of_this_token = proven
            .zip(here)
            .map(|(by, here)| by.name() == here.name() && by.key() == here.key());
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
        let export = export(facts);
        let in_file = export.path == ExportPath::InFile;
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
                    generated_here: request_of_this_token.filter(|_| token.binding == Binding::ByUse),
                    request_of_this_token,
                    binding: token.binding,
                    binding_text: token.binding.text(),
                    uses_left: token.use_counter,
                }),
            wrapped: (in_file && facts.request.is_some()).then_some(WrappedVerdict::NotShown),
            export,
            copies: facts.copies.clone(),
            labels: facts.description.as_ref().map(Labels::of),
        }
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
        (None, [only @ (0, _)]) if !token.several_places => Some(only),
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
    let path = if listed == Some(false) {
        ExportPath::NotListed
    } else if token.use_counter.is_some() {
        ExportPath::Counted
    } else {
        path
    };
    Export {
        domain: Some(*number),
        kcv: status.is_complete().then(|| hex::encode_upper(status.kcv.0)),
        shares: status.uid.is_none().then_some(status.shares),
        uid: status.uid.as_ref().map(hex::encode),
        wrap_listed: listed,
        ..of(path)
    }
}
