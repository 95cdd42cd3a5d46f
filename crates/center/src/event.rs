//! Audit events: the bodies of the log's leaves.
//!
//! A leaf is canonical JSON `{"v":1,"time":...,"event":...,"actor":...,"data":...}`. Where a person acted, the actor holds the whole
//! signed act and the key it was signed with, so that the log can be checked without the database.

use chancery_api::{ActId, Base64, Failure, FailureKind, Hash32, PersonId, Requester, canonical_json};
use serde::Serialize;
use serde_json::Value;

use crate::{acts::ProvenAct, env::rfc3339};

/// Who caused an event.
pub(crate) enum Actor<'a> {
    /// A person, proven by an act that this event is the record of.
    Act(&'a ProvenAct),
    /// A person's act that is recorded in full by an earlier event.
    ActReference(ActId),
    /// Whoever runs this process on the node's machine.
    Local(u32),
    /// Whoever asks for a lease or uses one, as the node verified it.
    Requester(&'a Requester),
    /// The node itself.
    Node,
}

#[derive(Serialize)]
struct Leaf<'a> {
    v: u8,
    time: String,
    event: &'a str,
    actor: ActorBody<'a>,
    data: &'a Value,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ActorBody<'a> {
    Act {
        act: ActId,
        person: PersonId,
        name: &'a str,
        payload: Base64,
        signature: Base64,
        key: Base64,
    },
    Reference {
        act: ActId,
    },
    Local {
        uid: u32,
    },
    Client {
        client: &'a str,
        key: Hash32,
        address: &'a str,
    },
    Node {
        node: bool,
    },
}

/// Writes an event.
pub(crate) fn event(now_ms: i64, name: &str, actor: &Actor<'_>, data: &Value) -> Result<Vec<u8>, Failure> {
    let actor = match actor {
        Actor::Act(act) => ActorBody::Act {
            act: act.record.id,
            person: act.person.id,
            name: &act.person.name,
            payload: Base64(act.record.payload.clone()),
            signature: Base64(act.record.signature.clone()),
            key: Base64(act.person.public_key.clone()),
        },
        Actor::ActReference(id) => ActorBody::Reference { act: *id },
        Actor::Local(uid) => ActorBody::Local { uid: *uid },
        Actor::Requester(Requester::Local { uid }) => ActorBody::Local { uid: *uid },
        Actor::Requester(Requester::Client { name, key, address }) => ActorBody::Client {
            client: name,
            key: *key,
            address,
        },
        Actor::Node => ActorBody::Node { node: true },
    };
    let body = Leaf {
        v: 1,
        time: rfc3339(now_ms),
        event: name,
        actor,
        data,
    };
    canonical_json(&body).map_err(|error| {
        Failure::new(
            FailureKind::Internal,
            format!("an audit event cannot be written: {error}"),
        )
    })
}
