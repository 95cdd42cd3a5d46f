//! The birth of a key inside an HSM: of a CA's key and of a signing key alike.

use chancery_api::{Base64, Failure, FailureKind, Hash32, HsmDocument, SignerId};
use chancery_keys::{GenerateSpec, GeneratedKey, Hsm};
use chancery_store::{HsmRecord, ReplicaRecord, ReplicaState, RequestRecord, SignerRecord, Write};
use serde_json::{Value, json};

use super::hsm_attach::document;
use crate::{Center, request::altered, tokens::hsm_failure};

/// A key as its request asks for it.
pub(crate) struct Wanted<'a> {
    pub(crate) request: &'a RequestRecord,
    /// Key id reserved for it.
    pub(crate) key_id: i64,
    /// Algorithm, as the request's document says it.
    pub(crate) algorithm: &'a str,
    /// Holder reference of its statement of origin; the HSM's own choice when absent.
    pub(crate) chr: Option<String>,
    pub(crate) label: &'a str,
}

/// A key that was generated, and its HSM.
pub(crate) struct Born {
    pub(crate) hsm: Hsm,
    pub(crate) key: GeneratedKey,
}

/// What is recorded of a key that was generated.
pub(crate) struct Birth {
    pub(crate) signer: SignerId,
    /// The signer, its first replica, and how far the HSM has come.
    pub(crate) writes: Vec<Write>,
    /// Data of the audit event; whose key it is comes in addition.
    pub(crate) data: Value,
}

impl Center {
    /// The HSM that a request names, as it was approved.
    pub(crate) async fn approved_hsm(
        &self,
        request: &RequestRecord,
        approved: &HsmDocument,
    ) -> Result<HsmRecord, Failure> {
        let record = self.hsm_record(&approved.name).await?;
        if document(&record) == *approved {
            Ok(record)
        } else {
            Err(altered(request.number, "it names an HSM that is another one now"))
        }
    }

    /// Has a key generated inside an HSM; one that an interrupted attempt left under the reserved id, with the device's statement that
    /// it was born there, is taken.
    pub(crate) async fn generate(&self, record: &HsmRecord, wanted: Wanted<'_>) -> Result<Born, Failure> {
        self.refuse_unknown_custodians(record).await?;
        let hsm = self.held(record)?;
        let number = wanted.request.number;
        let spec = GenerateSpec {
            key_id: u8::try_from(wanted.key_id).map_err(|_| altered(number, "the key id is impossible"))?,
            algorithm: wanted
                .algorithm
                .parse()
                .map_err(|error| altered(number, &format!("its algorithm: {error}")))?,
            chr: wanted.chr,
            label: wanted.label.to_owned(),
        };
        let key = hsm.generate(spec).await.map_err(|error| hsm_failure(&error))?;
        Ok(Born { hsm, key })
    }

    /// What is to be recorded of a key that was generated.
    pub(crate) async fn birth(
        &self,
        record: &HsmRecord,
        Born { hsm, key }: Born,
        key_id: i64,
        algorithm: &str,
        request: &RequestRecord,
    ) -> Result<Birth, Failure> {
        let inspection = self
            .inspect(record.id, &hsm)
            .await
            .map_err(|error| hsm_failure(&error))?;
        let kcv = inspection.kcv.ok_or_else(|| {
            Failure::new(
                FailureKind::Conflict,
                format!("HSM {} has no key domain", record.name),
            )
        })?;
        let now = self.clock.now_ms();
        let signer = SignerId::new(self.uuid());
        let chain = hsm.identity().chain.clone();
        let data = json!({
            "signer": signer, "hsm": record.name, "key": Hash32::of(&key.public_key_spki),
            "attestation": Base64(key.request.clone()), "chain": Base64(chain.clone()), "request": request.number,
        });
        let mut writes = vec![
            Write::InsertSigner(SignerRecord {
                id: signer,
                kcv: kcv.to_vec(),
                key_id,
                algorithm: algorithm.to_owned(),
                public_key: key.public_key_spki,
                attestation: key.request,
                chain,
                created_ms: now,
            }),
            Write::PutReplica(ReplicaRecord {
                signer,
                hsm: record.id,
                state: ReplicaState::Present,
                checked_ms: now,
            }),
        ];
        writes.extend(Self::mark_write(record.id, &inspection));
        Ok(Birth { signer, writes, data })
    }
}
