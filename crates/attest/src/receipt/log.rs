//! Whether the audit log has the receipt.

use chancery_api::{Receipt, canonical_json};
use chancery_audit::{Checkpoint, NoteVerifier, SignedNote, TreeHash, leaf_hash, verify_inclusion};
use serde_json::Value;

use super::LogVerdict;
use crate::evidence::with_causes;

/// Judges the receipt's entry in the log under the keys of logs that are known.
pub(super) fn judge(
    receipt: &Receipt,
    installation: &str,
    keys: &[NoteVerifier],
) -> (LogVerdict, Option<String>) {
    if let Err(why) = check_entry(receipt) {
        return (LogVerdict::OtherEntry, Some(why));
    }
    let Some(inclusion) = &receipt.inclusion else {
        return (LogVerdict::NoProof, Some(format!("entry {}", receipt.leaf)));
    };
    let origin = format!("chancery/{installation}");
    let bad = |why: String| (LogVerdict::BadHead, Some(why));
    let note = match SignedNote::parse(inclusion.checkpoint.as_bytes()) {
        Ok(note) => note,
        Err(error) => return bad(with_causes(&error)),
    };
    let head = match Checkpoint::parse_body(note.text()) {
        Ok(head) => head,
        Err(error) => return bad(with_causes(&error)),
    };
    if head.origin != origin {
        return bad("it is about the log of another installation".to_owned());
    }
    let proof: Vec<TreeHash> = inclusion
        .proof
        .iter()
        .map(|hash| TreeHash::from_bytes(hash.0))
        .collect();
    let leaf = leaf_hash(&receipt.leaf_body.0);
    if let Err(error) = verify_inclusion(&leaf, receipt.leaf, head.size, &proof, &head.root) {
        return (LogVerdict::NotIncluded, Some(error.to_string()));
    }
    let own: Vec<&NoteVerifier> = keys.iter().filter(|key| key.name() == origin).collect();
    if own.is_empty() {
        let named: Vec<String> = note
            .signatures()
            .iter()
            .map(|signature| signature.id.to_string())
            .collect();
        return (
            LogVerdict::UnknownKey,
            Some(format!("the head names key {}", named.join(", "))),
        );
    }
    // One note, one signature of the log's key, and nothing beside it: what is not checked could be changed.
    let signed = own
        .iter()
        .any(|key| Checkpoint::open(inclusion.checkpoint.as_bytes(), key).is_ok());
    if !signed || note.signatures().len() != 1 || note.encode() != inclusion.checkpoint {
        return bad("its signature is not that of the log's key alone".to_owned());
    }
    (
        LogVerdict::Included,
        Some(format!("entry {} of {}", receipt.leaf, head.size)),
    )
}

/// Whether the entry is in canonical form, names this receipt by its hash, and has its time.
fn check_entry(receipt: &Receipt) -> Result<(), String> {
    let body = &receipt.leaf_body.0;
    let entry: Value = serde_json::from_slice(body).map_err(|error| format!("it is no JSON ({error})"))?;
    if canonical_json(&entry).ok().as_deref() != Some(body.as_slice()) {
        return Err("it is not in canonical form".to_owned());
    }
    let core = receipt
        .core_hash()
        .map_err(|error| error.to_string())?
        .to_string();
    let data = entry.get("data");
    let one = data
        .and_then(|data| data.get("receipt"))
        .and_then(Value::as_str)
        .is_some_and(|hash| hash == core);
    let among = data
        .and_then(|data| data.get("receipts"))
        .and_then(Value::as_array)
        .is_some_and(|hashes| hashes.iter().any(|hash| hash.as_str() == Some(core.as_str())));
    if !one && !among {
        return Err("it names another receipt".to_owned());
    }
    if entry.get("time").and_then(Value::as_str) != Some(receipt.time.as_str()) {
        return Err("it has another time".to_owned());
    }
    Ok(())
}
