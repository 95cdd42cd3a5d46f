//! Where the audit log stood when this custodian saw it last: kept here, so that a node cannot take back what it said.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use chancery_api::{Hash32, InstallationId, LogPlace};
use chancery_audit::{Checkpoint, NoteVerifier, SignedNote, TreeHash, verify_consistency};
use serde::{Deserialize, Serialize};

use crate::{
    AgentError,
    kept::{Turn, load_private, write_private},
};

/// The places in the audit logs of installations that one custodian has seen.
#[derive(Debug)]
pub struct SeenLog {
    path: PathBuf,
    seen: BTreeMap<InstallationId, Seen>,
    /// Whose signature heads must have, by installation.
    keys: BTreeMap<InstallationId, NoteVerifier>,
    /// Installations whose heads must be signed from the start.
    signed_only: BTreeSet<InstallationId>,
}

/// A place, with the node's signature under it where there was one: two that contradict each other are proof against the node.
/// Stored; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    place: LogPlace,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
    /// The key the head was checked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// How a place compares with the one seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// No place of this installation was seen before.
    First,
    /// The same place.
    Same,
    /// The log went on, and what was seen is still in it.
    Grown {
        /// Leaves more.
        by: u64,
    },
}

impl SeenLog {
    /// Reads what the custodian with this token saw.
    ///
    /// # Errors
    /// [`AgentError::BadFile`] when others may read the file or it cannot be understood.
    pub fn load(directory: &Path, token_device: &str) -> Result<Self, AgentError> {
        let path = directory.join(format!("{token_device}.log.json"));
        Ok(Self {
            seen: load_private(&path)?.unwrap_or_default(),
            path,
            keys: BTreeMap::new(),
            signed_only: BTreeSet::new(),
        })
    }

    /// From now on a head of this installation's log counts only with this key's signature.
    ///
    /// # Errors
    /// [`AgentError::Log`] when heads were checked with another key before: that is never forgotten.
    pub fn pin(&mut self, installation: InstallationId, key: NoteVerifier) -> Result<(), AgentError> {
        let known = self.seen.get(&installation).and_then(|seen| seen.key.as_deref());
        if let Some(known) = known.filter(|known| *known != key.to_vkey()) {
            return Err(AgentError::Log(format!(
                "ANOTHER KEY SIGNS IT: {} instead of {}",
                crate::one_line(&key.to_vkey()),
                crate::one_line(known)
            )));
        }
        self.keys.insert(installation, key);
        Ok(())
    }

    /// As [`SeenLog::pin`], and a head without a signature is refused, also before any was seen with one: for who is elsewhere, and was
    /// given the key beforehand.
    ///
    /// # Errors
    /// As [`SeenLog::pin`].
    pub fn require(&mut self, installation: InstallationId, key: NoteVerifier) -> Result<(), AgentError> {
        self.pin(installation, key)?;
        self.signed_only.insert(installation);
        Ok(())
    }

    /// Whether a head without a signature is refused.
    #[must_use]
    pub fn is_signed_only(&self, installation: InstallationId) -> bool {
        let was_signed = |seen: &Seen| seen.key.is_some();
        self.signed_only.contains(&installation) || self.seen.get(&installation).is_some_and(was_signed)
    }

    /// The place seen last.
    #[must_use]
    pub fn place(&self, installation: InstallationId) -> Option<LogPlace> {
        self.seen.get(&installation).map(|seen| seen.place)
    }

    /// Takes a new place once it is shown to continue the last one; durable when this returns. Where a key is pinned
    /// ([`SeenLog::pin`]), the head must have its signature, from the first time on that it was signed; where it is required
    /// ([`SeenLog::require`]), from the start.
    ///
    /// # Errors
    /// [`AgentError::Log`] when the log does not continue what was seen: that is never forgotten. [`AgentError::LogMoved`] when another
    /// process of this custodian took a place meanwhile, which is the one seen last now.
    pub fn advance(
        &mut self,
        installation: InstallationId,
        place: LogPlace,
        proof: &[Hash32],
        checkpoint: Option<&str>,
    ) -> Result<Growth, AgentError> {
        let _turn = Turn::wait(&self.path)?;
        let now: BTreeMap<InstallationId, Seen> = load_private(&self.path)?.unwrap_or_default();
        let moved = now.get(&installation).map(|seen| seen.place) != self.place(installation);
        self.seen = now;
        if moved {
            return Err(AgentError::LogMoved);
        }
        let remembered = self.seen.get(&installation).and_then(|seen| seen.key.as_deref());
        let remembered = remembered.map(NoteVerifier::parse_vkey).transpose();
        let remembered = remembered.map_err(|error| AgentError::BadFile {
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        let key = self.keys.get(&installation).or(remembered.as_ref());
        match checkpoint {
            Some(note) => check_note(installation, place, note, key).map_err(AgentError::Log)?,
            None if remembered.is_some() => {
                return Err(AgentError::Log("its head is not signed any more".to_owned()));
            }
            None if self.signed_only.contains(&installation) => {
                return Err(AgentError::Log(
                    "its head is not signed, and without the signature of the key you accepted it counts for nothing".to_owned(),
                ));
            }
            None => {}
        }
        let tree = |hash: Hash32| TreeHash::from_bytes(hash.0);
        let growth = match self.seen.get(&installation).map(|seen| seen.place) {
            None if proof.is_empty() => Growth::First,
            None => return Err(AgentError::Log("a proof came that nobody asked for".to_owned())),
            Some(known) => {
                let proof: Vec<TreeHash> = proof.iter().copied().map(tree).collect();
                verify_consistency(
                    known.size,
                    &tree(known.root),
                    place.size,
                    &tree(place.root),
                    &proof,
                )
                .map_err(|error| {
                    AgentError::Log(format!(
                        "seen were {} entries with root {}, shown are {} with root {} ({error})",
                        known.size, known.root, place.size, place.root
                    ))
                })?;
                match place.size - known.size {
                    0 => Growth::Same,
                    by => Growth::Grown { by },
                }
            }
        };
        let entry = Seen {
            place,
            checkpoint: checkpoint.map(str::to_owned),
            key: checkpoint.and(key).map(NoteVerifier::to_vkey),
        };
        if growth != Growth::Same || (checkpoint.is_some() && self.seen.get(&installation) != Some(&entry)) {
            self.seen.insert(installation, entry);
            self.save()?;
        }
        Ok(growth)
    }

    fn save(&self) -> Result<(), AgentError> {
        let text = serde_json::to_vec_pretty(&self.seen).map_err(|error| AgentError::BadFile {
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        write_private(&self.path, &text)
    }
}

/// Whether a signed head is about this place, and by the key that was pinned, if one was.
fn check_note(
    installation: InstallationId,
    place: LogPlace,
    note: &str,
    key: Option<&NoteVerifier>,
) -> Result<(), String> {
    let note = SignedNote::parse(note.as_bytes()).map_err(|error| error.to_string())?;
    if let Some(key) = key {
        note.verify(key)
            .map_err(|error| format!("ITS HEAD IS NOT SIGNED BY THE KEY YOU ACCEPTED: {error}"))?;
    }
    let head = Checkpoint::parse_body(note.text()).map_err(|error| error.to_string())?;
    let fits = head.origin == format!("chancery/{installation}")
        && head.size == place.size
        && head.root.as_bytes() == &place.root.0;
    if fits {
        Ok(())
    } else {
        Err(format!(
            "the signed head is about {} entries of {}, not about the {} shown",
            head.size,
            crate::one_line(&head.origin),
            place.size
        ))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;
    use chancery_audit::{NoteSigner, consistency_proof, leaf_hash, root};
    use uuid::Uuid;

    use super::*;

    fn leaves(count: u8) -> Vec<TreeHash> {
        (0..count).map(|n| leaf_hash(&[n])).collect()
    }

    fn place(leaves: &[TreeHash]) -> LogPlace {
        LogPlace {
            size: u64::try_from(leaves.len()).unwrap(),
            root: Hash32(*root(leaves).as_bytes()),
        }
    }

    fn proof(leaves: &[TreeHash], old: u64) -> Vec<Hash32> {
        let proof = consistency_proof(leaves, old, u64::try_from(leaves.len()).unwrap()).unwrap();
        proof.iter().map(|hash| Hash32(*hash.as_bytes())).collect()
    }

    #[test]
    fn a_log_may_only_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let id = InstallationId::new(Uuid::from_bytes([7; 16]));
        let other = InstallationId::new(Uuid::from_bytes([8; 16]));
        let mut seen = SeenLog::load(dir.path(), "UTCHDALICE00000").unwrap();
        let (five, nine) = (leaves(5), leaves(9));
        assert_eq!(seen.advance(id, place(&five), &[], None).unwrap(), Growth::First);
        assert_eq!(seen.advance(id, place(&five), &[], None).unwrap(), Growth::Same);
        let steps = proof(&nine, 5);
        assert_eq!(
            seen.advance(id, place(&nine), &steps, None).unwrap(),
            Growth::Grown { by: 4 }
        );
        // Another process reads the same, and who looked before is told that it was overtaken.
        let mut overtaken = SeenLog::load(dir.path(), "UTCHDALICE00000").unwrap();
        let mut seen = SeenLog::load(dir.path(), "UTCHDALICE00000").unwrap();
        assert_eq!(seen.place(id), Some(place(&nine)));
        assert_eq!(seen.place(other), None);
        let mut changed = nine.clone();
        changed[2] = leaf_hash(b"changed");
        let mut longer = leaves(11);
        longer[2] = changed[2];
        let mut wrong_root = place(&nine);
        wrong_root.root.0[0] ^= 1;
        for (place, proof) in [
            (place(&five), Vec::new()),
            (place(&changed), Vec::new()),
            (wrong_root, Vec::new()),
            (place(&longer), proof(&longer, 9)),
            (place(&leaves(11)), Vec::new()),
        ] {
            let error = seen.advance(id, place, &proof, None).unwrap_err();
            assert!(matches!(error, AgentError::Log(_)), "{error}");
        }
        assert_eq!(seen.place(id), Some(place(&nine)), "what was seen stays");
        seen.advance(id, place(&leaves(11)), &proof(&leaves(11), 9), None)
            .unwrap();
        let late = overtaken.advance(id, place(&leaves(10)), &proof(&leaves(10), 9), None);
        assert!(matches!(late, Err(AgentError::LogMoved)), "{late:?}");
        assert_eq!(overtaken.place(id), Some(place(&leaves(11))));
        // A first look needs no proof, and gets none.
        let unasked = seen.advance(other, place(&five), &steps, None);
        assert!(matches!(unasked, Err(AgentError::Log(_))));
    }

    fn signed(place: LogPlace, id: InstallationId, signer: &NoteSigner) -> String {
        let head = Checkpoint {
            origin: format!("chancery/{id}"),
            size: place.size,
            root: TreeHash::from_bytes(place.root.0),
        };
        head.sign(signer).unwrap().encode()
    }

    #[test]
    fn only_the_key_that_was_accepted_signs_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let id = InstallationId::new(Uuid::from_bytes([7; 16]));
        let signer = |seed| {
            let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            NoteSigner::new(&format!("chancery/{id}"), key).unwrap()
        };
        let (right, wrong) = (signer(1), signer(2));
        let five = place(&leaves(5));
        let load = || SeenLog::load(dir.path(), "UTCHDALICE00000").unwrap();
        let mut seen = load();
        seen.pin(id, right.verifier().clone()).unwrap();
        let error = seen
            .advance(id, five, &[], Some(&signed(five, id, &wrong)))
            .unwrap_err();
        assert!(error.to_string().contains("NOT SIGNED BY THE KEY"), "{error}");
        assert_eq!(seen.place(id), None);
        seen.advance(id, five, &[], Some(&signed(five, id, &right)))
            .unwrap();
        // It does not come unsigned any more, nor under another key.
        let unsigned = seen.advance(id, place(&leaves(9)), &proof(&leaves(9), 5), None);
        assert!(matches!(unsigned, Err(AgentError::Log(_))), "{unsigned:?}");
        let other = load().pin(id, wrong.verifier().clone());
        assert!(matches!(other, Err(AgentError::Log(_))), "{other:?}");
    }

    #[test]
    fn where_the_key_was_accepted_beforehand_no_unsigned_head_is_taken_ever() {
        let dir = tempfile::tempdir().unwrap();
        let id = InstallationId::new(Uuid::from_bytes([7; 16]));
        let key = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let signer = NoteSigner::new(&format!("chancery/{id}"), key).unwrap();
        let five = place(&leaves(5));
        let load = || {
            let mut seen = SeenLog::load(dir.path(), "UTCHDALICE00000").unwrap();
            seen.require(id, signer.verifier().clone()).unwrap();
            seen
        };
        assert!(load().is_signed_only(id));
        let error = load().advance(id, five, &[], None).unwrap_err();
        assert!(error.to_string().contains("its head is not signed"), "{error}");
        assert_eq!(load().place(id), None);
        load()
            .advance(id, five, &[], Some(&signed(five, id, &signer)))
            .unwrap();
        load().advance(id, five, &[], None).unwrap_err();
    }
}
