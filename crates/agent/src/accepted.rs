//! Which HSMs a custodian has accepted: name, device and device key, kept on the custodian's side.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chancery_api::Hash32;
use chancery_cvc::{DeviceChain, DeviceIdentity, TrustAnchors};
use serde::{Deserialize, Serialize};

use crate::{
    AgentError,
    kept::{Turn, load_private, write_private},
};

/// An HSM as it was when it was accepted. Stored; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedHsm {
    /// CHR of its device certificate.
    pub device: String,
    /// SHA-256 of its device public key (uncompressed point).
    pub key: Hash32,
}

/// The HSMs one custodian accepted, by name.
#[derive(Debug)]
pub struct Accepted {
    path: PathBuf,
    hsms: BTreeMap<String, AcceptedHsm>,
}

impl Accepted {
    /// Reads what the custodian with this token accepted.
    ///
    /// # Errors
    /// [`AgentError::BadFile`] when others may read the file or it cannot be understood.
    pub fn load(directory: &Path, token_device: &str) -> Result<Self, AgentError> {
        let path = directory.join(format!("{token_device}.json"));
        Ok(Self {
            hsms: load_private(&path)?.unwrap_or_default(),
            path,
        })
    }

    /// Accepts an HSM under a name, durable when this returns.
    ///
    /// # Errors
    /// [`AgentError::NotAccepted`] when the name is taken by another device: that is never overwritten.
    pub fn accept(&mut self, name: &str, hsm: AcceptedHsm) -> Result<(), AgentError> {
        let _turn = Turn::wait(&self.path)?;
        // Another process may have accepted something meanwhile.
        self.hsms = load_private(&self.path)?.unwrap_or_default();
        match self.hsms.get(name) {
            Some(known) if *known == hsm => return Ok(()),
            Some(known) => return Err(other(name, known, &hsm)),
            None => {}
        }
        self.hsms.insert(name.to_owned(), hsm);
        let text = serde_json::to_vec_pretty(&self.hsms).map_err(|error| AgentError::BadFile {
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        write_private(&self.path, &text)
    }

    /// Checks that the HSM of that name is the one accepted.
    ///
    /// # Errors
    /// [`AgentError::NotAccepted`] when it never was, or is another device or key now.
    pub fn check(&self, name: &str, hsm: &AcceptedHsm) -> Result<(), AgentError> {
        match self.hsms.get(name) {
            Some(known) if known == hsm => Ok(()),
            Some(known) => Err(other(name, known, hsm)),
            None => Err(AgentError::NotAccepted {
                hsm: name.to_owned(),
                why: "this custodian never accepted it; register first (chancery custodian register), or accept the administrator's \
                      invitation that names it (chancery custodian accept)"
                    .to_owned(),
            }),
        }
    }

    /// The HSMs accepted.
    #[must_use]
    pub const fn hsms(&self) -> &BTreeMap<String, AcceptedHsm> {
        &self.hsms
    }
}

impl AcceptedHsm {
    /// What an HSM's own certificates say, once they hold.
    ///
    /// # Errors
    /// [`AgentError::Chain`].
    pub fn from_chain(name: &str, chain: &[u8], anchors: &TrustAnchors) -> Result<Self, AgentError> {
        Ok(Self::of(&verify(name, chain, anchors)?))
    }

    pub(crate) fn of(identity: &DeviceIdentity) -> Self {
        Self {
            device: identity.name().to_string(),
            key: Hash32::of(identity.device_key().point().unwrap_or_default()),
        }
    }
}

pub(crate) fn verify(name: &str, chain: &[u8], anchors: &TrustAnchors) -> Result<DeviceIdentity, AgentError> {
    let failed = |why: String| AgentError::Chain {
        what: format!("HSM {name}"),
        why,
    };
    DeviceChain::parse(chain)
        .map_err(|error| failed(error.to_string()))?
        .verify(anchors, None)
        .map_err(|error| failed(error.to_string()))
}

fn other(name: &str, known: &AcceptedHsm, now: &AcceptedHsm) -> AgentError {
    let what = if known.device == now.device {
        "another device key"
    } else {
        "another device"
    };
    AgentError::NotAccepted {
        hsm: name.to_owned(),
        why: format!(
            "IT IS {} NOW: {} with key {}, accepted was {} with key {}. Somebody may be presenting a false HSM: do not go on, call the TrustCenter Manager",
            what.to_uppercase(),
            now.device,
            now.key,
            known.device,
            known.key
        ),
    }
}
