//! Examining one chain and one request.

use chancery_cvc::{
    AuthenticatedRequest, ChainError, DateProblem, DeviceChain, DeviceIdentity, Genuineness, PublicKey,
    Reference, TrustAnchors, VirtualCode,
};
use time::Date;

use crate::canonical;
use crate::verdict::{ChainVerdict, OriginVerdict, Outcome, PossessionVerdict};

/// What a chain shows on a day, under certain roots.
#[derive(Clone, Debug)]
pub struct ChainFinding {
    /// The result.
    pub verdict: ChainVerdict,
    /// Which certificate, which date; one sentence.
    pub detail: Option<String>,
    /// The name the chain gives its device, proven or not.
    pub device: Option<Reference>,
    /// Whether the name is one for virtual tokens.
    pub virtual_name: bool,
    identity: Option<DeviceIdentity>,
}

impl ChainFinding {
    /// Examines the content of EF 2F02.
    #[must_use]
    pub fn examine(bytes: &[u8], anchors: &TrustAnchors, at: Date) -> Self {
        let chain = match DeviceChain::parse(bytes) {
            Ok(chain) => chain,
            Err(error) => return Self::failed(ChainVerdict::Malformed, with_causes(&error), None),
        };
        let device = chain.device_name().cloned();
        let identity = match chain.verify(anchors, Some(at)) {
            Ok(identity) => identity,
            Err(error) => return Self::failed(verdict_of(&error), with_causes(&error), device),
        };
        if !canonical::chain(bytes, &chain, &identity) {
            let detail =
                "a tag, a length or a certificate that no signature covers is not as devices have it";
            return Self::failed(ChainVerdict::NotCanonical, detail.to_owned(), device);
        }
        let early = |problem: &DateProblem| matches!(problem, DateProblem::NotYetValid { .. });
        let remarks = identity.date_remarks();
        let verdict = if remarks.is_empty() {
            ChainVerdict::Authentic
        } else if remarks.iter().all(|remark| early(&remark.problem)) {
            ChainVerdict::NotYetValid
        } else {
            ChainVerdict::Expired
        };
        let said: Vec<String> = remarks.iter().map(ToString::to_string).collect();
        Self {
            verdict,
            detail: (!said.is_empty()).then(|| said.join("; ")),
            virtual_name: identity.genuine() == Genuineness::Virtual,
            device,
            identity: Some(identity),
        }
    }

    /// The device, when the chain is authentic, whatever the dates.
    #[must_use]
    pub fn identity(&self) -> Option<&DeviceIdentity> {
        self.identity.as_ref()
    }

    fn failed(verdict: ChainVerdict, detail: String, device: Option<Reference>) -> Self {
        Self {
            verdict,
            detail: Some(detail),
            virtual_name: device.as_ref().is_some_and(VirtualCode::is_reserved),
            device,
            identity: None,
        }
    }
}

/// What a request shows, given the chains at hand.
#[derive(Clone, Debug)]
pub struct RequestFinding {
    /// Whether the key was made in the device.
    pub origin: OriginVerdict,
    /// Why, where the verdict alone does not say it; one sentence.
    pub detail: Option<String>,
    /// Whether the key signed its own request; `None` when the request cannot be read.
    pub possession: Option<PossessionVerdict>,
    /// The key, proven or not.
    pub key: Option<PublicKey>,
    /// The device that signed, by the request's own words.
    pub device: Option<Reference>,
    /// The name the host gave the key.
    pub chr: Option<Reference>,
    /// The proven device.
    pub identity: Option<DeviceIdentity>,
}

impl RequestFinding {
    /// Examines an authenticated request, DO 67 or its content.
    #[must_use]
    pub fn examine<'a>(bytes: &[u8], chains: impl IntoIterator<Item = &'a ChainFinding>) -> Self {
        let request = match AuthenticatedRequest::parse(bytes) {
            Ok(request) => request,
            Err(error) => return Self::malformed(with_causes(&error)),
        };
        let possession = match request.verify_inner() {
            Ok(()) => PossessionVerdict::Shown,
            Err(_) => PossessionVerdict::BadSignature,
        };
        let (origin, detail, identity) = origin(bytes, &request, chains);
        Self {
            origin,
            detail,
            possession: Some(possession),
            key: Some(request.request().public_key().clone()),
            device: Some(request.outer_car().clone()),
            chr: Some(request.request().chr().clone()),
            identity,
        }
    }

    /// The proven origin: device and key, when origin and possession both hold.
    #[must_use]
    pub fn proven(&self) -> Option<&DeviceIdentity> {
        let holds =
            self.origin.outcome() == Outcome::Holds && self.possession == Some(PossessionVerdict::Shown);
        self.identity.as_ref().filter(|_| holds)
    }

    fn malformed(detail: String) -> Self {
        Self {
            origin: OriginVerdict::Malformed,
            detail: Some(detail),
            possession: None,
            key: None,
            device: None,
            chr: None,
            identity: None,
        }
    }
}

fn origin<'a>(
    bytes: &[u8],
    request: &AuthenticatedRequest,
    chains: impl IntoIterator<Item = &'a ChainFinding>,
) -> (OriginVerdict, Option<String>, Option<DeviceIdentity>) {
    let named = request.outer_car();
    let mut others = Vec::new();
    let mut own = None;
    let mut signed_by_other_key = false;
    for chain in chains {
        match (chain.identity(), &chain.device) {
            (Some(identity), _) if identity.name() == named => {
                if request.verify_outer(identity.key()).is_ok() {
                    own = Some(identity);
                    break;
                }
                signed_by_other_key = true;
            }
            (None, Some(device)) if device == named => others.push(OriginVerdict::ChainNotAuthentic),
            _ => others.push(OriginVerdict::OtherDevice),
        }
    }
    let Some(device) = own else {
        let verdict = if signed_by_other_key {
            OriginVerdict::BadSignature
        } else if others.contains(&OriginVerdict::ChainNotAuthentic) {
            OriginVerdict::ChainNotAuthentic
        } else {
            others.pop().unwrap_or(OriginVerdict::NoChain)
        };
        return (verdict, Some(format!("the request names {named}")), None);
    };
    if !canonical::request(bytes, request) {
        let detail = "a tag or a length that no signature covers is not as devices write it";
        return (OriginVerdict::NotCanonical, Some(detail.to_owned()), None);
    }
    (
        OriginVerdict::under(device.genuine()),
        Some(format!("device {}", device.serial())),
        Some(device.clone()),
    )
}

fn verdict_of(error: &ChainError) -> ChainVerdict {
    match error {
        ChainError::NoDeviceCertificate => ChainVerdict::Malformed,
        ChainError::UnknownIssuer { .. } => ChainVerdict::UnknownIssuer,
        ChainError::Signature { .. } | ChainError::Key { .. } => ChainVerdict::BadSignature,
        ChainError::WrongIssuer { .. }
        | ChainError::NotACertificate { .. }
        | ChainError::OtherScheme { .. }
        | ChainError::WrongRole { .. }
        | ChainError::NotADevice { .. }
        | ChainError::ReservedName { .. }
        | ChainError::VirtualName { .. } => ChainVerdict::WrongRole,
    }
}

/// An error with its causes on one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
