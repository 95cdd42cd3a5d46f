//! The test itself.

use std::collections::{BTreeMap, HashSet};

use chancery_cvc::{AuthenticatedRequest, Reference, TrustAnchors};
use chancery_driver::{Authenticated, Error, KeySpec, attest, device_state};
use chancery_schsm::{Algorithm, AlgorithmList, KeyId, fid};
use openssl::ecdsa::EcdsaSig;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::outcome::{AcceptanceError, Finding, Outcome};
use super::random::RandomCheck;
use super::verify::{input, is_valid};
use super::{Kind, TestKey};
use crate::info::Verdict;
use crate::journal::Work;
use crate::reach::{Session, SessionError, TokenTransport};

/// What is tested. Stored in journals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Signatures to make, all in all.
    pub operations: u32,
    /// Keys to make, each under an id that was free.
    pub keys: Vec<(u8, Kind)>,
}

/// Notes are made after so many operations.
const NOTE_EVERY: u32 = 50;

/// Device certificates and version are read again after so many operations.
const LOOK_EVERY: u32 = 100;

/// Random bytes are drawn with every so many operations, 1024 at a time.
const DRAW_EVERY: u32 = 8;

/// Random bytes drawn whatever the number of operations, in portions of 1024.
const LEAST_DRAWS: u32 = 32;

/// ECDSA signatures compared with each other.
const MOST_NONCES: usize = 500_000;

/// Name of the step that counts operations.
const OPERATIONS: &str = "operations";

/// Finds free key ids, from the highest down: other software takes the low ones.
///
/// # Errors
/// [`AcceptanceError::HasKeys`] unless `beside_keys`, [`AcceptanceError::SharesMissing`], [`AcceptanceError::NoFreeIds`].
pub fn plan(
    session: &mut Session,
    kinds: &[Kind],
    operations: u32,
    beside_keys: bool,
) -> Result<Plan, AcceptanceError> {
    let objects = session.repeatable(Authenticated::enumerate)?;
    let keys = objects.keys().len();
    if keys > 0 && !beside_keys {
        return Err(AcceptanceError::HasKeys { keys });
    }
    let domains = session.repeatable(Authenticated::key_domains)?;
    if let Some((domain, status)) = domains.first()
        && domains.iter().all(|(_, status)| !status.is_complete())
    {
        return Err(AcceptanceError::SharesMissing {
            domain: *domain,
            outstanding: status.outstanding,
        });
    }
    let mut free = (1..=u8::MAX).rev().filter(|id| {
        let id = KeyId(*id);
        [fid::key(id), fid::prkd(id), fid::certificate(id)]
            .iter()
            .all(|file| !objects.contains(*file))
    });
    let keys = kinds
        .iter()
        .map(|kind| Some((free.next()?, *kind)))
        .collect::<Option<Vec<_>>>()
        .ok_or(AcceptanceError::NoFreeIds { wanted: kinds.len() })?;
    Ok(Plan { operations, keys })
}

/// Tests an open token, from the beginning or from where the notes of `work` end, and deletes the keys it made.
///
/// `progress` is called with the operations done and to be done.
///
/// # Errors
/// [`AcceptanceError`]: the test did not come to its end; `work` knows how far it came. What the token does wrong is no error
/// but in the outcome.
pub fn run(
    session: &mut Session,
    plan: &Plan,
    anchors: &TrustAnchors,
    work: &mut Work,
    mut progress: impl FnMut(u32, u32),
) -> Result<Outcome, AcceptanceError> {
    let mut test = Test::begin(session, anchors)?;
    let keys = test.make_keys(session, plan, work)?;
    let mut done = operations_done(work);
    test.draw(session, LEAST_DRAWS)?;
    let ways: Vec<(&TestKey, Algorithm)> = keys
        .iter()
        .flat_map(|key| key.kind.signatures().iter().map(move |way| (key, *way)))
        .collect();
    while done < plan.operations {
        let turn = usize::try_from(done).unwrap_or_default();
        let Some((key, way)) = turn.checked_rem(ways.len()).and_then(|turn| ways.get(turn)) else {
            break;
        };
        test.sign(session, key, *way)?;
        done += 1;
        if done.is_multiple_of(DRAW_EVERY) {
            test.draw(session, 1)?;
        }
        if done.is_multiple_of(LOOK_EVERY) {
            test.look(session)?;
        }
        if done.is_multiple_of(NOTE_EVERY) {
            work.begin_step(OPERATIONS, &done)?;
        }
        progress(done, plan.operations);
    }
    test.look(session)?;
    work.end_step(OPERATIONS, &done)?;
    clean_up(session, plan, work)?;
    Ok(test.outcome(done, session))
}

/// Deletes the keys that a test made, and no others.
///
/// # Errors
/// [`AcceptanceError::OtherKey`] when another key stands where one was made; a command failed.
pub fn clean_up(session: &mut Session, plan: &Plan, work: &mut Work) -> Result<(), AcceptanceError> {
    for (id, kind) in &plan.keys {
        let id = KeyId(*id);
        let step = key_step(id, *kind);
        let Some(noted) = work.record().step(&step).cloned() else {
            continue;
        };
        let present = session.repeatable(|card| Ok(card.key_attributes(id)?.is_some()))?;
        let ours = if noted.done {
            let there = session.repeatable(|card| card.read_file(fid::certificate(id)))?;
            // A key whose request is gone was meddled with.
            there.as_deref().map(fingerprint).as_deref() == noted.detail.as_str()
        } else {
            is_fresh_test_key(session, id)?
        };
        if ours {
            session.repeatable(|card| card.delete_key(id))?;
        } else if present {
            return Err(AcceptanceError::OtherKey { id });
        }
        work.forget_step(&step)?;
    }
    Ok(())
}

/// Whether what stands under an id is what the token leaves there that was told to make a test key and whose answer is missing:
/// a request of this device with the name that the test gives, and no description, which other software writes next.
fn is_fresh_test_key(session: &mut Session, id: KeyId) -> Result<bool, AcceptanceError> {
    let description = session.repeatable(|card| card.read_file(fid::prkd(id)))?;
    if description.is_some_and(|description| !description.is_empty()) {
        return Ok(false);
    }
    let request = session.repeatable(|card| card.read_file(fid::certificate(id)))?;
    let Some(Ok(request)) = request.as_deref().map(AuthenticatedRequest::parse) else {
        return Ok(false);
    };
    let chain = session
        .repeatable(|card| card.read_file(fid::DEVICE_CERTIFICATES))?
        .unwrap_or_default();
    let device = chancery_cvc::DeviceChain::parse(&chain)
        .ok()
        .and_then(|chain| chain.device_name().cloned());
    let by_this_device = device.is_none_or(|device| *request.outer_car() == device);
    Ok(by_this_device && *request.request().chr() == key_name(&chain, id))
}

/// Name of a test key in its request.
fn key_name(chain: &[u8], id: KeyId) -> Reference {
    let device = chancery_cvc::DeviceChain::parse(chain)
        .ok()
        .and_then(|chain| chain.device_name()?.with_sequence(u32::from(id.0)).ok());
    // A token without a readable chain is tested all the same.
    device.unwrap_or_else(|| {
        Reference::new(&format!("UTTEST{:05}", id.0)).expect("letters and five digits are a reference")
    })
}

fn key_step(id: KeyId, kind: Kind) -> String {
    format!("key {id}, {kind}")
}

fn operations_done(work: &Work) -> u32 {
    work.record()
        .step(OPERATIONS)
        .and_then(|step| step.detail.as_u64())
        .and_then(|done| u32::try_from(done).ok())
        .unwrap_or(0)
}

fn fingerprint(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What a test has seen so far.
struct Test {
    anchors: TrustAnchors,
    /// EF 2F02 at the beginning.
    chain: Vec<u8>,
    looks: u32,
    changed: u32,
    version: Option<(u8, u8)>,
    genuine: Verdict,
    random: RandomCheck,
    /// Good and bad signatures and refusals, by key and algorithm.
    signatures: BTreeMap<String, [u32; 3]>,
    /// First halves of ECDSA signatures: one that comes twice gives the key away.
    nonces: HashSet<Vec<u8>>,
    repeated_nonces: u32,
    findings: Vec<Finding>,
}

impl Test {
    fn begin(session: &mut Session, anchors: &TrustAnchors) -> Result<Self, AcceptanceError> {
        let chain = session
            .repeatable(|card| card.read_file(fid::DEVICE_CERTIFICATES))?
            .unwrap_or_default();
        let genuine = match chancery_cvc::DeviceChain::parse(&chain) {
            Ok(chain) => Verdict::of(&chain, anchors, None),
            Err(error) => Verdict::Unreadable {
                why: error.to_string(),
            },
        };
        let version = session.repeatable(device_state)?.map(|state| state.version);
        Ok(Self {
            anchors: anchors.clone(),
            chain,
            looks: 0,
            changed: 0,
            version,
            genuine,
            random: RandomCheck::default(),
            signatures: BTreeMap::new(),
            nonces: HashSet::new(),
            repeated_nonces: 0,
            findings: Vec::new(),
        })
    }

    /// Makes the keys that are not made yet and reads those that are.
    fn make_keys(
        &mut self,
        session: &mut Session,
        plan: &Plan,
        work: &mut Work,
    ) -> Result<Vec<TestKey>, AcceptanceError> {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        for (id, kind) in &plan.keys {
            let (id, kind) = (KeyId(*id), *kind);
            let step = key_step(id, kind);
            let noted = work.record().step(&step).cloned();
            let request = match noted {
                Some(step) if step.done => {
                    let there = session.repeatable(|card| card.read_file(fid::certificate(id)))?;
                    let there =
                        there.filter(|there| Some(fingerprint(there).as_str()) == step.detail.as_str());
                    there.ok_or(AcceptanceError::OtherKey { id })?
                }
                noted => {
                    if noted.is_some() {
                        // Begun and perhaps made; or somebody else made one there since.
                        if is_fresh_test_key(session, id)? {
                            session.repeatable(|card| card.delete_key(id))?;
                        } else if session.repeatable(|card| Ok(card.key_attributes(id)?.is_some()))? {
                            return Err(AcceptanceError::OtherKey { id });
                        }
                    }
                    work.begin_step(&step, &())?;
                    let name = key_name(&self.chain, id);
                    let spec = KeySpec {
                        id,
                        algorithm: kind.algorithm(),
                        chr: name,
                        algorithms: AlgorithmList::default(),
                        key_domain: None,
                        use_counter: None,
                    };
                    match session.once("generate a key", |card| card.generate(&spec)) {
                        Ok(made) => {
                            self.attest(&made, &spec);
                            // Cards keep the request whole; what is compared later is what they give back.
                            let kept = session
                                .repeatable(|card| card.read_file(fid::certificate(id)))?
                                .unwrap_or_default();
                            self.find(
                                format!("request of the {kind} key is kept"),
                                kept == made.request,
                                format!("file CE{:02X}, {} bytes", id.0, kept.len()),
                            );
                            work.end_step(&step, &fingerprint(&kept))?;
                            made.request
                        }
                        Err(SessionError::Card(error)) if error.status().is_some() => {
                            work.forget_step(&step)?;
                            self.find(format!("generate a {kind} key"), false, error.to_string());
                            continue;
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            };
            let Ok(request) = AuthenticatedRequest::parse(&request) else {
                self.find(
                    format!("generate a {kind} key"),
                    false,
                    "its request cannot be read".to_owned(),
                );
                continue;
            };
            let public_key = request.request().public_key().clone();
            let new = public_key.to_spki_der().is_ok_and(|spki| seen.insert(spki));
            self.find(
                format!("generate a {kind} key"),
                new,
                if new {
                    format!("key {id}")
                } else {
                    "the same key came twice".to_owned()
                },
            );
            keys.push(TestKey { id, kind, public_key });
        }
        Ok(keys)
    }

    fn attest(&mut self, made: &chancery_driver::GeneratedKey, spec: &KeySpec) {
        let identity = chancery_cvc::DeviceChain::parse(&self.chain)
            .ok()
            .and_then(|chain| chain.verify(&self.anchors, None).ok());
        let check = format!("origin of key {} is proven", made.id);
        match identity {
            Some(identity) => {
                let proven = attest::verify(made, spec, &identity);
                let detail = proven
                    .as_ref()
                    .err()
                    .map_or_else(|| "generated in this token".to_owned(), ToString::to_string);
                self.find(check, proven.is_ok(), detail);
            }
            None => self.find(check, false, "the token's chain is not trusted".to_owned()),
        }
    }

    fn sign(&mut self, session: &mut Session, key: &TestKey, way: Algorithm) -> Result<(), AcceptanceError> {
        let mut message = [0; 48];
        getrandom::fill(&mut message).map_err(|_| AcceptanceError::Entropy)?;
        let Some(block) = input(way, &key.public_key, &message) else {
            return Ok(());
        };
        let name = format!("{} with algorithm {:02X}", key.kind, way.id());
        let signed = session.repeatable(|card: &mut Authenticated<TokenTransport>| {
            match card.sign(key.id, way, &block) {
                Ok(signature) => Ok(Some(signature)),
                // Old firmware lacks some algorithms.
                Err(Error::UseNotPermitted { .. } | Error::Refused { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        });
        let count = self.signatures.entry(name).or_default();
        match signed? {
            None => count[2] += 1,
            Some(signature) => {
                match is_valid(way, &key.public_key, &message, &signature) {
                    Some(true) => count[0] += 1,
                    _ => count[1] += 1,
                }
                if let Ok(signature) = EcdsaSig::from_der(&signature)
                    && self.nonces.len() < MOST_NONCES
                    && !self.nonces.insert(signature.r().to_vec())
                {
                    self.repeated_nonces += 1;
                }
            }
        }
        Ok(())
    }

    fn draw(&mut self, session: &mut Session, times: u32) -> Result<(), AcceptanceError> {
        for _ in 0..times {
            let bytes = session.repeatable(|card| card.random(1024))?;
            self.random.add(&bytes);
        }
        Ok(())
    }

    /// Serial number, chain and version must not change.
    fn look(&mut self, session: &mut Session) -> Result<(), AcceptanceError> {
        self.looks += 1;
        let chain = session.repeatable(|card| card.read_file(fid::DEVICE_CERTIFICATES))?;
        let version = session.repeatable(device_state)?.map(|state| state.version);
        if chain.as_deref() != Some(self.chain.as_slice()) || version != self.version {
            self.changed += 1;
        }
        Ok(())
    }

    fn find(&mut self, check: String, ok: bool, detail: String) {
        self.findings.push(Finding { check, ok, detail });
    }

    fn outcome(mut self, operations: u32, session: &Session) -> Outcome {
        let (ok, detail) = match &self.genuine {
            Verdict::Proven { genuine, path, .. } => (true, format!("{genuine}: {path}")),
            Verdict::NotProven { why } | Verdict::Unreadable { why } => (false, why.clone()),
        };
        self.find("device chain".to_owned(), ok, detail);
        let (changed, looks) = (self.changed, self.looks);
        self.find(
            "serial number, chain and version stay the same".to_owned(),
            changed == 0,
            format!("{looks} looks, {changed} with a difference"),
        );
        let random = self.random.verdict();
        self.find(
            "random bytes".to_owned(),
            random.wrong.is_empty(),
            if random.wrong.is_empty() {
                format!(
                    "{} bytes, nothing conspicuous (no proof of quality)",
                    random.bytes
                )
            } else {
                random.wrong.join("; ")
            },
        );
        let repeated = self.repeated_nonces;
        self.find(
            "ECDSA signatures have nonces of their own".to_owned(),
            repeated == 0,
            format!("{} signatures, {repeated} repeated", self.nonces.len()),
        );
        for (name, [good, bad, refused]) in std::mem::take(&mut self.signatures) {
            let detail = match (bad, refused) {
                (0, 0) => format!("{good} signatures verified"),
                (0, refused) if good == 0 => format!("not offered by this token ({refused} refused)"),
                _ => format!("{good} verified, {bad} WRONG, {refused} refused"),
            };
            // An algorithm that is refused always is one the firmware lacks; now and then is a defect.
            let ok = bad == 0 && (refused == 0 || good == 0);
            self.find(format!("sign, {name}"), ok, detail);
        }
        Outcome {
            operations,
            findings: self.findings,
            foreign_resets: session.resets().len(),
        }
    }
}
