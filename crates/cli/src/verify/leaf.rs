//! A leaf's body: `{"v":1,"time":...,"event":...,"actor":...,"data":...}` in canonical form.

use chancery_api::{ActId, Base64, Hash32, PersonId, canonical_json};
use serde::Deserialize;
use serde_json::Value;

/// An event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    pub(crate) v: u32,
    #[expect(dead_code, reason = "part of the form; the order of leaves is what counts")]
    pub(crate) time: String,
    pub(crate) event: String,
    pub(crate) actor: Actor,
    pub(crate) data: Value,
}

/// Who caused an event.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Actor {
    /// A person's act, in full.
    Act(FullAct),
    /// An act that an earlier leaf holds in full.
    Reference(ActReference),
    /// Whoever ran a process on the node's machine.
    #[expect(dead_code, reason = "what counts is that it is one of the five")]
    Local(Local),
    /// An enrolled client.
    #[expect(dead_code, reason = "what counts is that it is one of the five")]
    Client(Client),
    /// The node itself.
    #[expect(dead_code, reason = "what counts is that it is one of the five")]
    Node(Node),
}

/// A person's act.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FullAct {
    pub(crate) act: ActId,
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) payload: Base64,
    pub(crate) signature: Base64,
    pub(crate) key: Base64,
}

/// An act by its identifier.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActReference {
    pub(crate) act: ActId,
}

/// A local process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Local {
    #[serde(rename = "uid")]
    _uid: u32,
}

/// An enrolled client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    #[serde(rename = "client")]
    _client: String,
    #[serde(rename = "key")]
    _key: Hash32,
    #[serde(rename = "address")]
    _address: String,
}

/// The node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    #[serde(rename = "node")]
    _node: bool,
}

/// What `certificates-claimed` says of one certificate.
#[derive(Debug, Deserialize)]
pub(crate) struct Claimed {
    pub(crate) ca: String,
    pub(crate) serial: String,
    pub(crate) tbs: Hash32,
}

/// What `certificates-issued` says of one certificate.
#[derive(Debug, Deserialize)]
pub(crate) struct Issued {
    pub(crate) ca: String,
    pub(crate) serial: String,
    pub(crate) certificate: Hash32,
}

/// What `crl-claimed` and `crl-issued` say.
#[derive(Debug, Deserialize)]
pub(crate) struct CrlEvent {
    pub(crate) ca: String,
    pub(crate) number: i64,
    pub(crate) tbs: Option<Hash32>,
    pub(crate) crl: Option<Hash32>,
}

impl Event {
    /// Reads a body and refuses one that is not in canonical form.
    pub(crate) fn read(body: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(body).map_err(|error| format!("it is no JSON ({error})"))?;
        if canonical_json(&value).ok().as_deref() != Some(body.as_bytes()) {
            return Err("it is not in canonical form".to_owned());
        }
        let event: Self =
            serde_json::from_value(value).map_err(|error| format!("it is no event ({error})"))?;
        if event.v == 1 {
            Ok(event)
        } else {
            Err(format!("it has version {}, known is 1", event.v))
        }
    }

    /// A member of the event's data.
    pub(crate) fn data<T: serde::de::DeserializeOwned>(&self, member: Option<&str>) -> Result<T, String> {
        let value = member.map_or(Some(&self.data), |member| self.data.get(member));
        let value = value
            .cloned()
            .ok_or_else(|| format!("event {} lacks {}", self.event, member.unwrap_or_default()))?;
        serde_json::from_value(value)
            .map_err(|error| format!("event {} cannot be understood ({error})", self.event))
    }
}
