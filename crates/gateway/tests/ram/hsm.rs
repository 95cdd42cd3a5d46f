//! A node's HSM thread on a virtual token at our agent: custodians, signatures, cut lines, other devices.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_api::Hash32;
use chancery_cvc::{Reference, TrustAnchors};
use chancery_driver::{Authenticated, Card, Initialize, Pin, SoPin, custodian};
use chancery_iso7816::Transport;
use chancery_keys::{
    GenerateSpec, Hsm, HsmError, Initialise, KeyAlgorithm, SignatureAlgorithm, State, VirtualConnect,
    identify,
};
use chancery_schsm::{InitializeOptions, KeyId, fid};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use openssl::ecdsa::EcdsaSig;
use openssl::pkey::PKey;
use time::macros::date;

use crate::agent::Agent;
use crate::relay::Relay;
use crate::server::{NAME, Server, TICKET, quick};

pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Every PIN of these tests.
pub(crate) const PIN: &str = "648219";
/// Every SO PIN, hexadecimal.
pub(crate) const SO_PIN: &str = "3537363231383830";

/// Tokens of one factory.
pub(crate) struct Installation {
    dir: tempfile::TempDir,
    factory: Factory,
    pub(crate) anchors: Arc<TrustAnchors>,
}

pub(crate) struct Custodian {
    token: Authenticated<VirtualToken>,
    chain: Vec<u8>,
    request: Vec<u8>,
    chr: String,
}

/// A virtual token as agents hold it, with every instruction it was given.
#[derive(Clone)]
struct Shared(Arc<Mutex<(VirtualToken, Vec<u8>)>>);

impl Installation {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
        let factory =
            Factory::open_or_create(&dir.path().join("factory"), &at_rest, date!(2026 - 11 - 21)).unwrap();
        let mut anchors = TrustAnchors::none();
        anchors.add_bytes(factory.root_certificate()).unwrap();
        Self {
            dir,
            factory,
            anchors: Arc::new(anchors),
        }
    }

    fn at_rest(&self) -> AtRest {
        AtRest::MachineSecret(self.dir.path().join("secret"))
    }

    pub(crate) fn make(&self, name: &str) -> PathBuf {
        let tokens = self.dir.path().join("tokens");
        let token = TokenName::new(name).unwrap();
        self.factory
            .create(&tokens, &token, date!(2026 - 11 - 21))
            .unwrap();
        tokens.join(name)
    }

    pub(crate) fn open(&self, path: &std::path::Path) -> VirtualToken {
        VirtualToken::open(path, &self.at_rest()).unwrap()
    }

    pub(crate) fn custodian(&self, name: &str) -> Custodian {
        let token = self.open(&self.make(name));
        let mut card = Card::new(token).select().map_err(|failed| failed.error).unwrap();
        let pin = Pin::new(PIN).unwrap();
        card.initialize(&Initialize {
            options: InitializeOptions::RESET_RETRY_COUNTER,
            user_pin: Some(pin.clone()),
            so_pin: so_pin(),
            retry: 3,
            dkek_shares: None,
            quorum: None,
            domains: None,
        })
        .unwrap();
        let mut card = card.verify_pin(&pin).map_err(|failed| failed.error).unwrap();
        let registration = custodian::custodian_request(&mut card, KeyId(1), &self.anchors).unwrap();
        Custodian {
            chain: card.read_file(fid::DEVICE_CERTIFICATES).unwrap().unwrap(),
            request: registration.request().to_bytes(),
            chr: registration.custodian().to_string(),
            token: card,
        }
    }

    /// An HSM that these custodians open, set up here and ready to be attached; its CHR.
    async fn hsm(&self, custodians: &[Custodian]) -> (VirtualToken, String) {
        let (hsm, path) = self.hsm_here(custodians).await;
        let device = hsm.identity().device.clone();
        hsm.closed("it is attached elsewhere").await;
        (self.open(&path), device)
    }

    /// The same with a key in it, whose SubjectPublicKeyInfo is given.
    pub(crate) async fn hsm_with_key(&self, custodians: &mut [Custodian]) -> (VirtualToken, Vec<u8>) {
        let (hsm, path) = self.hsm_here(custodians).await;
        open(&hsm, custodians).await;
        let key = hsm.generate(key()).await.unwrap();
        hsm.closed("it is attached elsewhere").await;
        (self.open(&path), key.public_key_spki)
    }

    async fn hsm_here(&self, custodians: &[Custodian]) -> (Hsm, PathBuf) {
        let path = self.make("hsm");
        let connect = Arc::new(VirtualConnect::new(&path, self.at_rest()));
        let anchors = Arc::clone(&self.anchors);
        let hsm = tokio::task::spawn_blocking(move || Hsm::start("hsm", connect, anchors, clock()).unwrap())
            .await
            .unwrap();
        hsm.initialise(Initialise {
            so_pin: so_pin(),
            required: 2,
            total: 2,
            shares: vec![chancery_schsm::KekShare::new([0x11; 32])],
        })
        .await
        .unwrap();
        for custodian in custodians {
            hsm.register(custodian.chain.clone(), custodian.request.clone())
                .await
                .unwrap();
        }
        (hsm, path)
    }
}

impl Shared {
    fn of(token: VirtualToken) -> Self {
        Self(Arc::new(Mutex::new((token, Vec::new()))))
    }

    /// What an agent runs.
    fn card(&self) -> impl FnMut(&[u8]) -> Vec<u8> + Send + 'static {
        let shared = self.clone();
        move |command| {
            let mut shared = shared.0.lock().unwrap();
            match command {
                [] => {
                    shared.0.power_cycle();
                    Vec::new()
                }
                [_, instruction, ..] => {
                    shared.1.push(*instruction);
                    shared.0.transmit(command).unwrap().to_vec()
                }
                [_] => panic!("a command of one byte"),
            }
        }
    }
}

pub(crate) fn so_pin() -> SoPin {
    SoPin::from_hex(SO_PIN).unwrap()
}

fn key() -> GenerateSpec {
    GenerateSpec {
        key_id: 1,
        algorithm: KeyAlgorithm::EcP256,
        chr: None,
        label: "firmware".to_owned(),
    }
}

pub(crate) fn clock() -> Clock {
    Arc::new(|| 1_795_000_000_000)
}

pub(crate) async fn open(hsm: &Hsm, custodians: &mut [Custodian]) {
    for custodian in custodians {
        let challenge = hsm.challenge(&custodian.chr).await.unwrap();
        let target = Reference::new(&hsm.identity().device).unwrap();
        let nonce = chancery_driver::Challenge(challenge.challenge);
        let answer = custodian::answer(&mut custodian.token, KeyId(1), &target, nonce).unwrap();
        hsm.answer(&challenge.session, &answer).await.unwrap();
    }
    assert!(matches!(hsm.state(), State::Unlocked { .. }), "{}", hsm.state());
}

/// Callers who sign at the same time; each signature is checked.
pub(crate) async fn sign(hsm: &Hsm, spki: &[u8], callers: u8, each: u8) {
    let key = PKey::public_key_from_der(spki).unwrap().ec_key().unwrap();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let hsm = hsm.clone();
            tokio::spawn(async move {
                let mut made = Vec::new();
                for n in 0..each {
                    let digest = Hash32::of(&[caller, n]).0.to_vec();
                    let signature = hsm
                        .sign(1, SignatureAlgorithm::EcdsaDigest, digest.clone())
                        .await
                        .unwrap();
                    made.push((digest, signature));
                }
                made
            })
        })
        .collect();
    for task in tasks {
        for (digest, signature) in task.await.unwrap() {
            let signature = EcdsaSig::from_der(&signature).unwrap();
            assert!(signature.verify(&digest, &key).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_at_our_agent_is_opened_signs_and_stays_open_over_a_cut() {
    let installation = Installation::new();
    let mut custodians = ["ann", "bob"].map(|name| installation.custodian(name));
    let (token, device) = installation.hsm(&custodians).await;
    let token = Shared::of(token);
    let mut server = Server::start_with(quick()).await;
    server
        .connectors
        .allow_connector(NAME, Hash32::of(TICKET.as_bytes()), Some(device.clone()));
    let anchors = Arc::clone(&installation.anchors);
    server.connectors.set_prover(Arc::new(move |provisional, token| {
        let (identity, _token) =
            identify(&provisional.connector, token, &anchors).map_err(|error| error.to_string())?;
        if Some(&identity.device) == provisional.device.as_ref() {
            Ok(())
        } else {
            Err("it is another device".to_owned())
        }
    }));
    let line = Relay::start(server.address, Duration::from_millis(2)).await;
    let agent = Agent::start(line.address, token.card());
    server.came().await;

    let way = Arc::new(server.connectors.way_to(NAME));
    let anchors = Arc::clone(&installation.anchors);
    let hsm = tokio::task::spawn_blocking(move || Hsm::start("hsm", way, anchors, clock()).unwrap())
        .await
        .unwrap();
    assert_eq!(hsm.identity().device, device);
    open(&hsm, &mut custodians).await;
    let key = hsm.generate(key()).await.unwrap();
    sign(&hsm, &key.public_key_spki, 8, 5).await;

    // Every connection is cut while callers wait: nobody has to approve again.
    let severing = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(120)).await;
            line.sever();
            tokio::time::sleep(Duration::from_millis(250)).await;
            line.mend();
        }
    };
    tokio::join!(sign(&hsm, &key.public_key_spki, 8, 20), severing);
    assert!(matches!(hsm.state(), State::Unlocked { .. }), "{}", hsm.state());

    // Another device on the same ticket is turned away.
    let other = Shared::of(installation.open(&installation.make("other")));
    let told = Agent::start(line.address, other.card()).ended().await;
    assert_eq!(told.notices, ["it is another device"]);
    sign(&hsm, &key.public_key_spki, 2, 2).await;

    // The same device in another session takes over, locked.
    let second = Agent::start(line.address, token.card());
    agent.ended().await;
    server.came().await;
    let failed = hsm
        .sign(1, SignatureAlgorithm::EcdsaDigest, vec![0; 32])
        .await
        .unwrap_err();
    assert!(
        matches!(failed, HsmError::Lost { .. } | HsmError::Locked { .. }),
        "{failed}"
    );
    hsm.reconnect().await.unwrap();
    assert_eq!(hsm.state(), State::Locked);
    open(&hsm, &mut custodians).await;
    sign(&hsm, &key.public_key_spki, 2, 2).await;

    // No PIN ever came to this token over the line.
    let given = token.0.lock().unwrap().1.clone();
    assert!(given.contains(&0x86) && given.contains(&0x68));
    assert!(
        !given
            .iter()
            .any(|instruction| [0x20, 0x24, 0x2C].contains(instruction))
    );
    hsm.closed("the test is over").await;
    second.stop().await;
}
