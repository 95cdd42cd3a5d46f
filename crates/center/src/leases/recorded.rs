//! What the audit log says of a lease: rows are compared with it when they are read after a restart.

use std::collections::{HashMap, HashSet};

use chancery_api::{Base64, DigestValue, Hash32, LeaseId, LeaseState, LeaseText, canonical_json};
use chancery_audit::{TreeHash, leaf_hash};
use serde::{Deserialize, de::DeserializeOwned};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Everything the log says of one lease.
#[derive(Default)]
pub(crate) struct Recorded {
    /// Index of the leaf that records its request.
    pub(crate) requested: Option<u64>,
    /// The texts it had, canonical JSON, oldest first.
    pub(crate) texts: Vec<Vec<u8>>,
    /// When its wait for a first quorum is over, milliseconds since the Unix epoch.
    pub(crate) waits_until_ms: Option<i64>,
    /// How long its requester may be away meanwhile, seconds.
    pub(crate) attended_seconds: Option<u32>,
    /// Digests that were reserved or signed.
    pub(crate) counted: HashSet<DigestValue>,
    /// Signatures over each, by what records them.
    signed: HashMap<DigestValue, Vec<SignedLeaf>>,
    /// Statements of custodians, hashed.
    pub(crate) statements: HashSet<Hash32>,
    /// Whether it ever had its quorum.
    pub(crate) was_live: bool,
    /// How it ended.
    pub(crate) ended: Option<(LeaseState, String)>,
    /// Why what the log says makes no sense.
    pub(crate) wrong: Option<String>,
}

struct SignedLeaf {
    leaf: TreeHash,
    signature: Hash32,
}

/// An event, as far as its kind.
#[derive(Deserialize)]
struct Leaf {
    event: String,
    data: serde_json::Value,
}

#[derive(Deserialize)]
struct Requested {
    text: LeaseText,
    waits_until: Option<String>,
    attended_seconds: Option<u32>,
}

#[derive(Deserialize)]
struct Widened {
    text: LeaseText,
}

#[derive(Deserialize)]
struct Answered {
    person: String,
    statement: Base64,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Reserved {
    digests: Vec<DigestValue>,
}

#[derive(Deserialize)]
struct Signed {
    digest: DigestValue,
    signature: Base64,
}

#[derive(Deserialize)]
struct Ended {
    state: LeaseState,
    because: Option<String>,
}

/// Takes a leaf of the log down for the lease it is about, if that is one of these.
pub(crate) fn take(leases: &mut HashMap<LeaseId, Recorded>, index: u64, body: &[u8]) {
    // Names of events are ASCII without escapes: what cannot be about a lease is not parsed.
    if !["\"lease-", "\"digest"]
        .iter()
        .any(|name| contains(body, name.as_bytes()))
    {
        return;
    }
    let Ok(Leaf { event, data }) = serde_json::from_slice(body) else {
        return;
    };
    let id = data.get("lease").cloned().map(serde_json::from_value);
    let Some(Ok(id)) = id else { return };
    let Some(recorded) = leases.get_mut(&id) else {
        return;
    };
    if let Err(why) = recorded.take(&event, data, index, body) {
        recorded.wrong.get_or_insert(why);
    }
}

impl Recorded {
    fn take(&mut self, event: &str, data: serde_json::Value, index: u64, body: &[u8]) -> Result<(), String> {
        if self.requested.is_none() && event != "lease-requested" {
            return Err(format!("the audit log says {event} of it before its request"));
        }
        match event {
            "lease-requested" => {
                let Requested {
                    text,
                    waits_until,
                    attended_seconds,
                } = read(event, data)?;
                if self.requested.replace(index).is_some() {
                    return Err("the audit log records its request twice".to_owned());
                }
                self.add_text(&text)?;
                self.waits_until_ms = waits_until.as_deref().map(milliseconds).transpose()?;
                self.attended_seconds = attended_seconds;
            }
            "lease-widened" => {
                let Widened { text } = read(event, data)?;
                self.add_text(&text)?;
            }
            "lease-answered" => {
                let Answered { statement, .. } = read(event, data)?;
                self.statements.insert(Hash32::of(&statement.0));
            }
            "lease-refused" => {
                let Answered {
                    person,
                    statement,
                    reason,
                } = read(event, data)?;
                self.statements.insert(Hash32::of(&statement.0));
                let because = format!("{person} refused: {}", reason.unwrap_or_default());
                self.ended.get_or_insert((LeaseState::Refused, because));
            }
            "lease-granted" => self.was_live = true,
            "digests-reserved" => {
                let Reserved { digests } = read(event, data)?;
                self.counted.extend(digests);
            }
            "digest-signed" => {
                let Signed { digest, signature } = read(event, data)?;
                self.counted.insert(digest.clone());
                self.signed.entry(digest).or_default().push(SignedLeaf {
                    leaf: leaf_hash(body),
                    signature: Hash32::of(&signature.0),
                });
            }
            "lease-ended" => {
                let Ended { state, because } = read(event, data)?;
                self.ended
                    .get_or_insert_with(|| (state, because.unwrap_or_default()));
            }
            _ => {}
        }
        Ok(())
    }

    fn add_text(&mut self, text: &LeaseText) -> Result<(), String> {
        let bytes = canonical_json(text).map_err(|error| error.to_string())?;
        self.texts.push(bytes);
        Ok(())
    }

    /// Whether the log records this signature by this leaf.
    pub(crate) fn records(&self, digest: &DigestValue, signature: &[u8], leaf: &[u8]) -> bool {
        let signature = Hash32::of(signature);
        let leaves = self.signed.get(digest);
        leaves
            .into_iter()
            .flatten()
            .any(|signed| signed.signature == signature && signed.leaf.as_bytes()[..] == *leaf)
    }
}

fn read<T: DeserializeOwned>(event: &str, data: serde_json::Value) -> Result<T, String> {
    serde_json::from_value(data).map_err(|error| format!("its event {event} cannot be read: {error}"))
}

fn milliseconds(time: &str) -> Result<i64, String> {
    let time = OffsetDateTime::parse(time, &Rfc3339);
    let time = time.map_err(|_| "how long it waits cannot be read in the audit log".to_owned())?;
    Ok(time.unix_timestamp().saturating_mul(1000))
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn id(number: u8) -> LeaseId {
        LeaseId::new(Uuid::from_bytes([number; 16]))
    }

    fn about(lease: LeaseId, event: &str, more: serde_json::Value) -> Vec<u8> {
        let mut data = json!({ "lease": lease });
        for (name, value) in more.as_object().unwrap() {
            data[name] = value.clone();
        }
        let leaf = json!({ "v": 1, "time": "", "event": event, "actor": { "node": true }, "data": data });
        canonical_json(&leaf).unwrap()
    }

    fn one() -> HashMap<LeaseId, Recorded> {
        [(id(1), Recorded::default())].into()
    }

    #[test]
    fn what_comes_before_the_request_is_wrong() {
        let mut leases = one();
        take(&mut leases, 4, &about(id(1), "lease-granted", json!({})));
        assert!(
            leases[&id(1)]
                .wrong
                .as_ref()
                .unwrap()
                .contains("before its request")
        );
    }

    #[test]
    fn other_leases_and_other_events_are_passed_over() {
        let mut leases = one();
        take(&mut leases, 4, &about(id(2), "lease-granted", json!({})));
        take(&mut leases, 5, &about(id(1), "hsm-locked", json!({})));
        take(&mut leases, 6, b"\"lease-");
        take(&mut leases, 7, b"");
        let known = &leases[&id(1)];
        assert!(known.wrong.is_none() && known.requested.is_none() && !known.was_live);
    }

    #[test]
    fn an_event_that_cannot_be_read_is_wrong() {
        for (event, more) in [
            ("lease-requested", json!({ "text": 7 })),
            ("digests-reserved", json!({ "digests": ["sha256:00"] })),
            ("digest-signed", json!({ "digest": 1 })),
            ("lease-ended", json!({ "state": "gone" })),
        ] {
            let mut leases = one();
            leases.get_mut(&id(1)).unwrap().requested = Some(1);
            take(&mut leases, 4, &about(id(1), event, more));
            assert!(leases[&id(1)].wrong.is_some(), "{event}");
        }
    }

    #[test]
    fn a_refusal_is_an_end() {
        let mut leases = one();
        leases.get_mut(&id(1)).unwrap().requested = Some(1);
        let refused = json!({ "person": "bob", "statement": Base64(vec![1]), "reason": "wrong kernel" });
        take(&mut leases, 4, &about(id(1), "lease-refused", refused));
        let (state, because) = leases[&id(1)].ended.clone().unwrap();
        assert_eq!(
            (state, because.as_str()),
            (LeaseState::Refused, "bob refused: wrong kernel")
        );
    }
}
