//! Signatures by one virtual token: through the driver on this thread, and through the token's own thread.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use chancery_cvc::{Curve, Reference, TrustAnchors};
use chancery_driver::{
    Authenticated, Card, Initialize, KeyAlgorithm, KeySpec, Pin, Quorum, SoPin,
    custodian::{answer, custodian_request},
};
use chancery_iso7816::recording::Recording;
use chancery_keys::{Connect, Hsm, SignatureAlgorithm, State};
use chancery_schsm::{Algorithm, AlgorithmList, InitializeOptions, KeyId};
use chancery_vtoken::{AtRest, VirtualToken};
use tokio::runtime::Handle;

use crate::{
    counting::Counted,
    line::{Counts, Goal, Line, Sample, Stopwatch, for_a_pass},
    options::Options,
    raw::{self, HASH, SHA256_INFO},
    workshop::Workshop,
};

const PIN: &str = "648219";
const SO_PIN: &str = "3537363231383830";

/// How long a line of the token's thread runs in a round.
const SLICE: Duration = Duration::from_millis(250);
/// Signatures counted.
const COUNTED: u32 = 64;

/// A key of the token, and what it is asked to do.
#[derive(Clone, Copy)]
struct Use {
    name: &'static str,
    id: KeyId,
    key: KeyAlgorithm,
    uses: Option<u32>,
    algorithm: SignatureAlgorithm,
    baseline: &'static str,
    /// Part of the baseline that driver and token should reach.
    goal: Option<f64>,
}

const USES: [Use; 3] = [
    Use {
        name: "P-256",
        id: KeyId(1),
        key: KeyAlgorithm::Ec(Curve::Secp256r1),
        uses: None,
        algorithm: SignatureAlgorithm::EcdsaDigest,
        baseline: raw::P256,
        goal: Some(0.8),
    },
    Use {
        name: "RSA-2048",
        id: KeyId(2),
        key: KeyAlgorithm::Rsa(2048),
        uses: None,
        algorithm: SignatureAlgorithm::RsaPkcs1,
        baseline: raw::RSA_2048,
        goal: Some(0.95),
    },
    Use {
        name: "P-256 with use counter",
        id: KeyId(3),
        key: KeyAlgorithm::Ec(Curve::Secp256r1),
        uses: Some(u32::MAX),
        algorithm: SignatureAlgorithm::EcdsaDigest,
        baseline: raw::P256,
        goal: None,
    },
];

impl Use {
    /// What the token gets: a hash, or the padded block that a CA's RSA key is given (RFC 8017 9.2).
    fn input(&self) -> Vec<u8> {
        match self.algorithm {
            SignatureAlgorithm::EcdsaDigest => HASH.to_vec(),
            SignatureAlgorithm::RsaPkcs1 => {
                let mut block = vec![0xFF; 256];
                let end = [&[0x00][..], &SHA256_INFO, &HASH].concat();
                let place = block.len() - end.len();
                block.splice(place.., end);
                block.splice(..2, [0x00, 0x01]);
                block
            }
        }
    }

    fn on_card(&self) -> Algorithm {
        match self.algorithm {
            SignatureAlgorithm::EcdsaDigest => Algorithm::Ecdsa,
            SignatureAlgorithm::RsaPkcs1 => Algorithm::RsaRaw,
        }
    }
}

pub(crate) fn lines(options: &Options, runtime: &Handle) -> anyhow::Result<Vec<Line>> {
    let workshop = Arc::new(Workshop::new(options)?);
    let mut lines = driver_lines(&workshop)?;
    lines.extend(thread_lines(&workshop, runtime)?);
    Ok(lines)
}

fn driver_lines(workshop: &Arc<Workshop>) -> anyhow::Result<Vec<Line>> {
    let directory = workshop.make("driver")?;
    let mut card = Card::new(VirtualToken::open(&directory, &workshop.at_rest)?)
        .select()
        .map_err(|e| e.error)?;
    card.initialize(&Initialize {
        user_pin: Some(Pin::new(PIN)?),
        ..setup()?
    })?;
    let mut card = card.verify_pin(&Pin::new(PIN)?).map_err(|failed| failed.error)?;
    generate(&mut card)?;
    drop(card);
    let token = Rc::new(RefCell::new(Driven {
        workshop: Arc::clone(workshop),
        directory,
        card: None,
    }));
    let lines = USES.into_iter().map(|of| {
        let (measured, counted) = (Rc::clone(&token), Rc::clone(&token));
        let input = of.input();
        let measure = move || {
            let mut driven = measured.borrow_mut();
            let card = driven.card()?;
            // The first use of a key parses it.
            card.sign(of.id, of.on_card(), &input)?;
            for_a_pass(|| {
                std::hint::black_box(card.sign(of.id, of.on_card(), &input)?);
                Ok(())
            })
        };
        let line = Line::new(format!("driver {}", of.name), measure)
            .beside(of.baseline)
            .goal(of.goal.map(Goal::Ratio))
            .counted(move || counted.borrow_mut().count(of));
        // Each pass of a counted key would be a few flushes only.
        if of.uses.is_some() { line } else { line.in_passes() }
    });
    Ok(lines.collect())
}

/// A token in the driver's hands, opened when it is first needed.
struct Driven {
    workshop: Arc<Workshop>,
    directory: PathBuf,
    card: Option<Authenticated<VirtualToken>>,
}

impl Driven {
    fn card(&mut self) -> anyhow::Result<&mut Authenticated<VirtualToken>> {
        let card = match self.card.take() {
            Some(card) => card,
            None => log_in(VirtualToken::open(&self.directory, &self.workshop.at_rest)?)?,
        };
        Ok(self.card.insert(card))
    }

    /// Commands a signature, seen by a recording between driver and token.
    fn count(&mut self, of: Use) -> anyhow::Result<Counts> {
        // One at a time holds a token.
        self.card = None;
        let token = Recording::new(VirtualToken::open(&self.directory, &self.workshop.at_rest)?);
        let log = token.log();
        let mut card = log_in(token)?;
        let before = log.count();
        for _ in 0..COUNTED {
            card.sign(of.id, of.on_card(), &of.input())?;
        }
        let apdus = u32::try_from(log.count() - before)?;
        Ok(Counts {
            apdus: Some(f64::from(apdus) / f64::from(COUNTED)),
            commits: None,
        })
    }
}

fn thread_lines(workshop: &Arc<Workshop>, runtime: &Handle) -> anyhow::Result<Vec<Line>> {
    let (hsm, counted) = open_thread(workshop, runtime)?;
    let mut lines = Vec::new();
    for of in USES {
        for outstanding in [1, 16] {
            let (at, handle) = (hsm.clone(), runtime.clone());
            let measure = move || handle.block_on(at_once(&at, of, outstanding));
            let (at, handle, counted) = (hsm.clone(), runtime.clone(), counted.clone());
            // The workshop's files go with the last line that needs them.
            let workshop = Arc::clone(workshop);
            let count = move || {
                let _files = &workshop;
                let before = counted.apdus();
                let sample = handle.block_on(at_once(&at, of, outstanding))?;
                let apdus = u32::try_from(counted.apdus() - before)?;
                Ok(Counts {
                    apdus: Some(f64::from(apdus) / f64::from(sample.pieces)),
                    commits: None,
                })
            };
            lines.push(
                Line::new(format!("thread {}, {outstanding} outstanding", of.name), measure)
                    .beside(of.baseline)
                    .counted(count),
            );
        }
    }
    Ok(lines)
}

/// Has so many signatures asked for at any time, for a slice.
async fn at_once(hsm: &Hsm, of: Use, outstanding: usize) -> anyhow::Result<Sample> {
    let input = of.input();
    hsm.sign(of.id.0, of.algorithm, input.clone()).await?;
    let pieces = Arc::new(AtomicU32::new(0));
    let watch = Arc::new(Stopwatch::start());
    let askers: Vec<_> = (0..outstanding)
        .map(|_| {
            let (hsm, input) = (hsm.clone(), input.clone());
            let (pieces, watch) = (Arc::clone(&pieces), Arc::clone(&watch));
            tokio::spawn(async move {
                while watch.elapsed() < SLICE {
                    std::hint::black_box(hsm.sign(of.id.0, of.algorithm, input.clone()).await?);
                    pieces.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for asker in askers {
        asker.await??;
    }
    Ok(watch.stop(pieces.load(Ordering::Relaxed)))
}

/// A token with keys, opened by its one custodian, on a thread of its own.
fn open_thread(workshop: &Workshop, runtime: &Handle) -> anyhow::Result<(Hsm, Counted)> {
    let anchors = Arc::new(workshop.anchors()?);
    let directory = workshop.make("custodian")?;
    let mut custodian = custodian(&directory, &workshop.at_rest)?;
    let registration = custodian_request(&mut custodian, KeyId(1), &anchors)?;

    let directory = workshop.make("thread")?;
    let mut card = Card::new(VirtualToken::open(&directory, &workshop.at_rest)?)
        .select()
        .map_err(|e| e.error)?;
    card.initialize(&Initialize {
        quorum: Some(Quorum {
            required: 1,
            total: 1,
        }),
        ..setup()?
    })?;
    card.register_custodian(&registration)?;
    let target = card
        .device_chain()?
        .device_name()
        .context("a token without a name")?
        .clone();
    let pending = card.challenge(registration.custodian())?;
    let plain = answer(&mut custodian, KeyId(1), &target, pending.challenge())?;
    pending.answer(&plain)?;
    let mut card = card
        .into_authenticated_by_quorum()
        .map_err(|failed| failed.error)?;
    generate(&mut card)?;
    drop(card);

    let counted = Counted::token(&directory, &workshop.at_rest);
    let hsm = start(&counted, anchors)?;
    runtime.block_on(async {
        let chr = registration.custodian().to_string();
        let challenge = hsm.challenge(&chr).await?;
        let question = chancery_driver::Challenge(challenge.challenge);
        let plain = answer(&mut custodian, KeyId(1), &target, question)?;
        let state = hsm.answer(&challenge.session, &plain).await?;
        anyhow::ensure!(matches!(state, State::Unlocked { .. }), "the HSM is {state}");
        Ok(())
    })?;
    Ok((hsm, counted))
}

fn start(connect: &Counted, anchors: Arc<TrustAnchors>) -> anyhow::Result<Hsm> {
    let connect: Arc<dyn Connect> = Arc::new(connect.clone());
    Ok(Hsm::start("thread", connect, anchors, Arc::new(|| 0))?)
}

pub(crate) fn custodian(directory: &Path, at_rest: &AtRest) -> anyhow::Result<Authenticated<VirtualToken>> {
    let mut card = Card::new(VirtualToken::open(directory, at_rest)?)
        .select()
        .map_err(|failed| failed.error)?;
    card.initialize(&Initialize {
        user_pin: Some(Pin::new(PIN)?),
        ..setup()?
    })?;
    Ok(card.verify_pin(&Pin::new(PIN)?).map_err(|failed| failed.error)?)
}

fn log_in<T: chancery_iso7816::Transport>(token: T) -> anyhow::Result<Authenticated<T>> {
    let card = Card::new(token).select().map_err(|failed| failed.into_error())?;
    card.verify_pin(&Pin::new(PIN)?)
        .map_err(|failed| failed.into_error().into())
}

pub(crate) fn setup() -> anyhow::Result<Initialize> {
    Ok(Initialize {
        options: InitializeOptions(0),
        user_pin: None,
        so_pin: SoPin::from_hex(SO_PIN)?,
        retry: 3,
        dkek_shares: None,
        quorum: None,
        domains: None,
    })
}

fn generate<T: chancery_iso7816::Transport>(card: &mut Authenticated<T>) -> anyhow::Result<()> {
    for of in USES {
        card.generate(&KeySpec {
            id: of.id,
            algorithm: of.key,
            chr: Reference::new("UTCA00001")?,
            algorithms: AlgorithmList::unrestricted(),
            key_domain: None,
            use_counter: of.uses,
        })?;
    }
    Ok(())
}
