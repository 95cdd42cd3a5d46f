//! What a center is started with: clock, marks, entropy, the first manager.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use chancery_agent::{LocalTokens, PinSource, act_key};
use chancery_api::{
    ActId, ActPayload, Base64, Decision, Hash32, Installation, InstallationId, PersonDocument, PersonId, Role,
};
use chancery_audit::NoteSigner;
use chancery_center::{Center, Clock, Entropy, Marks, Setup};
use chancery_cvc::TrustAnchors;
use chancery_store::Store;
use chancery_store_sqlite::SqliteStore;
use chancery_vtoken::{AtRest, Factory};
use time::{Date, Month};

use super::{
    faults::{Faults, FaultyStore},
    line::{Line, Tokens},
};

/// A clock that tests turn: the time, and milliseconds that its monotonic reading is ahead.
pub struct TestClock(pub AtomicI64, pub AtomicU64);

impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic_ms(&self) -> u64 {
        static BEGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let passed = BEGIN.get_or_init(std::time::Instant::now).elapsed();
        u64::try_from(passed.as_millis()).expect("not that long") + self.1.load(Ordering::Relaxed)
    }
}

/// Marks as files.
pub struct FileMarks(pub PathBuf);

impl Marks for FileMarks {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        match std::fs::read(self.0.join(name)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn save(&self, name: &str, value: &[u8]) -> Result<(), String> {
        // In one step: a center that is going reads and writes them while the next one starts.
        let new = self.0.join(format!("{name}.new"));
        std::fs::create_dir_all(&self.0)
            .and_then(|()| std::fs::write(&new, value))
            .and_then(|()| std::fs::rename(&new, self.0.join(name)))
            .map_err(|error| error.to_string())
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        openssl::rand::rand_bytes(out).expect("the system gives random bytes");
    }
}

/// The installation whose first manager is alice.
pub fn first_manager(local: &LocalTokens, pins: &PinSource) -> Installation {
    let mut token = local
        .open("alice")
        .expect("the token opens")
        .unlock(pins)
        .expect("the PIN is right");
    let evidence = act_key(&mut token, local.anchors()).expect("an act key");
    let request = chancery_cvc::AuthenticatedRequest::parse(&evidence.key_request).expect("a request");
    let key = request.request().public_key().to_spki_der().expect("a key");
    let id = InstallationId::new(uuid::Uuid::from_bytes([0x11; 16]));
    let person = PersonDocument {
        id: PersonId::new(uuid::Uuid::from_bytes([0x22; 16])),
        name: "alice".into(),
        roles: vec![Role::TrustcenterManager],
        key: Hash32::of(&key),
        device: request.outer_car().to_string(),
    };
    let payload = ActPayload {
        v: 1,
        installation: id,
        act: ActId::new(uuid::Uuid::from_bytes([0x33; 16])),
        nonce: Hash32([0x44; 32]),
        time: "2026-11-21T00:00:00Z".into(),
        person: person.id,
        name: person.name.clone(),
        decision: Decision::Init { person },
    };
    Installation {
        v: 1,
        id,
        rehearsal: true,
        first_manager: token.sign_first_act(&payload).expect("a signed act"),
        first_manager_key: Base64(key),
        first_manager_chain: Base64(evidence.chain),
        first_manager_request: Base64(evidence.key_request),
    }
}

/// A center on the data in a directory.
pub async fn open(
    dir: &std::path::Path,
    at_rest: &AtRest,
    installation: &Installation,
    clock: &Arc<TestClock>,
    line: &Arc<Line>,
    faults: &Arc<Faults>,
    audit_pkcs8: &[u8],
) -> (Center, Arc<SqliteStore>) {
    let today = Date::from_calendar_date(2026, Month::November, 21).expect("a date");
    let factory = Factory::open_or_create(&dir.join("factory"), at_rest, today).expect("a factory");
    let mut anchors = TrustAnchors::production().expect("the production root");
    anchors.add_bytes(factory.root_certificate()).expect("our root");
    let store = Arc::new(
        SqliteStore::open(&dir.join("center.db"))
            .await
            .expect("a database"),
    );
    let audit = Ed25519KeyPair::from_pkcs8(audit_pkcs8).expect("the audit key");
    let mut audit_key = hex::decode("302a300506032b6570032100").expect("a prefix");
    audit_key.extend_from_slice(audit.public_key().as_ref());
    let center = Center::open(Setup {
        installation: installation.clone(),
        store: Arc::new(FaultyStore {
            inner: Arc::clone(&store),
            faults: Arc::clone(faults),
        }) as Arc<dyn Store>,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        entropy: Arc::new(SystemEntropy),
        tokens: Arc::new(Tokens {
            directory: dir.join("tokens"),
            at_rest: at_rest.clone(),
            line: Arc::clone(line),
        }),
        marks: Arc::new(FileMarks(dir.join("marks"))),
        anchors: Arc::new(anchors),
        audit_signer: NoteSigner::new("chancery/test", audit).expect("a signer"),
        audit_key,
    })
    .await
    .expect("the center opens");
    (center, store)
}
