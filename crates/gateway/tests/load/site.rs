//! A node's endpoint, three tokens of one key domain with agents of their own, and their one custodian.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::{Hash32, HsmId, SecretText};
use chancery_connect::{Attachment, Policy, Server, TakeError, Taken, Trust};
use chancery_cvc::{Curve, PublicKey, Reference, TrustAnchors};
use chancery_driver::{
    Authenticated, Card, Initialize, KeyAlgorithm, KeySpec, Pin, PkaRegistration, Quorum, SoPin, custodian,
    replicate,
};
use chancery_gateway::ram::{ConnectorChange, Connectors, Options, Provisional, router};
use chancery_iso7816::TransportError;
use chancery_keys::{Hsm, Pool, PooledKey, Token, identify};
use chancery_schsm::{AlgorithmList, InitializeOptions, KekShare, KeyId};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use tempfile::TempDir;
use time::macros::date;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use crate::relay::Relay;

const KEY: KeyId = KeyId(1);
/// What a signature takes.
const SIGNATURE: Duration = Duration::from_millis(40);

pub(crate) struct Site {
    _dir: TempDir,
    at_rest: AtRest,
    directories: Vec<PathBuf>,
    connectors: Arc<Connectors>,
    changes: broadcast::Receiver<ConnectorChange>,
    pub(crate) relays: Vec<Relay>,
    agents: Vec<Option<JoinHandle<()>>>,
    pub(crate) hsms: Vec<Hsm>,
    custodian: Authenticated<VirtualToken>,
    registration: PkaRegistration,
    pool: Arc<Pool>,
    key: PublicKey,
}

impl Site {
    pub(crate) async fn new(tokens: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
        let factory =
            Factory::open_or_create(&dir.path().join("factory"), &at_rest, date!(2026 - 11 - 21)).unwrap();
        let mut anchors = TrustAnchors::none();
        anchors.add_bytes(factory.root_certificate()).unwrap();
        let anchors = Arc::new(anchors);
        let make = |name: &str| {
            let tokens = dir.path().join("tokens");
            factory
                .create(&tokens, &TokenName::new(name).unwrap(), date!(2026 - 11 - 21))
                .unwrap();
            tokens.join(name)
        };
        let mut custodian = person(VirtualToken::open(&make("ann"), &at_rest).unwrap());
        let registration = custodian::custodian_request(&mut custodian, KEY, &anchors).unwrap();
        let directories: Vec<_> = (0..tokens).map(|number| make(&name(number))).collect();
        let key = set_up(&directories, &at_rest, &mut custodian, &registration);

        let connectors = Connectors::new(Arc::new(|| 1_795_000_000_000), Options::default());
        connectors.set_prover(prover(&directories, &at_rest, &anchors));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router(Arc::clone(&connectors)).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        let mut site = Self {
            _dir: dir,
            at_rest,
            directories,
            changes: connectors.changes(),
            connectors,
            relays: Vec::new(),
            agents: Vec::new(),
            hsms: Vec::new(),
            custodian,
            registration,
            pool: Arc::default(),
            key,
        };
        for number in 0..tokens {
            let name = name(number);
            site.connectors
                .allow_connector(&name, Hash32::of(ticket(&name).as_bytes()), None);
            site.relays.push(Relay::before(address).await);
            site.agents.push(None);
            let index = site.agents.len() - 1;
            site.attach(index).await;
            let (way, anchors) = (Arc::new(site.connectors.way_to(&name)), Arc::clone(&anchors));
            let hsm = tokio::task::spawn_blocking(move || {
                Hsm::start(&name, way, anchors, Arc::new(|| 1_795_000_000_000)).unwrap()
            });
            let hsm = hsm.await.unwrap();
            site.pool.insert(id(index), hsm.clone());
            site.hsms.push(hsm);
            site.open(index).await;
        }
        site
    }

    pub(crate) fn signer(&self) -> PooledKey {
        let on = (0..self.hsms.len()).map(id).collect();
        self.pool.signer(self.key.to_spki_der().unwrap(), KEY.0, on)
    }

    /// Starts an agent, and waits until its token can be reached.
    pub(crate) async fn attach(&mut self, index: usize) {
        let name = name(u32::try_from(index).unwrap());
        let (directory, at_rest) = (self.directories[index].clone(), self.at_rest.clone());
        let called = name.clone();
        let source = move || -> Result<Taken, TakeError> {
            let mut token = VirtualToken::open(&directory, &at_rest)
                .map_err(|error| TransportError::lost(error.to_string()))?;
            token.set_delay(SIGNATURE);
            Ok(Taken {
                atr: token.atr().to_vec(),
                transport: Box::new(token),
                called: called.clone(),
                device: None,
            })
        };
        let attachment = Attachment::new(source)
            .with_ticket(SecretText::new(ticket(&name)))
            .with_policy(Policy::new().with_key(KEY.0))
            .permanent();
        let server = Server::new(&format!("http://{}", self.relays[index].address), &Trust::System).unwrap();
        let agent = tokio::spawn(async move {
            // It is killed; nobody asks it to stop.
            let (_stop, stopped) = watch::channel(false);
            drop(attachment.run(&server, stopped, &|_| {}).await);
        });
        self.agents[index] = Some(agent);
        loop {
            let change = tokio::time::timeout(Duration::from_secs(30), self.changes.recv());
            match change.await.unwrap().unwrap() {
                ConnectorChange::Came { name: came } if came == name => return,
                _ => {}
            }
        }
    }

    /// An agent is gone, without a word.
    pub(crate) fn kill(&mut self, index: usize) {
        self.agents[index].take().unwrap().abort();
    }

    /// The node takes up the token of an agent that came back.
    pub(crate) async fn comes_back(&mut self, index: usize) {
        let hsm = &self.hsms[index];
        // The first look may be what finds the old session gone.
        while hsm.reconnect().await.is_err() || hsm.status().last_loss.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The custodian answers.
    pub(crate) async fn open(&mut self, index: usize) {
        let hsm = &self.hsms[index];
        let chr = self.registration.custodian().to_string();
        let challenge = hsm.challenge(&chr).await.unwrap();
        let target = Reference::new(&hsm.identity().device).unwrap();
        let question = chancery_driver::Challenge(challenge.challenge);
        let plain = custodian::answer(&mut self.custodian, KEY, &target, question).unwrap();
        let state = hsm.answer(&challenge.session, &plain).await.unwrap();
        assert!(state.is_unlocked(), "{state}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for agent in self.agents.iter().flatten() {
            agent.abort();
        }
    }
}

fn name(number: u32) -> String {
    format!("hsm-{number}")
}

fn ticket(name: &str) -> String {
    format!("a ticket of {name} for tests alone")
}

fn id(index: usize) -> HsmId {
    HsmId::new(uuid::Uuid::from_u128(u128::try_from(index).unwrap() + 1))
}

/// Lets the same device alone take the place of one that is connected.
fn prover(
    directories: &[PathBuf],
    at_rest: &AtRest,
    anchors: &Arc<TrustAnchors>,
) -> Arc<chancery_gateway::ram::Prover> {
    let mut devices = BTreeMap::new();
    for (number, directory) in (0..).zip(directories) {
        let mut card = Card::new(VirtualToken::open(directory, at_rest).unwrap())
            .select()
            .unwrap();
        let device = card.device_identity(anchors).unwrap().name().to_string();
        devices.insert(name(number), device);
    }
    let anchors = Arc::clone(anchors);
    Arc::new(move |second: &Provisional, token: Box<dyn Token>| {
        let (identity, token) =
            identify(&second.connector, token, &anchors).map_err(|error| error.to_string())?;
        drop(token);
        if devices.get(&second.connector) == Some(&identity.device) {
            Ok(())
        } else {
            Err(format!("{} is another device", identity.device))
        }
    })
}

fn setup() -> Initialize {
    Initialize {
        options: InitializeOptions::NONE,
        user_pin: None,
        so_pin: SoPin::from_hex("3537363231383830").unwrap(),
        retry: 3,
        dkek_shares: None,
        quorum: None,
        domains: None,
    }
}

/// A token with a PIN, open.
fn person(token: VirtualToken) -> Authenticated<VirtualToken> {
    let pin = Pin::new("648219").unwrap();
    let mut card = Card::new(token).select().unwrap();
    card.initialize(&Initialize {
        user_pin: Some(pin.clone()),
        ..setup()
    })
    .unwrap();
    card.verify_pin(&pin).unwrap()
}

/// Tokens with the same custodian, key domain and key.
fn set_up(
    directories: &[PathBuf],
    at_rest: &AtRest,
    custodian: &mut Authenticated<VirtualToken>,
    registration: &PkaRegistration,
) -> PublicKey {
    let mut made = None;
    for directory in directories {
        let mut card = Card::new(VirtualToken::open(directory, at_rest).unwrap())
            .select()
            .unwrap();
        card.initialize(&Initialize {
            dkek_shares: Some(1),
            quorum: Some(Quorum {
                required: 1,
                total: 1,
            }),
            ..setup()
        })
        .unwrap();
        card.import_share(0, &KekShare::new([0x2E; 32])).unwrap();
        card.register_custodian(registration).unwrap();
        let target = card.device_chain().unwrap().device_name().unwrap().clone();
        let pending = card.challenge(registration.custodian()).unwrap();
        let plain = custodian::answer(custodian, KEY, &target, pending.challenge()).unwrap();
        pending.answer(&plain).unwrap();
        let mut card = card.into_authenticated_by_quorum().unwrap();
        match &made {
            Some((replica, key)) => {
                replicate::import(&mut card, KEY, replica, key).unwrap();
            }
            None => {
                let spec = KeySpec {
                    id: KEY,
                    algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
                    chr: Reference::new("UTCA00001").unwrap(),
                    algorithms: AlgorithmList::unrestricted(),
                    key_domain: None,
                    use_counter: None,
                };
                let key = card.generate(&spec).unwrap().public_key;
                made = Some((replicate::export(&mut card, KEY).unwrap(), key));
            }
        }
    }
    made.unwrap().1
}
