//! What a custodian's machine gives the administrator.

use chancery_api::{Base64, Hash32};
use chancery_cvc::{AuthenticatedRequest, DeviceChain, DeviceIdentity, Genuineness, TrustAnchors};
use serde::{Deserialize, Serialize};

use super::{Fingerprint, add_virtual_root, fingerprint, read, written};
use crate::{ACT_KEY, AgentError, CUSTODIAN_KEY, act_key, custodian_key, token::UnlockedToken};

const WHAT: &str = "the custodian's card";
const KIND: &str = "chancery-custodian-card";

/// The version of a card as its custodian's machine writes it.
const OWN: u32 = 1;
/// The version of one that an installation vouched for.
const VOUCHED: u32 = 2;

/// A token and its two keys, as the token itself vouches for them. Public. A file; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodianCard {
    kind: String,
    v: u32,
    /// CHR of the device certificate.
    device: String,
    /// EF 2F02 of the token.
    chain: Base64,
    /// Scheme root of a virtual token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<Base64>,
    /// Authenticated request of the key that answers HSMs.
    custodian_key: Base64,
    /// Authenticated request of the key that signs what the person decides.
    act_key: Base64,
    /// Certificate (PEM) of the key by which the custodian's machine calls the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// Device certificate and those above it that an installation made for a virtual token of another machine; version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vouched: Option<Base64>,
}

/// What a card proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardProof {
    /// CHR of the device certificate.
    pub device: String,
    /// What the token is by its certificates.
    pub genuineness: Genuineness,
    /// The certificates, from the root down.
    pub path: String,
    /// SHA-256 of the key that answers HSMs (SubjectPublicKeyInfo).
    pub custodian_key: Hash32,
    /// SHA-256 of the key that signs acts (SubjectPublicKeyInfo).
    pub act_key: Hash32,
}

impl CustodianCard {
    /// Has the token make the two keys, unless it has them, and takes its statements about them. `anchors` are the roots this side
    /// knows; the token's own goes with the card when it is one of virtual tokens.
    ///
    /// # Errors
    /// As [`custodian_key`] and [`act_key`].
    pub fn of(
        token: &mut UnlockedToken,
        anchors: &TrustAnchors,
        client: Option<String>,
    ) -> Result<Self, AgentError> {
        let answers = custodian_key(token, anchors)?;
        let acts = act_key(token, anchors)?;
        let identity = identity(&answers.chain, anchors)?;
        let root = match identity.genuine() {
            Genuineness::Virtual => identity
                .trusted()
                .path()
                .next()
                .map(|root| Base64(root.as_bytes().to_vec())),
            _ => None,
        };
        Ok(Self {
            kind: KIND.to_owned(),
            v: OWN,
            device: identity.name().to_string(),
            chain: Base64(answers.chain),
            root,
            custodian_key: Base64(answers.key_request),
            act_key: Base64(acts.key_request),
            client,
            vouched: None,
        })
    }

    /// Reads a card's file. Nothing is proven yet.
    ///
    /// # Errors
    /// [`AgentError::Letter`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AgentError> {
        let card: Self = read(WHAT, bytes)?;
        let version = if card.vouched.is_some() { VOUCHED } else { OWN };
        if (card.kind.as_str(), card.v) != (KIND, version) {
            return Err(refuse("it is another kind of file, or of a later version"));
        }
        Ok(card)
    }

    /// The card's file.
    ///
    /// # Errors
    /// [`AgentError::Letter`].
    pub fn encode(&self) -> Result<Vec<u8>, AgentError> {
        written(WHAT, self)
    }

    /// What people compare: that of the card as its custodian's machine wrote it. What an installation added to it changes nothing, and
    /// counts by that installation's own root alone.
    ///
    /// # Errors
    /// [`AgentError::Letter`].
    pub fn fingerprint(&self) -> Result<Fingerprint, AgentError> {
        let own = Self {
            v: OWN,
            vouched: None,
            ..self.clone()
        };
        fingerprint(WHAT, &own)
    }

    /// Checks the card: certificates under `anchors` or, for a virtual token, under the root that came with it, and both statements.
    /// Where an installation vouched for the token, its certificates lead to `anchors`, and are about the very same key.
    ///
    /// # Errors
    /// [`AgentError::Letter`].
    pub fn proof(&self, anchors: &TrustAnchors) -> Result<CardProof, AgentError> {
        let mut own_anchors = anchors.clone();
        if let Some(root) = &self.root {
            add_virtual_root(WHAT, &mut own_anchors, &root.0)?;
        }
        let own = identity(&self.chain.0, &own_anchors)?;
        if own.name().as_str() != self.device {
            return Err(refuse("its certificates are those of another token"));
        }
        let identity = match &self.vouched {
            None => own,
            Some(chain) => {
                let vouched = identity(&chain.0, anchors)?;
                if vouched.name() != own.name() || vouched.device_key() != own.device_key() {
                    return Err(refuse("somebody vouched for another token than the card is of"));
                }
                vouched
            }
        };
        Ok(CardProof {
            device: self.device.clone(),
            genuineness: identity.genuine(),
            path: identity.display_path(),
            custodian_key: vouched(&identity, &self.custodian_key.0, CUSTODIAN_KEY.0)?,
            act_key: vouched(&identity, &self.act_key.0, ACT_KEY.0)?,
        })
    }

    /// The same card, with certificates that an installation made for the token's key. What people compare stays what it is.
    #[must_use]
    pub fn with_chain(&self, chain: Vec<u8>) -> Self {
        Self {
            v: VOUCHED,
            vouched: Some(Base64(chain)),
            ..self.clone()
        }
    }

    /// Whether an installation vouched for the token.
    #[must_use]
    pub const fn is_vouched(&self) -> bool {
        self.vouched.is_some()
    }

    /// EF 2F02 of the token, or the certificates of the installation that vouched for it.
    #[must_use]
    pub fn chain(&self) -> &[u8] {
        &self.vouched.as_ref().unwrap_or(&self.chain).0
    }

    /// Statement about the key that answers HSMs.
    #[must_use]
    pub fn custodian_key(&self) -> &[u8] {
        &self.custodian_key.0
    }

    /// Statement about the key that signs what the person decides.
    #[must_use]
    pub fn act_key(&self) -> &[u8] {
        &self.act_key.0
    }

    /// Certificate (PEM) of the key by which the custodian's machine calls the node.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The root that came with the card of a virtual token; none where an installation vouched for the token under its own.
    #[must_use]
    pub fn root(&self) -> Option<&[u8]> {
        match self.vouched {
            None => self.root.as_ref().map(|root| root.0.as_slice()),
            Some(_) => None,
        }
    }
}

fn identity(chain: &[u8], anchors: &TrustAnchors) -> Result<DeviceIdentity, AgentError> {
    DeviceChain::parse(chain)
        .map_err(|error| refuse(&format!("its certificates: {error}")))?
        .verify(anchors, None)
        .map_err(|error| refuse(&format!("its certificates: {error}")))
}

/// SHA-256 of a key that the device vouches for, under its own name and this key id.
fn vouched(identity: &DeviceIdentity, request: &[u8], id: u8) -> Result<Hash32, AgentError> {
    let failed = |why: String| refuse(&format!("the token's statement about key {id}: {why}"));
    let key = AuthenticatedRequest::parse(request)
        .map_err(|error| failed(error.to_string()))?
        .verify(identity)
        .map_err(|error| failed(error.to_string()))?;
    let expected = identity.name().with_sequence(id.into());
    if expected.ok().as_ref() != Some(key.chr()) {
        return Err(failed(format!("it is about {}", key.chr())));
    }
    let spki = key
        .public_key()
        .to_spki_der()
        .map_err(|error| failed(error.to_string()))?;
    Ok(Hash32::of(&spki))
}

fn refuse(why: &str) -> AgentError {
    AgentError::Letter {
        what: WHAT,
        why: why.to_owned(),
    }
}
