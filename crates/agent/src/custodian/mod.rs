//! A custodian whose machine has nothing of the installation: what goes there and back in files, and what is kept there.
//!
//! The custodian's machine writes a [`CustodianCard`], which is public: the token's certificates and its statements about its two keys.
//! The administrator answers with an [`Invitation`]: the installation, its HSMs, the key that signs its audit log. Both have a
//! [`Fingerprint`] that two people compare by telephone. What was accepted is a [`Membership`], and from then on the only source for
//! whose questions this side answers.

mod card;
mod fingerprint;
mod invitation;
mod membership;

pub use card::{CardProof, CustodianCard};
pub use fingerprint::Fingerprint;
pub use invitation::{Invitation, InvitedHsm, InvitedNode, SeenHsm};
pub use membership::{Membership, Seat};

use chancery_api::canonical_json;
use chancery_cvc::{Certificate, Genuineness, TrustAnchors};
use serde::{Serialize, de::DeserializeOwned};

use crate::AgentError;

/// Longest file between administrator and custodian, in bytes.
const MOST_BYTES: usize = 1024 * 1024;

/// Reads a file between the two.
fn read<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, AgentError> {
    let refuse = |why: String| AgentError::Letter { what, why };
    if bytes.len() > MOST_BYTES {
        return Err(refuse(format!("it has more than {MOST_BYTES} bytes")));
    }
    serde_json::from_slice(bytes).map_err(|error| refuse(format!("it cannot be read ({error})")))
}

/// Such a file.
fn written(what: &'static str, content: &impl Serialize) -> Result<Vec<u8>, AgentError> {
    let mut text = serde_json::to_vec_pretty(content).map_err(unwritten(what))?;
    text.push(b'\n');
    Ok(text)
}

/// What people compare; all that is in such a file is covered.
fn fingerprint(what: &'static str, content: &impl Serialize) -> Result<Fingerprint, AgentError> {
    let canonical = canonical_json(content).map_err(unwritten(what))?;
    Ok(Fingerprint::of(&canonical))
}

fn unwritten<E: ToString>(what: &'static str) -> impl Fn(E) -> AgentError {
    move |error| AgentError::Letter {
        what,
        why: error.to_string(),
    }
}

/// Trusts a scheme root that came in such a file, for virtual tokens alone: nothing else comes by a file.
fn add_virtual_root(what: &'static str, anchors: &mut TrustAnchors, root: &[u8]) -> Result<(), AgentError> {
    let refuse = |why: String| AgentError::Letter { what, why };
    let root = Certificate::parse(root).map_err(|error| refuse(format!("its root: {error}")))?;
    let name = root.chr().clone();
    anchors
        .add(root)
        .map_err(|error| refuse(format!("its root: {error}")))?;
    match anchors.find(&name).map(chancery_cvc::TrustedCertificate::genuine) {
        Some(Genuineness::Virtual) => Ok(()),
        _ => Err(refuse(format!("its root {name} is none of virtual tokens"))),
    }
}
