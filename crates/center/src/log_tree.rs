//! Proofs about the audit log, made from hashes of complete subtrees that are kept in memory: 64 bytes a leaf, and each proof costs as
//! much as it is long.

use chancery_api::{Failure, FailureKind, Hash32, LogPlace};
use chancery_audit::{Checkpoint, SignedNote, TreeHash, empty_root, leaf_hash, node_hash};

use crate::{Center, committer::store_failure};

/// Leaves read at once.
const PAGE: u32 = 1000;

/// Hashes of the complete subtrees of a log: level 0 are the leaves.
#[derive(Default)]
pub(crate) struct LogTree {
    levels: Vec<Vec<TreeHash>>,
}

impl LogTree {
    fn size(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    fn push(&mut self, leaf: TreeHash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else {
                return;
            };
            row.push(hash);
            match row.as_slice() {
                [.., left, right] if row.len().is_multiple_of(2) => hash = node_hash(left, right),
                _ => return,
            }
        }
    }

    /// Root of the leaves `begin..end`, where `begin` is where a subtree of that size begins.
    fn root(&self, begin: usize, end: usize) -> TreeHash {
        let length = end.saturating_sub(begin);
        if length == 0 {
            return empty_root();
        }
        if length.is_power_of_two() {
            let level = usize::try_from(length.trailing_zeros()).unwrap_or(usize::MAX);
            let known = self.levels.get(level).and_then(|row| row.get(begin / length));
            if let Some(hash) = known {
                return *hash;
            }
        }
        let middle = begin + split(length);
        node_hash(&self.root(begin, middle), &self.root(middle, end))
    }

    /// RFC 6962 section 2.1.1; `index` is below `size`.
    fn inclusion(&self, index: usize, size: usize) -> Vec<TreeHash> {
        let (mut begin, mut end) = (0, size);
        let mut proof = Vec::new();
        while end - begin > 1 {
            let middle = begin + split(end - begin);
            if index < middle {
                proof.push(self.root(middle, end));
                end = middle;
            } else {
                proof.push(self.root(begin, middle));
                begin = middle;
            }
        }
        proof.reverse();
        proof
    }

    /// RFC 6962 section 2.1.2; `old` is not above `new`.
    fn consistency(&self, old: usize, new: usize) -> Vec<TreeHash> {
        if old == 0 {
            return Vec::new();
        }
        let (mut begin, mut end) = (0, new);
        let mut proof = Vec::new();
        // While the old tree starts at leaf 0, the verifier knows its root.
        let mut from_start = true;
        while old < end {
            let middle = begin + split(end - begin);
            if old <= middle {
                proof.push(self.root(middle, end));
                end = middle;
            } else {
                proof.push(self.root(begin, middle));
                begin = middle;
                from_start = false;
            }
        }
        if !from_start {
            proof.push(self.root(begin, end));
        }
        proof.reverse();
        proof
    }
}

/// The largest power of two below `length`, which is at least 2.
const fn split(length: usize) -> usize {
    length.next_power_of_two() / 2
}

/// A place in the log with what shows it.
pub(crate) struct Shown {
    pub(crate) place: LogPlace,
    pub(crate) checkpoint: Option<String>,
    pub(crate) proof: Vec<Hash32>,
}

impl Center {
    /// The newest signed head, or the head itself while none is signed, and that it continues `seen`.
    pub(crate) async fn log_since(&self, seen: Option<LogPlace>) -> Result<Shown, Failure> {
        let (size, checkpoint) = match self.newest_checkpoint().await? {
            Some((size, note)) => (size, Some(note)),
            None => {
                let head = self
                    .store
                    .audit_head()
                    .await
                    .map_err(|error| store_failure(&error))?;
                (usize::try_from(head.size).unwrap_or(0), None)
            }
        };
        let tree = self.log.lock().await;
        let tree = self.caught_up(tree, size).await?;
        let place = LogPlace {
            size: u64::try_from(size).unwrap_or(u64::MAX),
            root: Hash32(*tree.root(0, size).as_bytes()),
        };
        let proof = match seen {
            None => Vec::new(),
            Some(seen) => {
                let old = usize::try_from(seen.size).ok().filter(|old| *old <= size);
                let old = old.ok_or_else(|| {
                    Failure::new(
                        FailureKind::Refused,
                        format!(
                            "the audit log was seen with {} leaves and its signed head has {size}",
                            seen.size
                        ),
                    )
                    .with_remedy("an older database may have been restored: run `chancery audit verify`")
                })?;
                hashes(tree.consistency(old, size))
            }
        };
        Ok(Shown {
            place,
            checkpoint,
            proof,
        })
    }

    /// That a leaf is in the log, once a signed head covers it.
    pub(crate) async fn log_includes(&self, leaf: i64) -> Result<Option<(String, Vec<Hash32>)>, Failure> {
        let Some((size, note)) = self.newest_checkpoint().await? else {
            return Ok(None);
        };
        let Some(index) = usize::try_from(leaf).ok().filter(|index| *index < size) else {
            return Ok(None);
        };
        let tree = self.log.lock().await;
        let tree = self.caught_up(tree, size).await?;
        Ok(Some((note, hashes(tree.inclusion(index, size)))))
    }

    /// The newest signed head whose signed text says the size it is stored under.
    async fn newest_checkpoint(&self) -> Result<Option<(usize, String)>, Failure> {
        let newest = self
            .store
            .checkpoint()
            .await
            .map_err(|error| store_failure(&error))?;
        let Some((size, note)) = newest else {
            return Ok(None);
        };
        let said = SignedNote::parse(note.as_bytes())
            .ok()
            .and_then(|note| Checkpoint::parse_body(note.text()).ok())
            .and_then(|checkpoint| i64::try_from(checkpoint.size).ok());
        if said != Some(size) {
            return Err(Failure::new(
                FailureKind::Refused,
                "the newest signed head of the audit log is not what it is stored as",
            )
            .with_remedy("somebody changed the database; run `chancery audit verify`"));
        }
        Ok(usize::try_from(size).ok().map(|size| (size, note)))
    }

    /// The tree with at least `size` leaves.
    async fn caught_up<'a>(
        &self,
        mut tree: tokio::sync::MutexGuard<'a, LogTree>,
        size: usize,
    ) -> Result<tokio::sync::MutexGuard<'a, LogTree>, Failure> {
        while tree.size() < size {
            let from = i64::try_from(tree.size()).unwrap_or(i64::MAX);
            let left = u32::try_from(size - tree.size()).unwrap_or(PAGE).min(PAGE);
            let leaves = self.store.audit_leaves(from, left).await;
            let leaves = leaves.map_err(|error| store_failure(&error))?;
            if leaves.is_empty() {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!("leaf {from} of the audit log is missing"),
                )
                .with_remedy("somebody changed the database; run `chancery audit verify`"));
            }
            for leaf in leaves {
                tree.push(leaf_hash(&leaf.body));
            }
        }
        Ok(tree)
    }
}

fn hashes(proof: Vec<TreeHash>) -> Vec<Hash32> {
    proof.into_iter().map(|hash| Hash32(*hash.as_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roots and proofs are those that are computed from all leaves.
    #[test]
    fn agrees_with_the_log_as_a_whole() {
        let leaves: Vec<_> = (0..70_u8).map(|index| leaf_hash(&[index])).collect();
        let mut tree = LogTree::default();
        for size in 0..=leaves.len() {
            assert_eq!(tree.size(), size);
            assert_eq!(tree.root(0, size), chancery_audit::root(&leaves[..size]));
            let wide = |size: usize| u64::try_from(size).unwrap();
            for other in 0..size {
                assert_eq!(
                    tree.inclusion(other, size),
                    chancery_audit::inclusion_proof(&leaves, wide(other), wide(size)).unwrap()
                );
                assert_eq!(
                    tree.consistency(other, size),
                    chancery_audit::consistency_proof(&leaves, wide(other), wide(size)).unwrap()
                );
            }
            if let Some(leaf) = leaves.get(size) {
                tree.push(*leaf);
            }
        }
    }
}
