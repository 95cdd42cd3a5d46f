//! What an administrator gives custodians: the installation, its HSMs, and who signs its audit log.

use std::collections::BTreeSet;

use chancery_api::{Base64, Hash32, InstallationId};
use chancery_audit::NoteVerifier;
use chancery_cvc::{Genuineness, TrustAnchors};
use serde::{Deserialize, Serialize};

use super::{Fingerprint, add_virtual_root, fingerprint, read, written};
use crate::{AcceptedHsm, AgentError, accepted::verify, short_line};

const WHAT: &str = "the invitation";
const KIND: &str = "chancery-custodian-invitation";
/// Longest name of an installation, in characters.
const LONGEST_NAME: usize = 100;
/// Longest address of a node, in characters.
const LONGEST_URL: usize = 300;
/// Most HSMs of one invitation.
const MOST_HSMS: usize = 256;

/// An invitation. Public; it counts once its fingerprint was compared. A file; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    kind: String,
    v: u32,
    installation: InstallationId,
    /// What people call it.
    name: String,
    hsms: Vec<InvitedHsm>,
    /// Scheme root of the installation's virtual tokens, where an HSM is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<Base64>,
    /// Verifier key (C2SP signed-note) of the audit log's heads.
    log_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<InvitedNode>,
}

/// An HSM of an invitation. Fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvitedHsm {
    /// Name in the installation.
    pub name: String,
    /// CHR of its device certificate.
    pub device: String,
    /// SHA-256 of its device public key (uncompressed point).
    pub key: Hash32,
    /// EF 2F02.
    pub chain: Base64,
}

/// Where the node is. Fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvitedNode {
    /// Address for clients, `https://HOST:PORT`.
    pub url: String,
    /// Its own certificate, PEM, which is pinned.
    pub certificate: String,
}

/// An HSM as this side sees it by its certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenHsm {
    /// Name in the installation.
    pub name: String,
    /// What would be accepted.
    pub hsm: AcceptedHsm,
    /// What it is, by certificates that hold; otherwise why they do not.
    pub genuineness: Result<Genuineness, String>,
}

impl Invitation {
    /// An invitation.
    ///
    /// # Errors
    /// [`AgentError::Letter`], as for one that is read.
    pub fn new(
        installation: InstallationId,
        name: &str,
        hsms: Vec<InvitedHsm>,
        root: Option<Vec<u8>>,
        log_key: &NoteVerifier,
        node: Option<InvitedNode>,
    ) -> Result<Self, AgentError> {
        let invitation = Self {
            kind: KIND.to_owned(),
            v: 1,
            installation,
            name: name.to_owned(),
            hsms,
            root: root.map(Base64),
            log_key: log_key.to_vkey(),
            node,
        };
        invitation.check()?;
        Ok(invitation)
    }

    /// Reads an invitation's file.
    ///
    /// # Errors
    /// [`AgentError::Letter`] when it is malformed or contradicts itself. Whether its HSMs' certificates hold is for [`Self::hsms`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AgentError> {
        let invitation: Self = read(WHAT, bytes)?;
        invitation.check()?;
        Ok(invitation)
    }

    fn check(&self) -> Result<(), AgentError> {
        let names: BTreeSet<&str> = self.hsms.iter().map(|hsm| hsm.name.as_str()).collect();
        let wrong =
            if (self.kind.as_str(), self.v) != (KIND, 1) {
                "it is another kind of file, or of a later version"
            } else if self.name.chars().count() > LONGEST_NAME {
                "the installation's name is longer than 100 characters"
            } else if self.hsms.is_empty() {
                "it names no HSM"
            } else if self.hsms.len() > MOST_HSMS {
                "it names more than 256 HSMs"
            } else if names.len() != self.hsms.len() {
                "it names an HSM twice"
            } else if self.node.as_ref().is_some_and(|node| {
                node.url.chars().count() > LONGEST_URL || !node.url.starts_with("https://")
            }) {
                "the node's address is no https:// address, or too long"
            } else {
                self.log_key()?;
                self.anchors()?;
                return Ok(());
            };
        Err(refuse(wrong))
    }

    /// The invitation's file.
    ///
    /// # Errors
    /// [`AgentError::Letter`].
    pub fn encode(&self) -> Result<Vec<u8>, AgentError> {
        written(WHAT, self)
    }

    /// What people compare; everything in the file is covered.
    ///
    /// # Errors
    /// [`AgentError::Letter`].
    pub fn fingerprint(&self) -> Result<Fingerprint, AgentError> {
        fingerprint(WHAT, self)
    }

    /// The roots under which its HSMs count: the production root, and that of the installation's virtual tokens if it came with it.
    ///
    /// # Errors
    /// [`AgentError::Letter`].
    pub fn anchors(&self) -> Result<TrustAnchors, AgentError> {
        anchors(self.root())
    }

    /// The HSMs, by their own certificates.
    ///
    /// # Errors
    /// [`AgentError::Letter`] when an HSM's device or key is not that of its certificates.
    pub fn hsms(&self) -> Result<Vec<SeenHsm>, AgentError> {
        let anchors = self.anchors()?;
        self.hsms
            .iter()
            .map(|invited| {
                let said = AcceptedHsm {
                    device: invited.device.clone(),
                    key: invited.key,
                };
                let genuineness = match verify(&invited.name, &invited.chain.0, &anchors) {
                    Ok(identity) => {
                        if AcceptedHsm::of(&identity) != said {
                            return Err(refuse(&format!(
                                "HSM {} is another device by its certificates",
                                short_line(&invited.name, 60)
                            )));
                        }
                        Ok(identity.genuine())
                    }
                    Err(error) => Err(error.to_string()),
                };
                Ok(SeenHsm {
                    name: invited.name.clone(),
                    hsm: said,
                    genuineness,
                })
            })
            .collect()
    }

    /// The installation.
    #[must_use]
    pub const fn installation(&self) -> InstallationId {
        self.installation
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Scheme root of the installation's virtual tokens.
    #[must_use]
    pub fn root(&self) -> Option<&[u8]> {
        self.root.as_ref().map(|root| root.0.as_slice())
    }

    /// Whose signature the heads of the audit log have.
    ///
    /// # Errors
    /// [`AgentError::Letter`].
    pub fn log_key(&self) -> Result<NoteVerifier, AgentError> {
        let key = NoteVerifier::parse_vkey(&self.log_key)
            .map_err(|error| refuse(&format!("the audit log's key: {error}")))?;
        if key.name() == format!("chancery/{}", self.installation) {
            Ok(key)
        } else {
            Err(refuse("the audit log's key is that of another installation"))
        }
    }

    /// Where the node is, if the administrator said so.
    #[must_use]
    pub const fn node(&self) -> Option<&InvitedNode> {
        self.node.as_ref()
    }
}

/// The production root, and one of virtual tokens.
pub(super) fn anchors(root: Option<&[u8]>) -> Result<TrustAnchors, AgentError> {
    let mut anchors = TrustAnchors::production().map_err(|error| refuse(&error.to_string()))?;
    if let Some(root) = root {
        add_virtual_root(WHAT, &mut anchors, root)?;
    }
    Ok(anchors)
}

fn refuse(why: &str) -> AgentError {
    AgentError::Letter {
        what: WHAT,
        why: why.to_owned(),
    }
}
