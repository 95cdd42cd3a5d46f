//! A trust center on virtual tokens, with people who really sign.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    reason = "shared by test binaries, each of which uses a part"
)]

pub mod custodians;
pub mod extra;
pub mod faults;
pub mod leases;
pub mod line;
mod setup;
mod template;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use aws_lc_rs::signature::Ed25519KeyPair;
use chancery_agent::{
    LocalTokens, PinSource, RehearsalPins, ShownAct, TokenPins, act_key, initialise, sign_act,
};
use chancery_api::{
    Base64, CaCreate, Draft, Failure, Installation, Intent, Perform, Performed, PersonAdd, RequestDetail,
    RequestImport, RequestNumber, Role, SecretText, SignedAct,
};
use chancery_center::Center;
use chancery_driver::{Pin, SoPin};
use chancery_store_sqlite::SqliteStore;
use chancery_vtoken::{AtRest, Factory, TokenName};
use faults::Faults;
use line::Line;
pub use setup::TestClock;
use setup::{first_manager, open};
use template::Template;
use time::{Date, Month};
use tokio::sync::OnceCell;

/// PIN of every person's token here.
pub const PIN: &str = "648219";
/// SO-PIN of every token here.
pub const SO_PIN: &str = "3537363231383830";

/// A trust center with its people.
pub struct World {
    pub dir: tempfile::TempDir,
    pub center: Center,
    pub store: Arc<SqliteStore>,
    pub clock: Arc<TestClock>,
    pub line: Arc<Line>,
    pub faults: Arc<Faults>,
    pub installation: Installation,
    pub local: LocalTokens,
    pub pins: PinSource,
    audit_pkcs8: Vec<u8>,
}

/// Tokens and the first manager alice.
static TOKENS: OnceCell<Template> = OnceCell::const_new();
/// Everything up to an active CA.
static READY: OnceCell<Template> = OnceCell::const_new();
/// Everything up to a signing key.
static SIGNING: OnceCell<Template> = OnceCell::const_new();

impl World {
    /// Tokens, the first manager alice, a center: nothing else yet.
    pub async fn new() -> Self {
        Self::copied(TOKENS.get_or_init(|| async { made() }).await).await
    }

    /// Everything up to an active CA `root`, HSMs `hsm-a` and `hsm-b` unlocked, the key on both.
    pub async fn ready() -> Self {
        let made = READY.get_or_init(|| async {
            let mut world = Self::new().await;
            world.make_ready().await;
            world.into_template().await
        });
        let world = Self::copied(made.await).await;
        world.unlock_all().await;
        world
    }

    /// People, HSMs, custodians, and the signing key `firmware` on both HSMs, which are locked.
    pub async fn signing() -> Self {
        let made = SIGNING.get_or_init(|| async {
            let mut world = Self::new().await;
            world.make_signing().await;
            world.into_template().await
        });
        Self::copied(made.await).await
    }

    /// As [`World::signing`], with both HSMs opened by `hsm unlock`.
    pub async fn open_signing() -> Self {
        let world = Self::signing().await;
        world.unlock_all().await;
        world
    }

    async fn into_template(self) -> Template {
        self.stop().await;
        self.store.close().await;
        Template::of(self.dir.path(), self.installation, self.audit_pkcs8)
    }

    async fn copied(template: &Template) -> Self {
        let dir = template.copy();
        let at_rest = AtRest::MachineSecret(dir.path().join(SECRET));
        let factory =
            Factory::open_or_create(&dir.path().join("factory"), &at_rest, today()).expect("a factory");
        let local = LocalTokens::new(&dir.path().join("tokens"), at_rest.clone(), Some(&factory));
        let clock = Arc::new(TestClock(AtomicI64::new(1_795_262_400_000), AtomicU64::new(0)));
        let line = Arc::new(Line::default());
        let faults = Arc::new(Faults::default());
        let (center, store) = open(
            dir.path(),
            &at_rest,
            &template.installation,
            &clock,
            &line,
            &faults,
            &template.audit_pkcs8,
        )
        .await;
        Self {
            center,
            store,
            clock,
            line,
            faults,
            installation: template.installation.clone(),
            local: local.expect("local tokens"),
            pins: PinSource::Rehearsal(dir.path().join(PINS)),
            audit_pkcs8: template.audit_pkcs8.clone(),
            dir,
        }
    }

    /// SIGN commands that reached an HSM so far.
    pub fn signs(&self) -> u64 {
        self.line.signs.load(Ordering::Relaxed)
    }

    async fn make_hsms(&mut self) {
        self.add_people().await;
        self.init_hsms().await;
        self.register_custodians().await;
        self.unlock_all().await;
    }

    async fn make_signing(&mut self) {
        self.make_hsms().await;
        self.create_signer("firmware", "ec:P-256").await.expect("a key");
        self.copy_signer("firmware").await.expect("a copy");
    }

    async fn make_ready(&mut self) {
        self.make_hsms().await;
        self.create_ca("ec:P-256").await;
        self.act(
            "alice",
            Intent::SignerReplicate {
                ca: "root".into(),
                hsm: "hsm-b".into(),
            },
        )
        .await
        .expect("a copy");
    }

    /// Ends the center and starts another on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Ends the center; it gives its HSMs back.
    pub async fn stop(&self) {
        self.center.close().await;
        self.line.mend();
        self.faults.heal();
    }

    /// Starts a center on the same data.
    pub async fn start(&mut self) {
        (self.center, self.store) = self.another(&self.line, &self.faults).await;
    }

    /// Another center on the same data.
    pub async fn another(&self, line: &Arc<Line>, faults: &Arc<Faults>) -> (Center, Arc<SqliteStore>) {
        open(
            self.dir.path(),
            &self.at_rest(),
            &self.installation,
            &self.clock,
            line,
            faults,
            &self.audit_pkcs8,
        )
        .await
    }

    pub fn at_rest(&self) -> AtRest {
        AtRest::MachineSecret(self.dir.path().join(SECRET))
    }

    /// Where a token's state is.
    pub fn token_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join("tokens").join(name)
    }

    pub async fn add_people(&mut self) {
        self.add_person("bob", &[Role::RegistrationOfficer])
            .await
            .expect("bob");
        self.add_person("carol", &[Role::CertificationOfficer])
            .await
            .expect("carol");
    }

    pub async fn open_person(
        &mut self,
        name: &str,
        token: &str,
        roles: &[Role],
    ) -> Result<RequestNumber, Failure> {
        let mut token = self
            .local
            .open(token)
            .expect("the token opens")
            .unlock(&self.pins)
            .expect("the PIN is right");
        let evidence = act_key(&mut token, self.local.anchors()).expect("an act key");
        drop(token);
        let call = PersonAdd {
            name: name.to_owned(),
            roles: roles.to_vec(),
            chain: Base64(evidence.chain),
            key_request: Base64(evidence.key_request),
        };
        Ok(self.center.person_add(call, 0).await?.request)
    }

    pub async fn add_person(&mut self, name: &str, roles: &[Role]) -> Result<(), Failure> {
        let request = self.open_person(name, name, roles).await?;
        self.act(
            "alice",
            Intent::RequestApprove {
                requests: vec![request],
            },
        )
        .await
        .map(|_| ())
    }

    pub async fn init_hsms(&mut self) {
        let tokens = vec!["hsm-a".to_owned(), "hsm-b".to_owned()];
        self.act(
            "alice",
            Intent::HsmInit {
                tokens,
                required: 2,
                total: 3,
                shares: 2,
            },
        )
        .await
        .expect("HSMs");
    }

    pub async fn create_ca(&mut self, algorithm: &str) {
        let call = CaCreate {
            name: "root".into(),
            subject: "CN=Test Root,O=Chancery".into(),
            algorithm: algorithm.into(),
            hsm: "hsm-a".into(),
            profile: "root".into(),
        };
        let request = self.center.ca_create(call, 0).await.expect("a request").request;
        self.act(
            "alice",
            Intent::RequestApprove {
                requests: vec![request],
            },
        )
        .await
        .expect("approved");
        self.act(
            "carol",
            Intent::RequestSign {
                requests: vec![request],
            },
        )
        .await
        .expect("signed");
    }

    /// Drafts, shows, signs on the person's token, hands in.
    pub async fn act(&self, person: &str, intent: Intent) -> Result<Performed, Failure> {
        let act = self.signed(person, person, intent).await?;
        self.perform(act).await
    }

    /// An act of `person`, signed with the token called `token`.
    pub async fn signed(&self, person: &str, token: &str, intent: Intent) -> Result<SignedAct, Failure> {
        let verb = verb(&intent);
        let draft = self
            .center
            .draft(Draft {
                person: person.to_owned(),
                intent,
            })
            .await?;
        let shown =
            ShownAct::read(&draft.payload.0, self.installation.id, person, verb).expect("what was asked for");
        let mut token = self
            .local
            .open(token)
            .expect("the token opens")
            .unlock(&self.pins)
            .expect("the PIN is right");
        Ok(sign_act(&mut token, &shown).expect("the token signs"))
    }

    pub async fn perform(&self, act: SignedAct) -> Result<Performed, Failure> {
        let so_pins: BTreeMap<_, _> = ["hsm-a", "hsm-b"]
            .map(|name| (name.to_owned(), SecretText::new(SO_PIN.to_owned())))
            .into();
        self.center.perform(Perform { act, so_pins }).await
    }

    pub async fn import(&self, csr: &[u8]) -> Result<RequestNumber, Failure> {
        let call = RequestImport {
            csr: Base64(csr.to_vec()),
            ca: None,
            profile: "server".into(),
        };
        Ok(self.center.request_import(call, 0).await?.request)
    }

    pub async fn approved(&self, name: &str) -> RequestNumber {
        let request = self.import(&csr(name)).await.expect("a request");
        self.act(
            "bob",
            Intent::RequestApprove {
                requests: vec![request],
            },
        )
        .await
        .expect("approved");
        request
    }

    pub async fn sign(&self, request: RequestNumber) -> Result<RequestDetail, Failure> {
        match self
            .act(
                "carol",
                Intent::RequestSign {
                    requests: vec![request],
                },
            )
            .await?
        {
            Performed::Requests { mut requests } => Ok(requests.remove(0)),
            other => panic!("another answer: {other:?}"),
        }
    }
}

/// Six tokens, four of them people's, on which no center works yet.
fn made() -> Template {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let at_rest = AtRest::MachineSecret(dir.path().join(SECRET));
    let factory = Factory::open_or_create(&dir.path().join("factory"), &at_rest, today()).expect("a factory");
    let tokens = dir.path().join("tokens");
    let mut pins = RehearsalPins::default();
    for name in ["hsm-a", "hsm-b", "alice", "bob", "carol", "dave"] {
        factory
            .create(&tokens, &TokenName::new(name).expect("a name"), today())
            .expect("a token");
        pins.tokens.insert(
            name.to_owned(),
            TokenPins {
                user_pin: Some(SecretText::new(PIN.to_owned())),
                so_pin: SecretText::new(SO_PIN.to_owned()),
            },
        );
    }
    let pin_file = dir.path().join(PINS);
    pins.save(&pin_file).expect("the PIN file is written");
    let local = LocalTokens::new(&tokens, at_rest, Some(&factory)).expect("local tokens");
    for name in ["alice", "bob", "carol", "dave"] {
        let mut token = local.open(name).expect("the token opens");
        initialise(
            &mut token,
            Pin::new(PIN).expect("a PIN"),
            SoPin::from_hex(SO_PIN).expect("an SO-PIN"),
        )
        .expect("the token is initialised");
    }
    let installation = first_manager(&local, &PinSource::Rehearsal(pin_file));
    let audit = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).expect("an audit key");
    Template::of(dir.path(), installation, audit.as_ref().to_vec())
}

fn today() -> Date {
    Date::from_calendar_date(2026, Month::November, 21).expect("a date")
}

const SECRET: &str = "machine.secret";
const PINS: &str = "rehearsal-pins.json";

/// The verb that an intent becomes.
pub fn verb(intent: &Intent) -> &'static str {
    match intent {
        Intent::HsmInit { .. } => "hsm-init",
        Intent::HsmAttach { .. } => "hsm-attach",
        Intent::HsmDetach { .. } => "hsm-detach",
        Intent::RequestApprove { .. } => "request-approve",
        Intent::RequestReject { .. } => "request-reject",
        Intent::RequestSign { .. } => "request-sign",
        Intent::SignerReplicate { .. } => "signer-replicate",
        Intent::CertificateRevoke { .. } => "certificate-revoke",
        Intent::CrlCreate { .. } => "crl-create",
    }
}

/// A P-256 request for one DNS name.
pub fn csr(name: &str) -> Vec<u8> {
    let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).expect("P-256");
    let key = openssl::ec::EcKey::generate(&group).expect("a key");
    let key = openssl::pkey::PKey::from_ec_key(key).expect("a key");
    let mut subject = openssl::x509::X509Name::builder().expect("a name");
    subject.append_entry_by_text("CN", name).expect("a common name");
    let mut builder = openssl::x509::X509Req::builder().expect("a builder");
    builder.set_subject_name(&subject.build()).expect("a subject");
    builder.set_pubkey(&key).expect("a key");
    let mut extensions = openssl::stack::Stack::new().expect("a stack");
    let names = openssl::x509::extension::SubjectAlternativeName::new()
        .dns(name)
        .build(&builder.x509v3_context(None))
        .expect("a name");
    extensions.push(names).expect("an extension");
    builder.add_extensions(&extensions).expect("extensions");
    builder
        .sign(&key, openssl::hash::MessageDigest::sha256())
        .expect("a signature");
    builder.build().to_der().expect("DER")
}
