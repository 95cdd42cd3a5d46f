//! Where the audit log stood when this custodian saw it last: kept here, so that a node cannot take back what it said.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use chancery_api::{Hash32, InstallationId, LogPlace};
use chancery_audit::{Checkpoint, SignedNote, TreeHash, verify_consistency};
use serde::{Deserialize, Serialize};

use crate::{
    AgentError,
    pins::{open_private, write_private},
};

/// The places in the audit logs of installations that one custodian has seen.
#[derive(Debug)]
pub struct SeenLog {
    path: PathBuf,
    seen: BTreeMap<InstallationId, Seen>,
}

/// A place, with the node's signature under it where there was one: two that contradict each other are proof against the node.
/// Stored; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    place: LogPlace,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
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
        if !path.try_exists().map_err(AgentError::file(&path))? {
            return Ok(Self {
                path,
                seen: BTreeMap::new(),
            });
        }
        let seen = serde_json::from_reader(open_private(&path)?).map_err(|error| AgentError::BadFile {
            path: path.clone(),
            why: error.to_string(),
        })?;
        Ok(Self { path, seen })
    }

    /// The place seen last.
    #[must_use]
    pub fn place(&self, installation: InstallationId) -> Option<LogPlace> {
        self.seen.get(&installation).map(|seen| seen.place)
    }

    /// Takes a new place once it is shown to continue the last one; durable when this returns.
    ///
    /// # Errors
    /// [`AgentError::Log`] when the log does not continue what was seen: that is never forgotten.
    pub fn advance(
        &mut self,
        installation: InstallationId,
        place: LogPlace,
        proof: &[Hash32],
        checkpoint: Option<&str>,
    ) -> Result<Growth, AgentError> {
        if let Some(note) = checkpoint {
            check_note(installation, place, note).map_err(AgentError::Log)?;
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
        };
        if growth != Growth::Same || (checkpoint.is_some() && self.seen.get(&installation) != Some(&entry)) {
            self.seen.insert(installation, entry);
            self.save()?;
        }
        Ok(growth)
    }

    fn save(&self) -> Result<(), AgentError> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory).map_err(AgentError::file(directory))?;
        }
        let text = serde_json::to_vec_pretty(&self.seen).map_err(|error| AgentError::BadFile {
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        write_private(&self.path, &text)
    }
}

/// Whether a signed head is about this place. Whose key signed it is not known here.
fn check_note(installation: InstallationId, place: LogPlace, note: &str) -> Result<(), String> {
    let note = SignedNote::parse(note.as_bytes()).map_err(|error| error.to_string())?;
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
    use chancery_audit::{consistency_proof, leaf_hash, root};
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
        // Another process reads the same.
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
        // A first look needs no proof, and gets none.
        let unasked = seen.advance(other, place(&five), &steps, None);
        assert!(matches!(unasked, Err(AgentError::Log(_))));
    }
}
