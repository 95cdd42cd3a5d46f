//! The center: everything commands share.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, atomic::AtomicI64},
};

use aws_lc_rs::signature::ParsedPublicKey;
use chancery_api::{
    ActPayload, Base64, CaId, Failure, FailureKind, Hash32, HsmId, Installation, RequestNumber,
};
use chancery_audit::NoteSigner;
use chancery_cvc::TrustAnchors;
use chancery_keys::{Inspection, Pool};
use chancery_pki::CertificationRequest;
use chancery_store::{Change, Store};

use crate::{
    Network,
    acts::{self, ActError, Drafts},
    authority::Authority,
    cache::{ByHash, Profiles},
    checkpoint::CheckpointSigner,
    commands::Unlocking,
    committer::{Committer, store_failure},
    env::{Clock, Entropy, Marks, TokenSource},
    leases::Desk,
    log_tree::LogTree,
    reading::{KnownPeople, Reader},
    trust::Grandfathered,
};

/// What a center is started with.
pub struct Setup {
    /// The installation, as pinned outside the database.
    pub installation: Installation,
    /// The database.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where tokens are found.
    pub tokens: Arc<dyn TokenSource>,
    /// What is remembered outside the database.
    pub marks: Arc<dyn Marks>,
    /// Scheme roots under which device certificates count.
    pub anchors: Arc<TrustAnchors>,
    /// The key that signs the head of the audit log.
    pub audit_signer: NoteSigner,
    /// SubjectPublicKeyInfo (DER) of that key; the first CA certifies it.
    pub audit_key: Vec<u8>,
}

/// A trust center. All rules are here; edges only carry calls and show answers.
pub struct Center {
    pub(crate) installation: Installation,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) committer: Committer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tokens: Arc<dyn TokenSource>,
    pub(crate) anchors: Arc<TrustAnchors>,
    pub(crate) audit_key: Vec<u8>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) epoch: i64,
    pub(crate) drafts: Mutex<Drafts>,
    pub(crate) last_request: AtomicI64,
    /// What each HSM said when it was last asked.
    pub(crate) seen: Mutex<HashMap<HsmId, Inspection>>,
    /// Things about an HSM that somebody should look at.
    pub(crate) warnings: Mutex<HashMap<HsmId, Vec<String>>>,
    pub(crate) authorities: Mutex<HashMap<CaId, Arc<Authority>>>,
    /// What custodians were asked by `hsm unlock`, and whose answers to it count.
    pub(crate) unlocking: Mutex<Unlocking>,
    /// One change of an HSM's contents, or of a CA's birth, at a time.
    pub(crate) procedures: tokio::sync::Mutex<()>,
    /// One approval of what changes who may do what at a time: the last one needed has to see the one before.
    pub(crate) approvals: tokio::sync::Mutex<()>,
    /// Requests for leases that may be served by one another, one at a time.
    pub(crate) sharing: tokio::sync::Mutex<()>,
    /// Requests parsed before, their proof of possession checked, by the hash of their bytes.
    pub(crate) csrs: Mutex<ByHash<Arc<CertificationRequest>>>,
    /// Approvals checked before, by the hash of everything that was checked: the to-be-signed bytes they cover.
    pub(crate) checked: Mutex<ByHash<Option<Hash32>>>,
    pub(crate) profiles: Profiles,
    pub(crate) marks: Arc<dyn Marks>,
    /// Who counted when there was one manager, once there are two.
    pub(crate) grandfathered: Mutex<Option<Grandfathered>>,
    /// Acts proven before, by the hash of the act and the key: what they say.
    pub(crate) proven: Mutex<ByHash<Arc<ActPayload>>>,
    /// People's keys read before, by their hash.
    pub(crate) act_keys: Mutex<ByHash<Arc<ParsedPublicKey>>>,
    /// The network edge, once there is one.
    pub(crate) network: OnceLock<Arc<dyn Network>>,
    /// Where HSMs are found that are being attached, between draft and act.
    pub(crate) attaching: Mutex<HashMap<HsmId, String>>,
    /// One loss recorded at a time, so that each is recorded once.
    pub(crate) losses: tokio::sync::Mutex<()>,
    /// One return of each connector's HSM at a time.
    pub(crate) returns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    pub(crate) reader: Reader,
    /// Everybody as checked last.
    pub(crate) known_people: Mutex<Option<KnownPeople>>,
    /// Leases that are not over.
    pub(crate) desk: Desk,
    /// The audit log, for proofs.
    pub(crate) log: tokio::sync::Mutex<LogTree>,
}

impl Center {
    /// Opens the center: counts the start, makes the pinned first manager known, checks everybody, attaches the HSMs that should be.
    ///
    /// # Errors
    /// When the database fails or the pinned installation does not hold.
    pub async fn open(setup: Setup) -> Result<Self, Failure> {
        let now = setup.clock.now_ms();
        let failed = |error| store_failure(&error);
        let epoch = setup.store.begin_epoch(now).await.map_err(failed)?;
        let RequestNumber(last) = setup.store.last_request().await.map_err(failed)?;
        let signer =
            CheckpointSigner::open(&*setup.store, setup.audit_signer, Arc::clone(&setup.marks)).await?;
        let signed = signer.signed().clone();
        let grandfathered = Grandfathered::load(&*setup.marks)?;
        let reader = Reader::start(Arc::clone(&setup.store));
        let committer = Committer::start(Arc::clone(&setup.store), signer);
        let pool = Arc::new(Pool::new());
        let desk = Desk::start(
            Arc::clone(&setup.store),
            committer.clone(),
            Arc::clone(&setup.clock),
            Arc::clone(&pool),
            epoch,
        );
        let center = Self {
            committer,
            installation: setup.installation,
            store: setup.store,
            clock: setup.clock,
            entropy: setup.entropy,
            tokens: setup.tokens,
            anchors: setup.anchors,
            audit_key: setup.audit_key,
            pool,
            epoch,
            drafts: Mutex::default(),
            last_request: AtomicI64::new(last),
            seen: Mutex::default(),
            warnings: Mutex::default(),
            authorities: Mutex::default(),
            unlocking: Mutex::default(),
            procedures: tokio::sync::Mutex::new(()),
            approvals: tokio::sync::Mutex::new(()),
            sharing: tokio::sync::Mutex::default(),
            csrs: Mutex::new(ByHash::with_room_for(8192)),
            checked: Mutex::new(ByHash::with_room_for(65536)),
            profiles: Profiles::builtin()?,
            marks: setup.marks,
            grandfathered: Mutex::new(grandfathered),
            proven: Mutex::new(ByHash::with_room_for(512)),
            act_keys: Mutex::new(ByHash::with_room_for(512)),
            network: OnceLock::new(),
            attaching: Mutex::default(),
            losses: tokio::sync::Mutex::new(()),
            returns: Mutex::default(),
            reader,
            known_people: Mutex::default(),
            desk,
            log: tokio::sync::Mutex::default(),
        };
        center.enrol_first_manager().await?;
        center.people().await?;
        center.attach_known().await?;
        center.load_leases(&signed).await?;
        Ok(center)
    }

    /// The number of this start, counted in the database from 1.
    #[must_use]
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The installation as pinned.
    #[must_use]
    pub const fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Gives up all HSMs, which locks them. The center answers no more calls that need one.
    pub async fn close(&self) {
        self.desk.close().await;
        for (id, hsm) in self.pool.all() {
            if let Ok(inspection) = hsm.inspect().await {
                // A mark that is not saved is an older one: rollback is noticed a little later.
                let _ = self.save_mark(id, &inspection).await;
            }
            self.pool.remove(id);
            hsm.closed("the node is stopping").await;
        }
    }

    /// Whether any HSM is unlocked.
    #[must_use]
    pub fn any_unlocked(&self) -> bool {
        self.pool
            .all()
            .iter()
            .any(|(_, hsm)| matches!(hsm.state(), chancery_keys::State::Unlocked { .. }))
    }

    /// Things somebody should look at: rows of people that give no rights.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn warnings(&self) -> Result<Vec<String>, Failure> {
        let people = self.people().await?;
        Ok(people
            .refused()
            .iter()
            .map(|(name, why)| format!("person {name} gives no rights: {why}"))
            .collect())
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// A fresh random identifier (RFC 9562 version 4).
    pub(crate) fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.random()).into_uuid()
    }

    /// A person's key (SubjectPublicKeyInfo, DER) as something that verifies.
    pub(crate) fn act_key(&self, spki: &[u8]) -> Result<Arc<ParsedPublicKey>, ActError> {
        let hash = Hash32::of(spki);
        let known = self.lock(&self.act_keys).get(&hash);
        if let Some(key) = known {
            return Ok(key);
        }
        let key = Arc::new(acts::parse_key(spki)?);
        self.lock(&self.act_keys).put(hash, Arc::clone(&key));
        Ok(key)
    }

    /// An identifier that grows with time (version 7), for rows that many are added of: the database finds its place at the end of
    /// the index. It is neither secret nor a nonce.
    pub(crate) fn growing_uuid(&self) -> uuid::Uuid {
        let millis = u64::try_from(self.clock.now_ms()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.random()).into_uuid()
    }

    pub(crate) async fn commit(&self, change: Change) -> Result<(), Failure> {
        Ok(self.committer.commit(change).await?)
    }

    pub(crate) fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        // Nothing panics while holding these locks; were it otherwise, the values are still whole.
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn enrol_first_manager(&self) -> Result<(), Failure> {
        let first = crate::trust::first_manager(&self.installation)?;
        let known = self
            .store
            .person(first.id)
            .await
            .map_err(|error| store_failure(&error))?;
        if known.is_some() {
            return Ok(());
        }
        let act = self.installation.first_manager.clone();
        let payload: ActPayload = serde_json::from_slice(&act.payload.0).map_err(|error| {
            Failure::new(
                FailureKind::Refused,
                format!("installation.json is damaged: {error}"),
            )
        })?;
        let chancery_api::Decision::Init { person } = &payload.decision else {
            return Err(Failure::new(
                FailureKind::Refused,
                "installation.json is damaged: no `init` act",
            ));
        };
        let now = self.clock.now_ms();
        let Base64(chain) = self.installation.first_manager_chain.clone();
        let Base64(key_request) = self.installation.first_manager_request.clone();
        let row = chancery_store::PersonRecord {
            id: first.id,
            name: first.name.clone(),
            document: chancery_api::canonical_json(person)
                .map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?,
            public_key: first.public_key.clone(),
            chain,
            key_request,
            request: None,
            created_ms: now,
        };
        let record = acts::record(&payload, act, now);
        let proven = acts::ProvenAct {
            record: record.clone(),
            payload,
            person: first,
        };
        let event = crate::event::event(
            now,
            "installation-opened",
            &crate::event::Actor::Act(&proven),
            &serde_json::json!({ "installation": self.installation.id }),
        )?;
        self.commit(Change {
            writes: vec![
                chancery_store::Write::InsertPerson(row),
                chancery_store::Write::InsertAct(record),
            ],
            events: vec![event],
        })
        .await
    }
}
