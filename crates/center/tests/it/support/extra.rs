//! What tests of faults need besides a world: other keys, other tokens, edits, checks of the log.

use std::{path::Path, sync::atomic::Ordering};

use chancery_api::{
    Base64, CaCreate, CustodianRegister, Failure, Intent, PersonAdd, RequestNumber, Role, SignedAct,
};
use chancery_audit::{Checkpoint, Frontier, NoteSigner, leaf_hash, root};
use chancery_cvc::Curve;
use chancery_driver::{Card, KeyAlgorithm, KeySpec, Pin, SoPin};
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, fid};
use chancery_store::{CertificateRecord, Store as _};
use chancery_vtoken::{Factory, TokenName, VirtualToken};
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use time::{Date, Month};

use super::{PIN, SO_PIN, World};

impl World {
    /// A further token of a person, with the PIN of all.
    pub fn new_token(&self, name: &str) {
        let today = Date::from_calendar_date(2026, Month::November, 21).expect("a date");
        let factory = Factory::open_or_create(&self.dir.path().join("factory"), &self.at_rest(), today)
            .expect("a factory");
        let tokens = self.dir.path().join("tokens");
        factory
            .create(&tokens, &TokenName::new(name).expect("a name"), today)
            .expect("a token");
        let file = self.dir.path().join("rehearsal-pins.json");
        let mut pins = chancery_agent::RehearsalPins::load(&file).expect("the PIN file");
        let of_alice = pins.tokens["alice"].clone();
        pins.tokens.insert(name.to_owned(), of_alice);
        pins.save(&file).expect("the PIN file is written");
        let mut token = self.local.open(name).expect("the token opens");
        chancery_agent::initialise(
            &mut token,
            Pin::new(PIN).expect("a PIN"),
            SoPin::from_hex(SO_PIN).expect("an SO-PIN"),
        )
        .expect("the token is initialised");
    }

    /// A new key of a person's token with its token's statement about it.
    pub fn other_key(&self, token: &str, id: u8, curve: Curve) -> chancery_agent::Evidence {
        let token = VirtualToken::open(&self.token_dir(token), &self.at_rest()).expect("the token opens");
        let Ok(card) = Card::new(token).select() else {
            panic!("it cannot be selected")
        };
        let Ok(mut card) = card.verify_pin(&Pin::new(PIN).expect("a PIN")) else {
            panic!("the PIN is wrong")
        };
        let device = card
            .device_identity(self.local.anchors())
            .expect("a genuine token");
        let spec = KeySpec {
            id: KeyId(id),
            algorithm: KeyAlgorithm::Ec(curve),
            chr: device.name().with_sequence(id.into()).expect("a name"),
            algorithms: AlgorithmList::new(&[Algorithm::EcdsaSha256]).expect("a list"),
            key_domain: None,
            use_counter: None,
        };
        card.generate_attested(&spec, &device).expect("a key");
        let mut file = |id| card.read_file(id).expect("it can be read").expect("it is there");
        chancery_agent::Evidence {
            chain: file(fid::DEVICE_CERTIFICATES),
            key_request: file(fid::certificate(KeyId(id))),
        }
    }

    /// Opens a request for a person with this evidence.
    pub async fn open_person_with(
        &self,
        name: &str,
        evidence: &chancery_agent::Evidence,
        roles: &[Role],
    ) -> Result<RequestNumber, Failure> {
        let call = PersonAdd {
            name: name.to_owned(),
            roles: roles.to_vec(),
            chain: Base64(evidence.chain.clone()),
            key_request: Base64(evidence.key_request.clone()),
        };
        Ok(self.center.person_add(call, 0).await?.request)
    }

    /// Opens a request for a custodian with this evidence.
    pub async fn open_custodian_with(
        &self,
        person: &str,
        evidence: &chancery_agent::Evidence,
        hsms: &[&str],
    ) -> Result<RequestNumber, Failure> {
        let call = CustodianRegister {
            person: person.to_owned(),
            hsms: hsms.iter().map(|hsm| (*hsm).to_owned()).collect(),
            chain: Base64(evidence.chain.clone()),
            key_request: Base64(evidence.key_request.clone()),
        };
        Ok(self.center.custodian_register(call, 0).await?.request)
    }

    /// Opens a request for a CA in hsm-a.
    pub async fn ca_request(&self, name: &str) -> RequestNumber {
        let call = CaCreate {
            name: name.into(),
            subject: format!("CN={name}"),
            algorithm: "ec:P-256".into(),
            hsm: "hsm-a".into(),
            profile: "root".into(),
        };
        self.center.ca_create(call, 0).await.expect("a request").request
    }

    pub async fn approve(&self, person: &str, requests: &[RequestNumber]) -> Result<(), Failure> {
        let requests = requests.to_vec();
        self.act(person, Intent::RequestApprove { requests })
            .await
            .map(|_| ())
    }

    pub async fn sign_intent(&self, request: RequestNumber) -> SignedAct {
        let intent = Intent::RequestSign {
            requests: vec![request],
        };
        self.signed("carol", "carol", intent)
            .await
            .expect("nothing stands in the way")
    }

    pub async fn attach(&self, hsm: &str) -> Result<(), Failure> {
        let token = hsm.to_owned();
        self.act(
            "alice",
            Intent::HsmAttach {
                token,
                connector: None,
            },
        )
        .await
        .map(|_| ())
    }

    pub async fn state(&self, request: RequestNumber) -> String {
        self.center
            .request_show(request)
            .await
            .expect("the request")
            .request
            .state
    }

    /// The state of an HSM in words.
    pub async fn sentence(&self, hsm: &str) -> String {
        self.center
            .hsm_status(hsm)
            .await
            .expect("the HSM")
            .state
            .sentence()
    }

    /// Turns the clock.
    pub fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Changes the database as another program would.
    pub async fn edit(&self, sql: &str) {
        assert!(self.run(sql).await > 0, "the edit changed nothing: {sql}");
    }

    /// As [`Self::edit`]; gives the number of rows changed.
    pub async fn run(&self, sql: &str) -> u64 {
        let mut connection = self.database().await;
        let changed = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .expect("the edit is possible");
        connection.close().await.expect("closed");
        changed.rows_affected()
    }

    /// One value of the database, as bytes.
    pub async fn ask(&self, sql: &str) -> Vec<u8> {
        let mut connection = self.database().await;
        let row = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
            .fetch_one(&mut connection)
            .await
            .expect("a row");
        let value = row.get(0);
        connection.close().await.expect("closed");
        value
    }

    async fn database(&self) -> SqliteConnection {
        let url = format!("sqlite://{}", self.dir.path().join("center.db").display());
        SqliteConnection::connect(&url).await.expect("the database opens")
    }

    /// Names of all audit events, in order.
    pub async fn events(&self) -> Vec<String> {
        self.leaves()
            .await
            .iter()
            .map(|leaf| leaf["event"].as_str().expect("a name").to_owned())
            .collect()
    }

    /// All audit events, in order.
    pub async fn leaves(&self) -> Vec<serde_json::Value> {
        let mut leaves = Vec::new();
        loop {
            let from = i64::try_from(leaves.len()).expect("few");
            let page = self.store.audit_leaves(from, 1000).await.expect("leaves");
            if page.is_empty() {
                return leaves;
            }
            for leaf in page {
                leaves.push(serde_json::from_slice(&leaf.body).expect("canonical JSON"));
            }
        }
    }

    pub async fn certificates(&self) -> Vec<CertificateRecord> {
        self.store
            .certificates(None, None, 1000)
            .await
            .expect("certificates")
    }

    /// The log is whole: its head is that of its leaves, every signed head that of a part of them; and whatever an HSM signed is
    /// recorded as a certificate or a CRL, `others` signatures left out that are tests of a key.
    pub async fn holds(&self, others: usize) {
        let head = self.store.audit_head().await.expect("a head");
        let leaves = self.store.audit_leaves(0, 1000).await.expect("leaves");
        assert!(leaves.len() < 1000, "read pages");
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(&leaf.body)).collect();
        assert_eq!(usize::try_from(head.size).expect("a size"), leaves.len());
        for (place, leaf) in leaves.iter().enumerate() {
            assert_eq!(usize::try_from(leaf.index).expect("an index"), place);
        }
        let frontier = Frontier::from_bytes(&head.frontier).expect("a frontier");
        assert_eq!(frontier.root(), root(&hashes));
        let key = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&self.audit_pkcs8).expect("the audit key");
        let signer = NoteSigner::new("chancery/test", key).expect("a signer");
        for (size, note) in self.store.checkpoints(0, 1000).await.expect("checkpoints") {
            let signed = Checkpoint::open(note.as_bytes(), signer.verifier()).expect("it is signed");
            let size = usize::try_from(size).expect("a size");
            let mut part = Frontier::default();
            for hash in &hashes[..size] {
                part.push(*hash);
            }
            let again = Checkpoint::of("chancery/test", &part);
            assert_eq!(signed.body().expect("text"), again.body().expect("text"));
        }
        self.signed_is_recorded(others).await;
    }

    /// From here on signatures are held against what is recorded.
    pub fn watch_signatures(&self) {
        self.line.signed.lock().expect("not poisoned").clear();
    }

    async fn signed_is_recorded(&self, others: usize) {
        let mut recorded: Vec<Vec<u8>> = Vec::new();
        let mut connection = self.database().await;
        for sql in ["SELECT tbs FROM certificate", "SELECT tbs FROM crl"] {
            for row in sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
                .fetch_all(&mut connection)
                .await
                .expect("rows")
            {
                recorded.push(Sha256::digest(row.get::<Vec<u8>, _>(0)).to_vec());
            }
        }
        connection.close().await.expect("closed");
        let signed = self.line.signed.lock().expect("not poisoned").clone();
        let unknown: Vec<_> = signed
            .iter()
            .filter(|command| !recorded.iter().any(|digest| contains(command, digest)))
            .collect();
        assert_eq!(
            unknown.len(),
            others,
            "signatures over bytes that are recorded nowhere"
        );
    }
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// Copies a directory with its files.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}
