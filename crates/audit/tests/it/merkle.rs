//! Roots, frontiers and proofs against a naive implementation of the definition in RFC 6962 2.1.

use chancery_audit::{
    Frontier, FrontierError, ProofError, TreeHash, VerifyError, consistency_proof, empty_root,
    inclusion_proof, leaf_hash, root, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;

/// The eight entries that certificate transparency implementations test with.
const ENTRIES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

/// The published roots of the first 1 to 8 of them.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// MTH(D[n]) word by word from RFC 6962 2.1, on entries, by another library's SHA-256.
fn naive_root(entries: &[Vec<u8>]) -> [u8; 32] {
    match entries.len() {
        0 => openssl::sha::sha256(b""),
        1 => openssl::sha::sha256(&[&[0], entries[0].as_slice()].concat()),
        n => {
            let mut k = 1;
            while k * 2 < n {
                k *= 2;
            }
            let (left, right) = (naive_root(&entries[..k]), naive_root(&entries[k..]));
            openssl::sha::sha256(&[&[1], left.as_slice(), right.as_slice()].concat())
        }
    }
}

fn entries(count: u64) -> Vec<Vec<u8>> {
    (0..count).map(|i| format!("event {i}").into_bytes()).collect()
}

fn leaves(count: u64) -> Vec<TreeHash> {
    entries(count).iter().map(|entry| leaf_hash(entry)).collect()
}

fn flipped(hash: &TreeHash, bit: usize) -> TreeHash {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    TreeHash::from_bytes(bytes)
}

#[test]
fn the_published_roots_come_out_of_all_three_ways() {
    let entries: Vec<_> = ENTRIES.iter().map(|text| hex::decode(text).unwrap()).collect();
    let leaves: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), empty_root());
    assert_eq!(empty_root().as_bytes(), &naive_root(&[]));
    for (index, expected) in ROOTS.iter().enumerate() {
        assert_eq!(frontier.push(leaves[index]), u64::try_from(index).unwrap());
        assert_eq!(frontier.root().to_string(), *expected);
        assert_eq!(root(&leaves[..=index]).to_string(), *expected);
        assert_eq!(hex::encode(naive_root(&entries[..=index])), *expected);
    }
}

#[test]
fn a_frontier_agrees_with_the_definition_and_survives_storage() {
    let entries = entries(70);
    let mut frontier = Frontier::new();
    for (index, entry) in entries.iter().enumerate() {
        frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
        frontier.push(leaf_hash(entry));
        assert_eq!(frontier.root().as_bytes(), &naive_root(&entries[..=index]));
    }
    assert_eq!(frontier.size(), 70);
}

#[test]
fn frontier_bytes_of_a_wrong_length_are_refused() {
    let mut frontier = Frontier::new();
    leaves(5).into_iter().for_each(|leaf| {
        frontier.push(leaf);
    });
    let bytes = frontier.to_bytes();
    assert_eq!(bytes.len(), 8 + 2 * 32);
    for length in 0..bytes.len() {
        assert!(Frontier::from_bytes(&bytes[..length]).is_err(), "{length}");
    }
    assert!(Frontier::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
    assert!(Frontier::from_bytes(&[bytes.as_slice(), &[0; 32]].concat()).is_err());
    let huge = [[0xff; 8].as_slice(), &[0; 64 * 32]].concat();
    assert_eq!(
        Frontier::from_bytes(&huge),
        Err(FrontierError::TooLarge { size: u64::MAX })
    );
}

#[test]
fn every_inclusion_proof_to_size_70_verifies_and_only_at_its_place() {
    let leaves = leaves(70);
    for size in 1..=70 {
        let root = root(&leaves[..usize::try_from(size).unwrap()]);
        for index in 0..size {
            let leaf = &leaves[usize::try_from(index).unwrap()];
            let proof = inclusion_proof(&leaves, index, size).unwrap();
            assert_eq!(
                verify_inclusion(leaf, index, size, &proof, &root),
                Ok(()),
                "{index} of {size}"
            );
            for other in (0..size).filter(|other| *other != index) {
                assert!(
                    verify_inclusion(leaf, other, size, &proof, &root).is_err(),
                    "{other} of {size}"
                );
            }
        }
    }
}

#[test]
fn every_consistency_proof_to_size_70_verifies_and_only_for_its_roots() {
    let leaves = leaves(70);
    let roots: Vec<_> = (0..=70).map(|size| root(&leaves[..size])).collect();
    for new in 0..=70_usize {
        for old in 0..=new {
            let (o, n) = (u64::try_from(old).unwrap(), u64::try_from(new).unwrap());
            let proof = consistency_proof(&leaves, o, n).unwrap();
            assert_eq!(
                verify_consistency(o, &roots[old], n, &roots[new], &proof),
                Ok(()),
                "{old} to {new}"
            );
            for bit in [0, 255] {
                let wrong = flipped(&roots[old], bit);
                assert!(
                    verify_consistency(o, &wrong, n, &roots[new], &proof).is_err(),
                    "{old} to {new}"
                );
                // From the empty tree everything is consistent: there is nothing to compare a root with.
                if old > 0 || new == 0 {
                    let wrong = flipped(&roots[new], bit);
                    assert!(
                        verify_consistency(o, &roots[old], n, &wrong, &proof).is_err(),
                        "{old} to {new}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_log_with_a_rewritten_past_has_no_consistency_proof() {
    let honest = leaves(20);
    let mut forged = honest.clone();
    forged[3] = leaf_hash(b"never happened");
    let proof = consistency_proof(&forged, 10, 20).unwrap();
    let result = verify_consistency(10, &root(&honest[..10]), 20, &root(&forged), &proof);
    assert!(matches!(result, Err(VerifyError::Root { .. })));
}

#[test]
fn impossible_proofs_are_refused_by_name() {
    let leaves = leaves(4);
    assert_eq!(
        inclusion_proof(&leaves, 0, 5),
        Err(ProofError::LogTooShort {
            available: 4,
            size: 5
        })
    );
    assert_eq!(
        inclusion_proof(&leaves, 4, 4),
        Err(ProofError::NoSuchLeaf { index: 4, size: 4 })
    );
    assert_eq!(
        inclusion_proof(&leaves, 0, 0),
        Err(ProofError::NoSuchLeaf { index: 0, size: 0 })
    );
    assert_eq!(
        inclusion_proof(&leaves, u64::MAX, 4),
        Err(ProofError::NoSuchLeaf {
            index: u64::MAX,
            size: 4
        })
    );
    assert_eq!(
        consistency_proof(&leaves, 3, 2),
        Err(ProofError::Shrinks { old: 3, new: 2 })
    );
    let root = root(&leaves);
    assert_eq!(
        verify_inclusion(&leaves[0], 4, 4, &[], &root),
        Err(VerifyError::NoSuchLeaf { index: 4, size: 4 })
    );
    assert_eq!(
        verify_consistency(5, &root, 4, &root, &[]),
        Err(VerifyError::Shrinks { old: 5, new: 4 })
    );
    assert_eq!(
        verify_consistency(3, &root, 4, &root, &[]),
        Err(VerifyError::Length)
    );
    assert_eq!(
        verify_consistency(4, &root, 4, &root, &[root]),
        Err(VerifyError::Length)
    );
}

#[test]
fn a_hash_is_hexadecimal_in_json() {
    let hash = leaf_hash(b"");
    let json = serde_json::to_string(&hash).unwrap();
    assert_eq!(json, format!("\"{}\"", ROOTS[0]));
    assert_eq!(serde_json::from_str::<TreeHash>(&json).unwrap(), hash);
    for bad in ["\"00\"", "\"zz\"", "7"] {
        assert!(serde_json::from_str::<TreeHash>(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_changed_inclusion_proof_is_refused(size in 2_u64..=70, pick in any::<u64>(), hash in any::<usize>(), bit in 0_usize..256) {
        let leaves = leaves(size);
        let (index, root) = (pick % size, root(&leaves));
        let leaf = &leaves[usize::try_from(index).unwrap()];
        let proof = inclusion_proof(&leaves, index, size).unwrap();
        let hash = hash % proof.len();
        let mut changed = proof.clone();
        changed[hash] = flipped(&changed[hash], bit);
        prop_assert!(verify_inclusion(leaf, index, size, &changed, &root).is_err());
        let mut shorter = proof.clone();
        shorter.remove(hash);
        prop_assert!(verify_inclusion(leaf, index, size, &shorter, &root).is_err());
        let mut longer = proof.clone();
        longer.insert(hash, proof[hash]);
        prop_assert!(verify_inclusion(leaf, index, size, &longer, &root).is_err());
        prop_assert!(verify_inclusion(&flipped(leaf, bit), index, size, &proof, &root).is_err());
        prop_assert!(verify_inclusion(leaf, index, size, &proof, &flipped(&root, bit)).is_err());
    }

    #[test]
    fn a_changed_consistency_proof_is_refused(new in 2_u64..=70, pick in any::<u64>(), hash in any::<usize>(), bit in 0_usize..256) {
        let leaves = leaves(new);
        let old = 1 + pick % (new - 1);
        let (old_root, new_root) = (root(&leaves[..usize::try_from(old).unwrap()]), root(&leaves));
        let proof = consistency_proof(&leaves, old, new).unwrap();
        let hash = hash % proof.len();
        let mut changed = proof.clone();
        changed[hash] = flipped(&changed[hash], bit);
        prop_assert!(verify_consistency(old, &old_root, new, &new_root, &changed).is_err());
        let mut shorter = proof.clone();
        shorter.remove(hash);
        prop_assert!(verify_consistency(old, &old_root, new, &new_root, &shorter).is_err());
        let mut longer = proof.clone();
        longer.insert(hash, proof[hash]);
        prop_assert!(verify_consistency(old, &old_root, new, &new_root, &longer).is_err());
    }

    #[test]
    fn any_numbers_and_hashes_are_answered(index in any::<u64>(), size in any::<u64>(), proof in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let proof: Vec<_> = proof.into_iter().map(TreeHash::from_bytes).collect();
        let hash = empty_root();
        prop_assert!(verify_inclusion(&hash, index, size, &proof, &hash).is_err() || size == 1);
        prop_assert!(verify_consistency(index, &hash, size, &hash, &proof).is_err() || proof.is_empty());
    }
}
