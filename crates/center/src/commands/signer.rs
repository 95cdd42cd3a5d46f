//! `signer list`, `signer verify`, `signer replicate`.

use chancery_api::{
    Base64, Decision, Failure, FailureKind, Hash32, HsmDocument, Performed, ReplicaView, SignerId,
    SignerVerify, SignerView,
};
use chancery_keys::{KeyError, NO_ERA, SigningKey as _};
use chancery_store::{CaRecord, Change, HsmRecord, ReplicaRecord, ReplicaState, SigningKeyRecord, Write};
use serde_json::json;

use super::hsm_attach::document;
use crate::{
    Center,
    acts::ProvenAct,
    authority::CaKey,
    committer::store_failure,
    env::rfc3339,
    event::{Actor, event},
    tokens::{hsm_failure, key_failure},
};

/// Whose key a signer is.
pub(crate) enum Owner {
    Ca(CaRecord),
    Signing(SigningKeyRecord),
}

impl Owner {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Ca(ca) => &ca.name,
            Self::Signing(key) => &key.name,
        }
    }

    pub(crate) const fn signer(&self) -> Option<SignerId> {
        match self {
            Self::Ca(ca) => ca.signer,
            Self::Signing(key) => key.signer,
        }
    }

    pub(crate) const fn key_id(&self) -> i64 {
        match self {
            Self::Ca(ca) => ca.key_id,
            Self::Signing(key) => key.key_id,
        }
    }

    /// Member under which events name it.
    pub(crate) const fn member(&self) -> &'static str {
        match self {
            Self::Ca(_) => "ca",
            Self::Signing(_) => "signing_key",
        }
    }

    /// In sentences.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Ca(ca) => format!("CA {}", ca.name),
            Self::Signing(key) => format!("signing key {}", key.name),
        }
    }

    const fn purpose(&self) -> &'static str {
        match self {
            Self::Ca(_) => "ca",
            Self::Signing(_) => "signing",
        }
    }

    const fn request(&self) -> chancery_api::RequestNumber {
        match self {
            Self::Ca(ca) => ca.request,
            Self::Signing(key) => key.request,
        }
    }
}

impl Center {
    /// CAs, then signing keys, by name.
    pub(crate) async fn owners(&self) -> Result<Vec<Owner>, Failure> {
        let cas = self.store.cas().await.map_err(|error| store_failure(&error))?;
        let signing = self.signing_key_records().await?;
        let cas = cas.into_iter().map(Owner::Ca);
        Ok(cas.chain(signing.into_iter().map(Owner::Signing)).collect())
    }

    /// A CA or a signing key by name.
    async fn owner(&self, name: &str) -> Result<Owner, Failure> {
        let owners = self.owners().await?;
        owners
            .into_iter()
            .find(|owner| owner.name() == name)
            .ok_or_else(|| {
                Failure::new(
                    FailureKind::NotFound,
                    format!("there is no CA and no signing key named {name}"),
                )
                .with_remedy("chancery signer list")
            })
    }

    /// Forgets what is kept of a key, after it got or lost a replica.
    pub(crate) fn forget(&self, owner: &Owner) {
        if let Owner::Ca(ca) = owner {
            self.forget_authority(ca.id);
        }
    }

    /// All signers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signer_list(&self) -> Result<Vec<SignerView>, Failure> {
        let mut views = Vec::new();
        for owner in self.owners().await? {
            if let Some(signer) = owner.signer() {
                views.push(self.signer_view(&owner, signer).await?);
            }
        }
        Ok(views)
    }

    /// Has replicas sign a test value.
    ///
    /// # Errors
    /// Blocked when an HSM named is locked; refused when its signature does not fit the key.
    pub async fn signer_verify(&self, call: &SignerVerify, uid: u32) -> Result<SignerView, Failure> {
        let ca = self.owner(&call.ca).await?;
        let key = self.require_key(&ca).await?;
        let mut tested = false;
        for record in self.hsm_records().await? {
            let named = call.hsm.as_ref().is_none_or(|name| *name == record.name);
            if !named
                || (call.hsm.is_none()
                    && (!key.on.contains(&record.id) || self.pool.get(record.id).is_none()))
            {
                continue;
            }
            tested = true;
            self.test_signature(&ca, &key, &record, &Actor::Local(uid))
                .await?;
        }
        if !tested {
            return Err(Failure::new(
                FailureKind::NotFound,
                match &call.hsm {
                    Some(name) => format!("there is no HSM named {name}"),
                    None => "no HSM with a replica is attached".to_owned(),
                },
            )
            .with_remedy("chancery hsm list"));
        }
        self.signer_view(&ca, key.signer).await
    }

    pub(crate) async fn draft_replicate(&self, ca: &str, hsm: &str) -> Result<Decision, Failure> {
        let ca = self.owner(ca).await?;
        let key = self.require_key(&ca).await?;
        let target = self.hsm_record(hsm).await?;
        self.source_for(&key, &target).await?;
        Ok(Decision::SignerReplicate {
            signer: key.signer,
            key: Hash32::of(&key.spki),
            hsm: document(&target),
        })
    }

    pub(crate) async fn replicate(
        &self,
        act: ProvenAct,
        signer: SignerId,
        hsm: HsmDocument,
    ) -> Result<Performed, Failure> {
        let _one_at_a_time = self.procedures.lock().await;
        let owners = self.owners().await?;
        let ca = owners
            .into_iter()
            .find(|owner| owner.signer() == Some(signer))
            .ok_or_else(|| Failure::new(FailureKind::NotFound, format!("there is no signer {signer}")))?;
        let key = self.require_key(&ca).await?;
        let target = self.hsm_record(&hsm.name).await?;
        if document(&target) != hsm {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("HSM {} is another one now", hsm.name),
            ));
        }
        let source = self.source_for(&key, &target).await?;
        self.refuse_unknown_custodians(&target).await?;
        let from = self.held(&source)?;
        let to = self.held(&target)?;
        let now = self.clock.now_ms();
        let data =
            json!({ (ca.member()): ca.name(), "signer": signer, "from": source.name, "to": target.name });
        let begun = event(now, "replication-begun", &Actor::Act(&act), &data)?;
        let mut writes = vec![Write::InsertAct(act.record.clone())];
        if !key.on.contains(&target.id) {
            let copying = ReplicaRecord {
                signer,
                hsm: target.id,
                state: ReplicaState::Copying,
                checked_ms: now,
            };
            writes.push(Write::PutReplica(copying));
        }
        self.commit(Change {
            writes,
            events: vec![begun],
        })
        .await?;

        let copy = from
            .export(key.key_id)
            .await
            .map_err(|error| hsm_failure(&error))?;
        to.import(key.key_id, copy, &key.spki)
            .await
            .map_err(|error| hsm_failure(&error))?;
        self.test_signature(&ca, &key, &target, &Actor::ActReference(act.record.id))
            .await?;
        Ok(Performed::Signer {
            signer: self.signer_view(&ca, signer).await?,
        })
    }

    pub(crate) async fn signer_view(&self, owner: &Owner, id: SignerId) -> Result<SignerView, Failure> {
        let failed = |error| store_failure(&error);
        let signer = self.store.signer(id).await.map_err(failed)?.ok_or_else(|| {
            Failure::new(
                FailureKind::Refused,
                format!("signer {id} is gone from the database"),
            )
        })?;
        let known = self.store.replicas(id).await.map_err(failed)?;
        let replicas = self
            .hsm_records()
            .await?
            .into_iter()
            .map(|hsm| {
                let replica = known.iter().find(|replica| replica.hsm == hsm.id);
                let other_domain = hsm.kcv.as_ref().is_some_and(|kcv| *kcv != signer.kcv);
                let state = match replica.map(|replica| replica.state) {
                    Some(ReplicaState::Verified) => "verified",
                    Some(ReplicaState::Present) => "present",
                    Some(ReplicaState::Copying) => "partial",
                    Some(ReplicaState::Absent) | None if other_domain => "other key domain",
                    Some(ReplicaState::Absent) | None => "absent",
                };
                ReplicaView {
                    hsm: hsm.name,
                    state: state.to_owned(),
                    checked: replica.map(|replica| rfc3339(replica.checked_ms)),
                }
            })
            .collect();
        Ok(SignerView {
            id,
            ca: owner.name().to_owned(),
            purpose: owner.purpose().to_owned(),
            algorithm: signer.algorithm,
            key: Hash32::of(&signer.public_key).to_string(),
            kcv: hex::encode_upper(&signer.kcv),
            replicas,
        })
    }

    async fn require_key(&self, owner: &Owner) -> Result<CaKey, Failure> {
        match owner {
            Owner::Signing(key) => self.signing_key(&key.name).await.map(|(_, key)| key),
            Owner::Ca(ca) => self.ca_key(ca).await?.ok_or_else(|| {
                Failure::new(FailureKind::Conflict, format!("{} has no key yet", owner.title()))
                    .with_remedy(format!("chancery request why {}", owner.request()))
            }),
        }
    }

    /// An unlocked HSM to copy from; both sides must be open.
    async fn source_for(&self, key: &CaKey, target: &HsmRecord) -> Result<HsmRecord, Failure> {
        let mut unmet = self.quorum_conditions(&[target.id]).await?;
        let others: Vec<_> = key.on.iter().copied().filter(|id| *id != target.id).collect();
        if others.is_empty() {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("HSM {} is the only one that holds the key", target.name),
            )
            .with_remedy("name the HSM that is to get a copy"));
        }
        unmet.extend(self.quorum_conditions(&others).await?);
        if !unmet.is_empty() {
            return Err(Failure::blocked(
                format!("the key cannot be copied to {} now", target.name),
                unmet,
            ));
        }
        let open = |record: &HsmRecord| others.contains(&record.id) && self.desk.is_open_for_all(record.id);
        self.hsm_records().await?.into_iter().find(open).ok_or_else(|| {
            Failure::new(
                FailureKind::Unavailable,
                "the HSM to copy from was locked meanwhile",
            )
        })
    }

    /// Has one replica sign a value that means nothing, checks the signature, records the result.
    async fn test_signature(
        &self,
        ca: &Owner,
        key: &CaKey,
        record: &HsmRecord,
        actor: &Actor<'_>,
    ) -> Result<(), Failure> {
        let hsm = self.held(record)?;
        self.refuse_open_for_leases(record)?;
        let era = self.desk.era_for_all(record.id).unwrap_or(NO_ERA);
        // Text in front: no certificate, CRL or act begins like this.
        let mut message = b"CHANCERY-TEST-SIGNATURE\0".to_vec();
        message.extend_from_slice(&self.random::<32>());
        let data = json!({ (ca.member()): ca.name(), "signer": key.signer, "hsm": record.name, "message": Base64(message.clone()) });
        let begun = event(self.clock.now_ms(), "test-signature-begun", actor, &data)?;
        self.commit(Change {
            writes: Vec::new(),
            events: vec![begun],
        })
        .await?;
        let signed = self
            .pool
            .signer_in(key.spki.clone(), key.key_id, vec![(record.id, era)])
            .sign(&message)
            .await;
        let now = self.clock.now_ms();
        let replica = |state| {
            Write::PutReplica(ReplicaRecord {
                signer: key.signer,
                hsm: record.id,
                state,
                checked_ms: now,
            })
        };
        if let Err(error) = signed {
            let failure = key_failure(&error);
            let data = json!({ (ca.member()): ca.name(), "signer": key.signer, "hsm": record.name, "because": failure.message });
            let failed = event(now, "test-signature-failed", actor, &data)?;
            // A key that signs wrongly is no replica; one that could not be asked is what it was.
            let wrong = matches!(error, KeyError::WrongSignature { .. });
            let writes = if wrong {
                vec![replica(ReplicaState::Absent)]
            } else {
                Vec::new()
            };
            self.commit(Change {
                writes,
                events: vec![failed],
            })
            .await?;
            self.forget(ca);
            return Err(failure);
        }
        let mut writes = vec![replica(ReplicaState::Verified)];
        if let Ok(inspection) = self.inspect(record.id, &hsm).await {
            writes.extend(Self::mark_write(record.id, &inspection));
        }
        let data = json!({ (ca.member()): ca.name(), "signer": key.signer, "hsm": record.name });
        self.commit(Change {
            writes,
            events: vec![event(now, "test-signature", actor, &data)?],
        })
        .await?;
        self.forget(ca);
        Ok(())
    }
}
