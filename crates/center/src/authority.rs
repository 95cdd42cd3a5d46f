//! A CA that can issue: its certificate, its key, and where the key is.

use std::sync::Arc;

use chancery_api::{CaId, CertificateId, Failure, FailureKind, Hash32, HsmId, SignerId};
use chancery_keys::{Pool, PooledKey};
use chancery_pki::{Issuer, PublicKey, SignatureAlgorithm};
use chancery_store::{CaRecord, ReplicaState};

use crate::{Center, commands::was_issued, committer::store_failure, leases::Desk, text::chain};

/// A key and its replicas.
#[derive(Clone, Debug)]
pub(crate) struct CaKey {
    pub(crate) signer: SignerId,
    /// SubjectPublicKeyInfo, DER.
    pub(crate) spki: Vec<u8>,
    pub(crate) public_key: PublicKey,
    /// Key id on every HSM.
    pub(crate) key_id: u8,
    /// HSMs known to hold it.
    pub(crate) on: Vec<HsmId>,
}

impl CaKey {
    pub(crate) fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::for_key(self.public_key.kind())
    }
}

/// An active CA.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) id: CaId,
    pub(crate) name: String,
    pub(crate) key: CaKey,
    pub(crate) certificate_id: CertificateId,
    pub(crate) certificate_hash: Hash32,
    pub(crate) issuer: Issuer,
    /// The row, as it was when the CA was loaded: active.
    pub(crate) record: CaRecord,
}

impl Center {
    pub(crate) async fn ca_record(&self, name: &str) -> Result<CaRecord, Failure> {
        self.store
            .ca_by_name(name)
            .await
            .map_err(|error| store_failure(&error))?
            .ok_or_else(|| {
                Failure::new(FailureKind::NotFound, format!("there is no CA named {name}"))
                    .with_remedy("chancery ca list; chancery ca create --help")
            })
    }

    /// An active CA by name. Kept in memory: what is read here was checked once, and signatures are checked against this key.
    pub(crate) async fn authority(&self, name: &str) -> Result<Arc<Authority>, Failure> {
        if let Some(authority) = self.known_authority(name) {
            return Ok(authority);
        }
        let record = self.ca_record(name).await?;
        self.load_authority(&record).await
    }

    /// An active CA by name, if it was used before.
    pub(crate) fn known_authority(&self, name: &str) -> Option<Arc<Authority>> {
        self.lock(&self.authorities)
            .values()
            .find(|authority| authority.name == name)
            .cloned()
    }

    async fn load_authority(&self, record: &CaRecord) -> Result<Arc<Authority>, Failure> {
        let inactive = || {
            Failure::new(
                FailureKind::Conflict,
                format!("CA {} has no certificate yet", record.name),
            )
            .with_remedy(format!("chancery request why {}", record.request))
        };
        let certificate_id = record.certificate.ok_or_else(inactive)?;
        let certificate = self
            .store
            .certificate(certificate_id)
            .await
            .map_err(|error| store_failure(&error))?
            .filter(was_issued)
            .ok_or_else(inactive)?;
        let der = certificate.der.ok_or_else(inactive)?;
        let damaged = |why: String| {
            Failure::new(
                FailureKind::Refused,
                format!("the certificate of CA {} does not hold: {why}", record.name),
            )
            .with_remedy("somebody changed the database; run `chancery audit verify`")
        };
        let key = self.ca_key(record).await?.ok_or_else(inactive)?;
        if self.is_born_for_signing(key.signer).await? {
            return Err(damaged(
                "its key was generated for signing, not for a CA".to_owned(),
            ));
        }
        let issuer = Issuer::from_certificate(&der).map_err(|error| damaged(chain(&error)))?;
        if issuer.key().spki() != key.spki {
            return Err(damaged("it names another key than its signer".to_owned()));
        }
        chancery_pki::verify_signature(&der, issuer.key()).map_err(|error| damaged(chain(&error)))?;
        let authority = Arc::new(Authority {
            id: record.id,
            name: record.name.clone(),
            key,
            certificate_id,
            certificate_hash: Hash32::of(&der),
            issuer,
            record: record.clone(),
        });
        self.lock(&self.authorities)
            .insert(record.id, Arc::clone(&authority));
        Ok(authority)
    }

    /// Forgets what is kept of a CA, after its key got another replica.
    pub(crate) fn forget_authority(&self, id: CaId) {
        self.lock(&self.authorities).remove(&id);
    }

    /// The key of a CA, once it is generated.
    pub(crate) async fn ca_key(&self, record: &CaRecord) -> Result<Option<CaKey>, Failure> {
        let Some(id) = record.signer else { return Ok(None) };
        self.key_of(id, &format!("the key of CA {}", record.name))
            .await
            .map(Some)
    }

    /// The key of a signer, as the database says.
    pub(crate) async fn key_of(&self, id: SignerId, what: &str) -> Result<CaKey, Failure> {
        let failed = |error| store_failure(&error);
        let signer = self.store.signer(id).await.map_err(failed)?.ok_or_else(|| {
            Failure::new(
                FailureKind::Refused,
                format!("signer {id} is gone from the database"),
            )
        })?;
        let replicas = self.store.replicas(id).await.map_err(failed)?;
        let public_key = PublicKey::from_spki(&signer.public_key)
            .map_err(|error| Failure::new(FailureKind::Refused, format!("{what}: {error}")))?;
        let key_id = u8::try_from(signer.key_id).map_err(|_| {
            Failure::new(
                FailureKind::Refused,
                format!("signer {id} has an impossible key id"),
            )
        })?;
        Ok(CaKey {
            signer: id,
            spki: signer.public_key,
            public_key,
            key_id,
            on: replicas
                .iter()
                .filter(|replica| matches!(replica.state, ReplicaState::Present | ReplicaState::Verified))
                .map(|replica| replica.hsm)
                .collect(),
        })
    }

    /// The key as something that signs, wherever a replica is unlocked by `hsm unlock` now: not in an HSM that is opened for
    /// something else until then.
    pub(crate) fn pooled(&self, key: &CaKey) -> PooledKey {
        pooled(&self.pool, &self.desk, key)
    }

    /// Whether a replica of the key could sign now, in an HSM that custodians opened by `hsm unlock` and not for leases alone.
    pub(crate) fn is_unlocked(&self, key: &CaKey) -> bool {
        key.on.iter().any(|id| self.desk.is_open_for_all(*id))
    }
}

/// See [`Center::pooled`].
pub(crate) fn pooled(pool: &Arc<Pool>, desk: &Desk, key: &CaKey) -> PooledKey {
    let open = |id: &HsmId| Some((*id, desk.era_for_all(*id)?));
    let on = key.on.iter().filter_map(open).collect();
    pool.signer_in(key.spki.clone(), key.key_id, on)
}
