//! Audit events: the bodies of the log's leaves.
//!
//! A leaf is canonical JSON `{"v":1,"time":...,"event":...,"actor":...,"data":...}`. Where a person acted, the actor holds the whole
//! signed act and the key it was signed with, so that the log can be checked without the database.

use chancery_api::{Base64, Failure, FailureKind, canonical_json};
use serde_json::{Value, json};

use crate::{acts::ProvenAct, env::rfc3339};

/// Who caused an event.
pub(crate) enum Actor<'a> {
    /// A person, proven by an act that this event is the record of.
    Act(&'a ProvenAct),
    /// A person's act that is recorded in full by an earlier event.
    ActReference(chancery_api::ActId),
    /// Whoever runs this process on the node's machine.
    Local(u32),
    /// The node itself.
    Node,
}

/// Writes an event.
pub(crate) fn event(now_ms: i64, name: &str, actor: &Actor<'_>, data: &Value) -> Result<Vec<u8>, Failure> {
    let actor = match actor {
        Actor::Act(act) => json!({
            "act": act.record.id,
            "person": act.person.id,
            "name": act.person.name,
            "payload": Base64(act.record.payload.clone()),
            "signature": Base64(act.record.signature.clone()),
            "key": Base64(act.person.public_key.clone()),
        }),
        Actor::ActReference(id) => json!({ "act": id }),
        Actor::Local(uid) => json!({ "uid": uid }),
        Actor::Node => json!({ "node": true }),
    };
    let body = json!({ "v": 1, "time": rfc3339(now_ms), "event": name, "actor": actor, "data": data });
    canonical_json(&body).map_err(|error| {
        Failure::new(
            FailureKind::Internal,
            format!("an audit event cannot be written: {error}"),
        )
    })
}
