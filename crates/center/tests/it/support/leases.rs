//! Signing keys, requesters, and custodians who answer for leases.

use chancery_agent::CUSTODIAN_KEY;
use chancery_api::{
    Base64, Claims, DigestValue, Failure, Hash32, HashName, HsmLock, HsmState, Intent, LeaseAnswer,
    LeaseChallenge, LeaseChallengeView, LeaseId, LeaseRequest, LeaseShow, LeaseText, LeaseView, LeaseWiden,
    Mechanism, RequestNumber, Requester, SignatureView, SignerCreate, SigningSign, StatementKind,
    lease_statement,
};
use chancery_cvc::der_to_plain;
use chancery_driver::{Card, Pin};
use chancery_schsm::Algorithm;
use chancery_store::Store as _;
use chancery_vtoken::VirtualToken;

use super::{PIN, World};

/// The build machine.
pub const BUILDER: Requester = Requester::Local { uid: 1000 };
/// Somebody else.
pub const OTHER: Requester = Requester::Local { uid: 1001 };

/// A digest.
pub fn digest(number: u32) -> DigestValue {
    let bytes = openssl::sha::sha256(&number.to_be_bytes());
    DigestValue::new(HashName::Sha256, bytes.to_vec()).expect("32 bytes")
}

/// Digests.
pub fn digests(numbers: std::ops::Range<u32>) -> Vec<DigestValue> {
    numbers.map(digest).collect()
}

/// A request for a lease of key `firmware`.
pub fn wanted(digests: Vec<DigestValue>, further: u64) -> LeaseRequest {
    LeaseRequest {
        signer: "firmware".into(),
        purpose: "firmware 4.2".into(),
        mechanism: Mechanism::Ecdsa,
        digests,
        further,
        seconds: 3600,
        strict: false,
        wait_seconds: None,
        reuse: false,
        attended_seconds: None,
        claimed: Claims {
            user: "ci".into(),
            host: "builder".into(),
            command: "make release".into(),
        },
    }
}

impl World {
    pub async fn lock_all(&self) {
        let call = HsmLock { hsms: Vec::new() };
        self.center.hsm_lock(&call, 0).await.expect("they are locked");
    }

    pub async fn create_signer(&self, name: &str, algorithm: &str) -> Result<(), Failure> {
        let call = SignerCreate {
            name: name.into(),
            algorithm: algorithm.into(),
            hsm: "hsm-a".into(),
        };
        let request = self.center.signer_create(call, 0).await?.request;
        let requests = vec![request];
        self.act("alice", Intent::RequestApprove { requests })
            .await
            .map(drop)
    }

    pub async fn copy_signer(&self, name: &str) -> Result<(), Failure> {
        let intent = Intent::SignerReplicate {
            ca: name.into(),
            hsm: "hsm-b".into(),
        };
        self.act("alice", intent).await.map(drop)
    }

    pub async fn request(&self, call: LeaseRequest) -> Result<LeaseId, Failure> {
        let view = self.center.lease_request(call, &BUILDER).await?;
        Ok(view.lease)
    }

    /// A lease that two custodians opened hsm-a for.
    pub async fn live(&self, call: LeaseRequest) -> LeaseId {
        let lease = self.request(call).await.expect("a lease");
        self.quorum(lease, "hsm-a").await;
        lease
    }

    /// Alice and bob agree for one HSM.
    pub async fn quorum(&self, lease: LeaseId, hsm: &str) {
        for person in ["alice", "bob"] {
            self.agree(lease, person, hsm).await.expect("the answer counts");
        }
    }

    pub async fn show(&self, lease: LeaseId) -> LeaseView {
        let call = LeaseShow {
            lease,
            known: None,
            wait_seconds: 0,
        };
        self.center
            .lease_show(&call, None, &OTHER)
            .await
            .expect("the lease")
    }

    pub async fn question(
        &self,
        lease: LeaseId,
        person: &str,
        hsm: &str,
        refuse: bool,
    ) -> Result<LeaseChallengeView, Failure> {
        let call = LeaseChallenge {
            lease,
            person: person.into(),
            hsm: hsm.into(),
            seen: None,
            refuse,
        };
        self.center.lease_challenge(&call).await
    }

    /// What a custodian's token makes of a question about a lease whose text is `text`.
    pub fn reply(
        &self,
        lease: LeaseId,
        person: &str,
        text: &[u8],
        view: &LeaseChallengeView,
        reason: Option<&str>,
    ) -> LeaseAnswer {
        let challenge: [u8; 8] = view.challenge.0.as_slice().try_into().expect("8 bytes");
        let mut unlock = view.hsm.device.as_bytes().to_vec();
        unlock.extend_from_slice(&challenge);
        let statement = lease_statement(view.kind, text, view.log, reason, &view.hsm.device, challenge);
        let unlock =
            (view.kind == StatementKind::Unlock).then(|| Base64(self.custodian_signs(person, &unlock)));
        LeaseAnswer {
            lease,
            session: view.session.clone(),
            unlock,
            statement: Base64(self.custodian_signs(person, &statement)),
            reason: reason.map(str::to_owned),
        }
    }

    /// A custodian agrees for one HSM, and has it locked first where it is asked for that. No agent answers the node in place of an HSM
    /// unless that was shown before.
    pub async fn agree(&self, lease: LeaseId, person: &str, hsm: &str) -> Result<LeaseView, Failure> {
        let shown = self.show(lease).await;
        let text = shown.text.0;
        loop {
            let view = self.question(lease, person, hsm, false).await?;
            assert!(
                view.kind != StatementKind::Open || shown.node_enforced,
                "{person} was not told that the node counts for {hsm}"
            );
            let answer = self.reply(lease, person, &text, &view, None);
            let after = self.center.lease_answer(&answer).await?;
            if view.kind != StatementKind::Lock {
                return Ok(after);
            }
        }
    }

    /// A custodian adds the next ones to the lease as it stands.
    pub async fn widen(&self, lease: LeaseId, person: &str, next: u64) -> Result<LeaseView, Failure> {
        let call = self.widening(lease, person, next).await;
        self.center.lease_widen(&call, &OTHER).await
    }

    pub async fn widening(&self, lease: LeaseId, person: &str, next: u64) -> LeaseWiden {
        LeaseWiden {
            lease,
            person: person.into(),
            read: Hash32::of(&self.show(lease).await.text.0),
            next,
            seconds: None,
        }
    }

    pub async fn refuse(&self, lease: LeaseId, person: &str, reason: &str) -> Result<LeaseView, Failure> {
        let text = self.show(lease).await.text.0;
        let view = self.question(lease, person, "hsm-a", true).await?;
        let answer = self.reply(lease, person, &text, &view, Some(reason));
        self.center.lease_answer(&answer).await
    }

    /// Signature (r | s) of a person's custodian key.
    pub fn custodian_signs(&self, person: &str, message: &[u8]) -> Vec<u8> {
        let token = VirtualToken::open(&self.token_dir(person), &self.at_rest()).expect("the token opens");
        let Ok(card) = Card::new(token).select() else {
            panic!("it cannot be selected")
        };
        let Ok(mut card) = card.verify_pin(&Pin::new(PIN).expect("a PIN")) else {
            panic!("the PIN is wrong")
        };
        let der = card
            .sign(CUSTODIAN_KEY, Algorithm::EcdsaSha256, message)
            .expect("a signature");
        der_to_plain(&der, 32).expect("r and s")
    }

    /// Signs digests as the build machine.
    pub async fn sign_digests(&self, digests: &[DigestValue]) -> Result<Vec<SignatureView>, Failure> {
        self.center.signing_sign(signing(digests), &BUILDER).await
    }

    /// Whether a signature of key `firmware` holds.
    pub async fn is_right(&self, signature: &SignatureView) -> bool {
        let keys = self.center.signing_keys().await.expect("keys");
        let spki = &keys
            .iter()
            .find(|key| key.name == "firmware")
            .expect("the key")
            .public_key
            .0;
        let key = openssl::ec::EcKey::public_key_from_der(spki).expect("an EC key");
        let der = chancery_cvc::plain_to_der(&signature.signature.0).expect("r and s");
        openssl::ecdsa::EcdsaSig::from_der(&der)
            .and_then(|der| der.verify(signature.digest.bytes(), &key))
            .unwrap_or(false)
    }

    /// Waits until an HSM is locked.
    pub async fn until_locked(&self, hsm: &str) {
        for _ in 0..500 {
            let state = self.center.hsm_status(hsm).await.expect("the HSM").state;
            if matches!(state, HsmState::Locked { .. }) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{hsm} stays open");
    }

    /// Number of the request that was opened last.
    pub async fn last_request(&self) -> RequestNumber {
        self.store.last_request().await.expect("the database answers")
    }

    /// State of a lease in its row.
    pub async fn lease_state(&self, lease: LeaseId) -> &'static str {
        let record = self.store.lease(lease).await.expect("the database answers");
        record.expect("the lease").state.name()
    }

    pub async fn text(&self, lease: LeaseId) -> LeaseText {
        serde_json::from_slice(&self.show(lease).await.text.0).expect("a text")
    }
}

/// A call that signs with key `firmware`.
pub fn signing(digests: &[DigestValue]) -> SigningSign {
    SigningSign {
        signer: "firmware".into(),
        mechanism: Mechanism::Ecdsa,
        digests: digests.to_vec(),
        lease: None,
        idempotency_key: None,
    }
}
