//! `receipt.show`: everything needed to check offline that a quorum permitted a signature.

use chancery_api::{
    Base64, CustodianStatement, DigestValue, Failure, FailureKind, Hash32, HsmDocument, Inclusion, KeyOrigin,
    LeaseText, LogPlace, Receipt, ReceiptShow, Requester, StatementKind,
};
use chancery_audit::leaf_hash;
use chancery_store::{AuditLeaf, HsmRecord, LeaseAnswerRecord, LeaseSignatureRecord};
use serde_json::Value;

use super::{lease_challenge::hsm_of, lease_view::altered};
use crate::{
    Center,
    authority::CaKey,
    committer::store_failure,
    env::rfc3339,
    leases::{Proof, Scheme},
};

/// Digests named in a lease that a receipt carries.
const MOST_NAMED: usize = 256;
/// Leaves read at once.
const PAGE: u32 = 1000;
/// Leaves looked through first: a signature and its leaf were recorded together.
const NEAR: u32 = 64;

impl Center {
    /// The receipt of a signature. Everything in it is checked before it is given out.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] when the digest was not signed under the lease; [`FailureKind::Refused`] for altered rows.
    pub async fn receipt_show(
        &self,
        call: &ReceiptShow,
        own: Option<&Requester>,
    ) -> Result<Receipt, Failure> {
        let id = call.lease;
        self.require_own(id, own).await?;
        let failed = |error| store_failure(&error);
        let record = self.lease_record(id).await?;
        let text: LeaseText =
            serde_json::from_slice(&record.text).map_err(|_| altered(id, "its text cannot be read"))?;
        let row = self.store.lease_signature(id, &call.digest.to_string()).await;
        let row = row.map_err(failed)?.ok_or_else(|| {
            Failure::new(
                FailureKind::NotFound,
                format!("{} was not signed under lease {id}", call.digest),
            )
        })?;
        let signer = self.store.signer(record.signer).await.map_err(failed)?;
        let signer = signer.ok_or_else(|| altered(id, "its signer is gone"))?;
        if Hash32::of(&signer.public_key) != text.key {
            return Err(altered(id, "its signer has another key"));
        }
        let scheme = Scheme::new(&signer.public_key, text.mechanism).map_err(|why| altered(id, &why))?;
        if !scheme.holds(&call.digest, &row.signature) {
            return Err(altered(id, "the recorded signature is not the key's"));
        }
        self.check_answers(&record, &text)
            .await
            .map_err(|why| altered(id, &why))?;
        let hsm = hsm_of(&text, row.hsm).ok_or_else(|| altered(id, "another HSM is recorded"))?;
        let (_, key) = self.signing_key(&text.signer).await?;
        let named = self.manifest_of(id).await?;
        let (_, proof) = self.proof(&key, &text.hsms, &named).await?;
        let answers = self.store.lease_answers(id).await.map_err(failed)?;
        let statements: Vec<_> = answers
            .into_iter()
            .filter(|answer| {
                answer.hsm == row.hsm && answer.attempt == row.attempt && answer.kind != StatementKind::Refuse
            })
            .map(|answer| statement(answer, hsm))
            .collect();
        let leaf = self.leaf_of(&row).await?;
        let body: Value =
            serde_json::from_slice(&leaf.body).map_err(|_| altered(id, "its leaf cannot be read"))?;
        let needed = body["data"]["needed"]
            .as_u64()
            .and_then(|needed| u8::try_from(needed).ok());
        let needed =
            needed.ok_or_else(|| altered(id, "its leaf does not say how many custodians were needed"))?;
        let mut receipt = Self::receipt(
            &record.text,
            &proof,
            hsm,
            Signed {
                digest: &call.digest,
                signature: &row.signature,
                time_ms: row.signed_ms,
                needed,
                statements,
            },
        );
        let hash = receipt
            .core_hash()
            .map(|hash| hash.to_string())
            .unwrap_or_default();
        if body["data"]["receipt"] != hash.as_str() {
            return Err(altered(id, "the audit log records another receipt"));
        }
        let inclusion = self.log_includes(leaf.index).await?;
        receipt.leaf = u64::try_from(leaf.index).unwrap_or(0);
        receipt.leaf_body = Base64(leaf.body);
        receipt.inclusion = inclusion.map(|(checkpoint, proof)| Inclusion { checkpoint, proof });
        Ok(receipt)
    }

    /// A receipt before it has a place in the log.
    pub(crate) fn receipt(text: &[u8], proof: &Proof, hsm: &HsmDocument, signed: Signed<'_>) -> Receipt {
        let node_enforced = signed
            .statements
            .iter()
            .any(|statement| statement.kind == StatementKind::Open);
        Receipt {
            v: 1,
            text: Base64(text.to_vec()),
            digest: signed.digest.clone(),
            signature: Base64(signed.signature.to_vec()),
            public_key: Base64(proof.public_key.clone()),
            origin: proof.origin.clone(),
            hsm: hsm.clone(),
            hsm_chain: Base64(proof.chains.get(&hsm.id).cloned().unwrap_or_default()),
            time: rfc3339(signed.time_ms),
            node_enforced,
            needed: signed.needed,
            statements: signed.statements,
            manifest: proof.manifest.clone(),
            leaf: 0,
            leaf_body: Base64(Vec::new()),
            inclusion: None,
        }
    }

    /// What receipts of a lease of this key have in common, and the algorithm of the key.
    pub(crate) async fn proof(
        &self,
        key: &CaKey,
        hsms: &[HsmDocument],
        named: &[DigestValue],
    ) -> Result<(String, Proof), Failure> {
        let signer = self.store.signer(key.signer).await;
        let signer = signer.map_err(|error| store_failure(&error))?;
        let gone = || Failure::new(FailureKind::Refused, "the signer is gone from the database");
        let signer = signer.ok_or_else(gone)?;
        let mut manifest = named.to_vec();
        manifest.sort_unstable();
        manifest.dedup();
        if manifest.len() > MOST_NAMED {
            manifest.clear();
        }
        let of_lease = |record: &HsmRecord| hsms.iter().any(|hsm| hsm.id == record.id);
        let records = self.hsm_records().await?;
        let chains = records.into_iter().filter(of_lease);
        let proof = Proof {
            public_key: signer.public_key,
            origin: KeyOrigin {
                request: Base64(signer.attestation),
                chain: Base64(signer.chain),
            },
            chains: chains.map(|record| (record.id, record.chain)).collect(),
            manifest,
        };
        Ok((signer.algorithm, proof))
    }

    /// The leaf that records a signature: it is not far behind the place that was noted with it.
    async fn leaf_of(&self, row: &LeaseSignatureRecord) -> Result<AuditLeaf, Failure> {
        let mut from = row.log_size;
        let mut page = NEAR;
        loop {
            let leaves = self.store.audit_leaves(from, page).await;
            let leaves = leaves.map_err(|error| store_failure(&error))?;
            let Some(last) = leaves.last().map(|leaf| leaf.index) else {
                return Err(altered(row.lease, "the audit log does not record the signature"));
            };
            let is_it = |leaf: &AuditLeaf| leaf_hash(&leaf.body).as_bytes()[..] == row.leaf_hash[..];
            if let Some(leaf) = leaves.into_iter().find(is_it) {
                return Ok(leaf);
            }
            from = last + 1;
            page = PAGE;
        }
    }
}

/// A signature that a receipt is for.
pub(crate) struct Signed<'a> {
    pub(crate) digest: &'a DigestValue,
    pub(crate) signature: &'a [u8],
    /// When, milliseconds since the Unix epoch.
    pub(crate) time_ms: i64,
    pub(crate) needed: u8,
    pub(crate) statements: Vec<CustodianStatement>,
}

/// A custodian's statement as receipts carry it.
pub(crate) fn statement(answer: LeaseAnswerRecord, hsm: &HsmDocument) -> CustodianStatement {
    let root: [u8; 32] = answer.log_root.as_slice().try_into().unwrap_or([0; 32]);
    CustodianStatement {
        person: answer.name,
        chr: answer.chr,
        key_request: Base64(answer.key_request),
        chain: Base64(answer.chain),
        kind: answer.kind,
        hsm: hsm.clone(),
        challenge: Base64(answer.challenge),
        log: LogPlace {
            size: u64::try_from(answer.log_size).unwrap_or(0),
            root: Hash32(root),
        },
        unlock: answer.unlock.map(Base64),
        statement: Base64(answer.statement),
    }
}
