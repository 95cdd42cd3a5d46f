//! A trust center on one HSM, with a database on the disk that is measured.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use chancery_agent::{Asked, LeaseNode};
use chancery_api::{
    Base64, CaCreate, Claims, DigestValue, Draft, Failure, Installation, Intent, LeaseAnswer, LeaseChallenge,
    LeaseId, LeaseManifest, LeaseRequest, LeaseState, LeaseView, Mechanism, Perform, Performed,
    RequestImport, RequestNumber, Requester, Role, SecretText, SignedAct, SignerCreate, SigningSign,
    UnlockChallenge,
};
use chancery_audit::NoteSigner;
use chancery_center::{Center, Clock, Entropy, Marks, Setup, TokenSource};
use chancery_keys::Connect;
use chancery_store::Store;
use chancery_store_sqlite::SqliteStore;
use chancery_vtoken::AtRest;
use tokio::runtime::Handle;

use crate::{
    counting::{Counted, CountedStore},
    options::Options,
    people::{SO_PIN, Somebody},
    workshop::Workshop,
};

const HSM: &str = "hsm";
/// Who asks for leases and signs under them.
const REQUESTER: Requester = Requester::Local { uid: 1000 };
/// Subject key identifier of an Ed25519 SubjectPublicKeyInfo up to the key (RFC 8410 4).
const ED25519_INFO: [u8; 12] = [
    0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Marks as files beside the database, each synced: the flush a second that a node pays for them is paid here, too.
struct MarkFiles(PathBuf);

impl Marks for MarkFiles {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let path = self.0.join(name);
        path.exists()
            .then(|| std::fs::read(path).map_err(|error| error.to_string()))
            .transpose()
    }

    fn save(&self, name: &str, value: &[u8]) -> Result<(), String> {
        let write = || {
            let mut file = std::fs::File::create(self.0.join(name))?;
            std::io::Write::write_all(&mut file, value)?;
            file.sync_all()
        };
        write().map_err(|error| error.to_string())
    }
}

/// The trust center and its people: a manager, who is also the HSM's custodian, one who approves and one who has signed.
pub(crate) struct World {
    pub(crate) center: Arc<Center>,
    store: Arc<CountedStore<SqliteStore>>,
    apdus: Arc<AtomicU64>,
    installation: Installation,
    people: Mutex<BTreeMap<&'static str, Somebody>>,
    workshop: Workshop,
}

impl World {
    /// A CA of each key algorithm, its key in the unlocked HSM.
    pub(crate) async fn new(options: &Options, algorithms: &[&str]) -> anyhow::Result<Self> {
        let workshop = Workshop::new(options)?;
        workshop.make(HSM)?;
        let mut alice = Somebody::new(&workshop, "alice")?;
        let mut bob = Somebody::new(&workshop, "bob")?;
        let mut carol = Somebody::new(&workshop, "carol")?;
        let installation = alice.found()?;
        let store = SqliteStore::open(&workshop.path().join("center.db")).await?;
        let store = Arc::new(CountedStore::new(store));
        let apdus = Arc::new(AtomicU64::new(0));
        let tokens = Tokens {
            directory: workshop.tokens(),
            at_rest: workshop.at_rest.clone(),
            apdus: Arc::clone(&apdus),
        };
        let audit = Ed25519KeyPair::generate()?;
        let audit_key = [&ED25519_INFO[..], audit.public_key().as_ref()].concat();
        let center = Center::open(Setup {
            installation: installation.clone(),
            store: Arc::clone(&store) as Arc<dyn Store>,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            tokens: Arc::new(tokens),
            marks: Arc::new(MarkFiles(workshop.path().to_owned())),
            anchors: Arc::new(workshop.anchors()?),
            audit_signer: NoteSigner::new(&format!("chancery/{}", installation.id), audit)?,
            audit_key,
        })
        .await?;
        let applications = [
            bob.application(Role::RegistrationOfficer)?,
            carol.application(Role::CertificationOfficer)?,
        ];
        let custodian = alice.custodian(HSM)?;
        let world = Self {
            center: Arc::new(center),
            store,
            apdus,
            installation,
            people: Mutex::new([("alice", alice), ("bob", bob), ("carol", carol)].into()),
            workshop,
        };
        for application in applications {
            let request = world.center.person_add(application, 0).await?.request;
            world
                .decide(
                    "alice",
                    Intent::RequestApprove {
                        requests: vec![request],
                    },
                )
                .await?;
        }
        let tokens = vec![HSM.to_owned()];
        world
            .decide(
                "alice",
                Intent::HsmInit {
                    tokens,
                    required: 1,
                    total: 1,
                    shares: 1,
                },
            )
            .await?;
        let request = world.center.custodian_register(custodian, 0).await?.request;
        world
            .decide(
                "alice",
                Intent::RequestApprove {
                    requests: vec![request],
                },
            )
            .await?;
        world.unlock().await?;
        for algorithm in algorithms {
            world.create_ca(algorithm).await?;
        }
        Ok(world)
    }

    /// Requests for certificates of the CA with a key of this algorithm, each approved by an act of its own or all by one.
    pub(crate) async fn approved(
        self: &Arc<Self>,
        algorithm: &str,
        requests: &[Vec<u8>],
        together: bool,
    ) -> anyhow::Result<Vec<RequestNumber>> {
        let mut imports = Vec::new();
        for csr in requests {
            let (world, csr, ca) = (Arc::clone(self), csr.clone(), ca_name(algorithm));
            imports.push(tokio::spawn(async move {
                let call = RequestImport {
                    csr: Base64(csr),
                    ca: Some(ca),
                    profile: "server".into(),
                };
                let request = world.center.request_import(call, 0).await?.request;
                if !together {
                    world
                        .decide(
                            "bob",
                            Intent::RequestApprove {
                                requests: vec![request],
                            },
                        )
                        .await?;
                }
                anyhow::Ok(request)
            }));
        }
        let mut numbers = Vec::new();
        for import in imports {
            numbers.push(import.await??);
        }
        if together {
            self.decide(
                "bob",
                Intent::RequestApprove {
                    requests: numbers.clone(),
                },
            )
            .await?;
        }
        Ok(numbers)
    }

    /// The signed decision to have requests signed, not handed in yet.
    pub(crate) async fn decision_to_sign(&self, requests: Vec<RequestNumber>) -> anyhow::Result<SignedAct> {
        self.signed("carol", Intent::RequestSign { requests }).await
    }

    /// Hands in a decision and has it carried out.
    pub(crate) async fn perform(&self, act: SignedAct) -> Result<Performed, Failure> {
        let so_pins = [(HSM.to_owned(), SecretText::new(SO_PIN.to_owned()))].into();
        self.center.perform(Perform { act, so_pins }).await
    }

    /// A key for signing under leases, named like its algorithm.
    pub(crate) async fn create_signer(&self, algorithm: &str) -> anyhow::Result<()> {
        let call = SignerCreate {
            name: signer_name(algorithm),
            algorithm: algorithm.to_owned(),
            hsm: HSM.to_owned(),
        };
        let request = self.center.signer_create(call, 0).await?.request;
        let requests = vec![request];
        self.decide("alice", Intent::RequestApprove { requests })
            .await
            .map(drop)
    }

    /// A lease for more digests than are ever signed here, which the custodian has agreed to.
    pub(crate) fn lease(
        &self,
        runtime: &Handle,
        algorithm: &str,
        mechanism: Mechanism,
    ) -> anyhow::Result<LeaseId> {
        let call = LeaseRequest {
            signer: signer_name(algorithm),
            purpose: "measurement".into(),
            mechanism,
            digests: Vec::new(),
            further: u64::from(u32::MAX),
            seconds: 24 * 3600,
            strict: false,
            wait_seconds: None,
            reuse: false,
            attended_seconds: None,
            claimed: Claims::default(),
        };
        let view = runtime.block_on(self.center.lease_request(call, &REQUESTER))?;
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let alice = people.remove("alice").context("alice is not here")?;
        let mut desk = Desk(&self.center, runtime);
        let (alice, answered) = alice.agree(&self.workshop, &mut desk, self.installation.id, &view)?;
        people.insert("alice", alice);
        let live = answered
            .iter()
            .any(|one| matches!(&one.outcome, Ok(view) if view.state == LeaseState::Live));
        ensure!(live, "the lease is not live: {answered:?}");
        Ok(view.lease)
    }

    /// Has digests signed under a lease; how many signatures came.
    pub(crate) async fn sign(
        &self,
        algorithm: &str,
        mechanism: Mechanism,
        lease: LeaseId,
        digests: Vec<DigestValue>,
    ) -> anyhow::Result<usize> {
        let call = SigningSign {
            signer: signer_name(algorithm),
            mechanism,
            digests,
            lease: Some(lease),
            idempotency_key: None,
        };
        Ok(self.center.signing_sign(call, &REQUESTER).await?.len())
    }

    /// Commands to the HSM so far.
    pub(crate) fn apdus(&self) -> u64 {
        self.apdus.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Groups made durable so far.
    pub(crate) fn groups(&self) -> u64 {
        self.store.groups()
    }

    async fn decide(&self, person: &str, intent: Intent) -> anyhow::Result<Performed> {
        let act = self.signed(person, intent).await?;
        Ok(self.perform(act).await?)
    }

    async fn signed(&self, person: &str, intent: Intent) -> anyhow::Result<SignedAct> {
        let verb = match intent {
            Intent::HsmInit { .. } => "hsm-init",
            Intent::RequestApprove { .. } => "request-approve",
            Intent::RequestSign { .. } => "request-sign",
            other => bail!("nobody here decides on {other:?}"),
        };
        let draft = self
            .center
            .draft(Draft {
                person: person.to_owned(),
                intent,
            })
            .await?;
        self.with(person, |somebody| {
            somebody.sign(self.installation.id, &draft.payload.0, verb)
        })
    }

    async fn unlock(&self) -> anyhow::Result<()> {
        let call = UnlockChallenge {
            hsm: HSM.to_owned(),
            person: "alice".to_owned(),
        };
        let view = self.center.unlock_challenge(&call).await?;
        let answer = self.with("alice", |alice| alice.answer(HSM, view))?;
        self.center.unlock_answer(&answer).await?;
        Ok(())
    }

    async fn create_ca(&self, algorithm: &str) -> anyhow::Result<()> {
        let call = CaCreate {
            name: ca_name(algorithm),
            subject: format!("CN={},O=Chancery", ca_name(algorithm)),
            algorithm: algorithm.to_owned(),
            hsm: HSM.to_owned(),
            profile: "root".into(),
        };
        let request = self.center.ca_create(call, 0).await?.request;
        self.decide(
            "alice",
            Intent::RequestApprove {
                requests: vec![request],
            },
        )
        .await?;
        self.decide(
            "carol",
            Intent::RequestSign {
                requests: vec![request],
            },
        )
        .await?;
        Ok(())
    }

    fn with<T>(
        &self,
        person: &str,
        work: impl FnOnce(&mut Somebody) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        match people.get_mut(person) {
            Some(somebody) => work(somebody),
            None => bail!("{person} is not here"),
        }
    }
}

/// `ec:P-256` gives `ca-ec-p-256`.
fn ca_name(algorithm: &str) -> String {
    format!("ca-{}", algorithm.to_lowercase().replace(':', "-"))
}

/// `ec:P-256` gives `signer-ec-p-256`.
fn signer_name(algorithm: &str) -> String {
    format!("signer-{}", algorithm.to_lowercase().replace(':', "-"))
}

/// The center as a custodian's side has it.
struct Desk<'a>(&'a Center, &'a Handle);

impl LeaseNode for Desk<'_> {
    type Error = anyhow::Error;

    fn manifest(&mut self, call: &LeaseManifest) -> anyhow::Result<Vec<DigestValue>> {
        Ok(self.1.block_on(self.0.lease_manifest(call, None))?)
    }

    fn challenge(&mut self, call: &LeaseChallenge) -> anyhow::Result<Asked> {
        let view = self.1.block_on(self.0.lease_challenge(call))?;
        Ok(Asked::Challenge(Box::new(view)))
    }

    fn answer(&mut self, call: &LeaseAnswer) -> anyhow::Result<LeaseView> {
        Ok(self.1.block_on(self.0.lease_answer(call))?)
    }
}

struct Tokens {
    directory: PathBuf,
    at_rest: AtRest,
    apdus: Arc<AtomicU64>,
}

impl TokenSource for Tokens {
    fn at(&self, locator: &str) -> Option<Arc<dyn Connect>> {
        let name = locator.strip_prefix("virtual:")?;
        let token = Counted::token(&self.directory.join(name), &self.at_rest);
        Some(Arc::new(token.adding_to(&self.apdus)))
    }
}

struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this program is an edge")]
    fn now_ms(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .unwrap_or(0)
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        aws_lc_rs::rand::fill(out).expect("the system gives random bytes");
    }
}
