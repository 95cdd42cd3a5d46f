//! A node's endpoint, and the tokens attached to it from afar.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use chancery_api::{Hash32, HsmId, SecretText};
use chancery_connect::{Attachment, Policy, Server, Taken, Trust};
use chancery_cvc::{Curve, PublicKey, Reference, TrustAnchors};
use chancery_driver::{
    Authenticated, Card, Initialize, KeyAlgorithm, KeySpec, PkaRegistration, Quorum, Replica,
    custodian::{answer, custodian_request},
    replicate,
};
use chancery_gateway::ram::{ConnectorChange, Connectors, Options as Endpoint, router};
use chancery_keys::{Hsm, Pool, PooledKey, SigningKey as _};
use chancery_schsm::{AlgorithmList, KekShare, KeyId};
use chancery_vtoken::VirtualToken;
use tokio::{net::TcpListener, runtime::Handle, sync::watch};

use super::{
    ONE_WAY, WARM_UP, WINDOW,
    busy::{self, Record, Slow},
    foreign, relay,
};
use crate::{line::Sample, options::Options, tokens, workshop::Workshop};

/// Whose program attaches the tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Agent {
    Ours,
    Foreign,
}

/// The key under which all tokens have the same.
const KEY: KeyId = KeyId(1);

/// Everything that is kept as long as it is measured.
pub(super) struct Site {
    signer: PooledKey,
    records: Vec<Record>,
    _workshop: Workshop,
    _stop: watch::Sender<bool>,
}

/// What all tokens have.
struct Common {
    anchors: Arc<TrustAnchors>,
    custodian: Authenticated<VirtualToken>,
    registration: PkaRegistration,
    replica: Option<(Replica, PublicKey)>,
}

impl Site {
    /// Tokens of one key domain, attached and open.
    pub(super) fn make(
        options: &Options,
        runtime: &Handle,
        agent: Agent,
        tokens: u16,
    ) -> anyhow::Result<Self> {
        let workshop = Workshop::new(options)?;
        let anchors = workshop.anchors()?;
        let mut custodian = tokens::custodian(&workshop.make("custodian")?, &workshop.at_rest)?;
        let registration = custodian_request(&mut custodian, KEY, &anchors)?;
        let mut common = Common {
            anchors: Arc::new(anchors),
            custodian,
            registration,
            replica: None,
        };
        let connectors = Connectors::new(Arc::new(|| 0), Endpoint::default());
        let far = runtime.block_on(listen(&connectors))?;
        let (stop, stopped) = watch::channel(false);
        let pool = Arc::new(Pool::new());
        let mut records = Vec::new();
        let mut ids = Vec::new();
        for number in 0..tokens {
            let name = format!("far-{number}");
            let directory = workshop.make(&name)?;
            common.set_up(&workshop, &directory)?;
            let record = Record::default();
            let slow = Slow::open(&directory, &workshop.at_rest, &record)?;
            let mut changes = connectors.changes();
            attach(&connectors, runtime, agent, far, &name, slow, stopped.clone())?;
            runtime.block_on(async {
                loop {
                    if let ConnectorChange::Came { .. } = changes.recv().await? {
                        return anyhow::Ok(());
                    }
                }
            })?;
            let way = Arc::new(connectors.way_to(&name));
            let hsm = Hsm::start(&name, way, Arc::clone(&common.anchors), Arc::new(|| 0))?;
            runtime.block_on(common.open(&hsm))?;
            let id = HsmId::new(uuid::Uuid::from_u128(u128::from(number) + 1));
            pool.insert(id, hsm);
            records.push(record);
            ids.push(id);
        }
        let (_, key) = common.replica.context("no token")?;
        Ok(Self {
            signer: pool.signer(key.to_spki_der()?, KEY.0, ids),
            records,
            _workshop: workshop,
            _stop: stop,
        })
    }

    /// Has so many signatures asked for at any time, and looks how long the tokens work.
    pub(super) fn sample(&self, runtime: &Handle, waiting: u16) -> anyhow::Result<Sample> {
        let over = Arc::new(AtomicBool::new(false));
        let askers: Vec<_> = (0..waiting)
            .map(|_| {
                let (signer, over) = (self.signer.clone(), Arc::clone(&over));
                runtime.spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        signer.sign(b"to be signed").await?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        let (from, to) = runtime.block_on(async {
            tokio::time::sleep(WARM_UP).await;
            let from = Instant::now();
            tokio::time::sleep(WINDOW).await;
            (from, Instant::now())
        });
        over.store(true, Ordering::Relaxed);
        for asker in askers {
            runtime.block_on(asker)??;
        }
        let busy = self.records.iter().map(|record| record.busy(from, to)).sum();
        busy::sample(busy, to.saturating_duration_since(from))
    }
}

/// The endpoint, and the relay in front of it.
async fn listen(connectors: &Arc<Connectors>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = router(Arc::clone(connectors)).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    relay::start(address, ONE_WAY).await
}

fn attach(
    connectors: &Connectors,
    runtime: &Handle,
    agent: Agent,
    far: SocketAddr,
    name: &str,
    token: Slow,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let ticket = format!("ticket-of-{name}-for-a-measurement");
    let hash = Hash32::of(ticket.as_bytes());
    if agent == Agent::Foreign {
        connectors.allow_connector(name, Hash32::of(b"another"), None);
        connectors.add_ticket(hash, name);
        std::thread::spawn(move || foreign::attach(far, &ticket, token));
        return Ok(());
    }
    connectors.allow_connector(name, hash, None);
    let server = Server::new(&format!("http://{far}"), &Trust::System)?;
    let called = name.to_owned();
    let token = std::sync::Mutex::new(Some(token));
    let source = move || {
        let token = token.lock().ok().and_then(|mut token| token.take());
        let token = token.ok_or_else(|| chancery_iso7816::TransportError::lost("it was taken"))?;
        Ok(Taken {
            atr: token.atr(),
            called: called.clone(),
            device: None,
            transport: Box::new(token),
        })
    };
    let attachment = Attachment::new(source)
        .with_ticket(SecretText::new(ticket))
        .with_policy(Policy::new().with_key(KEY.0));
    runtime.spawn(async move { attachment.run(&server, stopped, &|_| {}).await });
    Ok(())
}

impl Common {
    /// A quorum of one, a key domain, and the key of all.
    fn set_up(&mut self, workshop: &Workshop, directory: &Path) -> anyhow::Result<()> {
        let mut card = Card::new(VirtualToken::open(directory, &workshop.at_rest)?)
            .select()
            .map_err(|failed| failed.error)?;
        card.initialize(&Initialize {
            dkek_shares: Some(1),
            quorum: Some(Quorum {
                required: 1,
                total: 1,
            }),
            ..tokens::setup()?
        })?;
        card.import_share(0, &KekShare::new([0x2E; 32]))?;
        card.register_custodian(&self.registration)?;
        let target = card
            .device_chain()?
            .device_name()
            .context("a token without a name")?
            .clone();
        let pending = card.challenge(self.registration.custodian())?;
        let plain = answer(&mut self.custodian, KEY, &target, pending.challenge())?;
        pending.answer(&plain)?;
        let mut card = card
            .into_authenticated_by_quorum()
            .map_err(|failed| failed.error)?;
        if let Some((replica, key)) = &self.replica {
            replicate::import(&mut card, KEY, replica, key)?;
            return Ok(());
        }
        let generated = card.generate(&KeySpec {
            id: KEY,
            algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
            chr: Reference::new("UTCA00001")?,
            algorithms: AlgorithmList::unrestricted(),
            key_domain: None,
            use_counter: None,
        })?;
        self.replica = Some((replicate::export(&mut card, KEY)?, generated.public_key));
        Ok(())
    }

    /// The custodian answers.
    async fn open(&mut self, hsm: &Hsm) -> anyhow::Result<()> {
        let chr = self.registration.custodian().to_string();
        let challenge = hsm.challenge(&chr).await?;
        let question = chancery_driver::Challenge(challenge.challenge);
        let target = Reference::new(&hsm.identity().device)?;
        let plain = answer(&mut self.custodian, KEY, &target, question)?;
        let state = hsm.answer(&challenge.session, &plain).await?;
        anyhow::ensure!(state.is_unlocked(), "the HSM is {state}");
        Ok(())
    }
}
