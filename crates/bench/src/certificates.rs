//! Certificates a second through the center.
//!
//! Before the clock starts, requests are imported and approved and the decisions to sign are drafted and signed by a
//! person's token. What is timed is handing these decisions in until each certificate is durable and answered: the act's
//! signature, the rules, both commits, the HSM.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, ensure};
use chancery_api::{Performed, SignedAct};
use tokio::{runtime::Handle, sync::Mutex};

use crate::{
    lazily::Lazily,
    line::{Counts, Goal, Line, Sample, Stopwatch},
    options::Options,
    raw,
    world::World,
};

/// How certificates are asked for.
#[derive(Clone, Copy)]
enum Asked {
    /// A decision for each, so many in progress at a time, this many in all.
    One { at_once: usize, all: usize },
    /// One decision over a list of so many.
    List(usize),
}

/// A CA and what it should reach.
struct Case {
    algorithm: &'static str,
    name: &'static str,
    baseline: &'static str,
    asked: Asked,
    goal: Option<Goal>,
}

const fn case(ec: bool, asked: Asked, goal: Option<Goal>) -> Case {
    let (algorithm, name, baseline) = match ec {
        true => ("ec:P-256", "P-256", raw::P256),
        false => ("rsa:2048", "RSA-2048", raw::RSA_2048),
    };
    Case {
        algorithm,
        name,
        baseline,
        asked,
        goal,
    }
}

const CASES: [Case; 10] = [
    case(true, Asked::One { at_once: 1, all: 64 }, None),
    case(
        true,
        Asked::One {
            at_once: 16,
            all: 640,
        },
        Some(Goal::Rate(3000.0)),
    ),
    case(
        true,
        Asked::One {
            at_once: 64,
            all: 640,
        },
        None,
    ),
    case(true, Asked::List(64), None),
    case(true, Asked::List(400), None),
    case(false, Asked::One { at_once: 1, all: 32 }, None),
    case(
        false,
        Asked::One {
            at_once: 16,
            all: 288,
        },
        Some(Goal::Ratio(0.6)),
    ),
    case(
        false,
        Asked::One {
            at_once: 64,
            all: 448,
        },
        Some(Goal::Ratio(0.8)),
    ),
    case(false, Asked::List(64), None),
    case(false, Asked::List(400), None),
];

pub(crate) fn lines(options: &Options, runtime: &Handle) -> Vec<Line> {
    let mut algorithms: Vec<_> = CASES.iter().map(|case| case.algorithm).collect();
    algorithms.dedup();
    let world = {
        let (options, runtime) = (options.clone(), runtime.clone());
        Lazily::new(move || runtime.block_on(World::new(&options, &algorithms)))
    };
    let serial = Arc::new(AtomicU64::new(0));
    CASES
        .into_iter()
        .map(|case| {
            let name = match case.asked {
                Asked::One { at_once, .. } => format!("center {}, an act each, {at_once} at once", case.name),
                Asked::List(all) => format!("center {}, one act over {all}", case.name),
            };
            let issue = {
                let (world, runtime, serial) = (world.clone(), runtime.clone(), Arc::clone(&serial));
                move || runtime.block_on(issue(&world.get()?, &serial, case.algorithm, case.asked))
            };
            let count = {
                let issue = issue.clone();
                move || {
                    // The counts are taken where the clock runs; nothing else uses the HSM or the database then.
                    let issued = issue()?;
                    let each = |count: u64| {
                        u32::try_from(count).map(|n| f64::from(n) / f64::from(issued.sample.pieces))
                    };
                    Ok(Counts {
                        apdus: Some(each(issued.apdus)?),
                        commits: Some(each(issued.groups)?),
                    })
                }
            };
            let measure = issue;
            Line::new(name, move || Ok(measure()?.sample))
                .beside(case.baseline)
                .goal(case.goal)
                .counted(count)
        })
        .collect()
}

/// What was issued in how long, and what it took.
struct Issued {
    sample: Sample,
    apdus: u64,
    groups: u64,
}

async fn issue(
    world: &Arc<World>,
    serial: &AtomicU64,
    algorithm: &str,
    asked: Asked,
) -> anyhow::Result<Issued> {
    let (all, together) = match asked {
        Asked::One { all, .. } => (all, false),
        Asked::List(all) => (all, true),
    };
    let csrs = (0..all)
        .map(|_| csr(serial.fetch_add(1, Ordering::Relaxed)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let requests = world.approved(algorithm, &csrs, together).await?;
    let (acts, at_once) = match asked {
        Asked::One { at_once, .. } => {
            let mut acts = Vec::with_capacity(all);
            for request in requests {
                acts.push(world.decision_to_sign(vec![request]).await?);
            }
            (acts, at_once)
        }
        Asked::List(_) => (vec![world.decision_to_sign(requests).await?], 1),
    };
    let (apdus, groups) = (world.apdus(), world.groups());
    let watch = Stopwatch::start();
    let issued = hand_in(world, acts, at_once).await?;
    let sample = watch.stop(u32::try_from(all)?);
    ensure!(issued == all, "{issued} certificates instead of {all}");
    Ok(Issued {
        sample,
        apdus: world.apdus() - apdus,
        groups: world.groups() - groups,
    })
}

/// Hands decisions in, so many at a time; each in a task of its own, as a node's clients are. Returns the number of certificates.
async fn hand_in(world: &Arc<World>, acts: Vec<SignedAct>, at_once: usize) -> anyhow::Result<usize> {
    let waiting = Arc::new(Mutex::new(acts.into_iter()));
    let clients: Vec<_> = (0..at_once)
        .map(|_| {
            let (world, waiting) = (Arc::clone(world), Arc::clone(&waiting));
            tokio::spawn(async move {
                let mut issued = 0;
                loop {
                    let next = waiting.lock().await.next();
                    let Some(act) = next else {
                        return anyhow::Ok(issued);
                    };
                    match world.perform(act).await? {
                        Performed::Requests { requests } => {
                            issued += requests.iter().filter(|request| request.der.is_some()).count();
                        }
                        other => anyhow::bail!("another answer: {other:?}"),
                    }
                }
            })
        })
        .collect();
    let mut issued = 0;
    for client in clients {
        issued += client.await.context("a client broke off")??;
    }
    Ok(issued)
}

/// A P-256 request for a DNS name of its own.
fn csr(serial: u64) -> anyhow::Result<Vec<u8>> {
    use openssl::{
        ec::{EcGroup, EcKey},
        hash::MessageDigest,
        nid::Nid,
        pkey::PKey,
        stack::Stack,
        x509::{X509Name, X509Req, extension::SubjectAlternativeName},
    };
    let name = format!("www{serial}.example.com");
    let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(
        Nid::X9_62_PRIME256V1,
    )?)?)?;
    let mut subject = X509Name::builder()?;
    subject.append_entry_by_text("CN", &name)?;
    let mut builder = X509Req::builder()?;
    builder.set_subject_name(&subject.build())?;
    builder.set_pubkey(&key)?;
    let mut extensions = Stack::new()?;
    extensions.push(
        SubjectAlternativeName::new()
            .dns(&name)
            .build(&builder.x509v3_context(None))?,
    )?;
    builder.add_extensions(&extensions)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok(builder.build().to_der()?)
}
