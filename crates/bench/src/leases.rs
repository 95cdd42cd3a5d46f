//! Signatures a second under a lease, through the center.
//!
//! Before the clock starts a custodian agreed to a lease. What is timed is asking for signatures of digests nobody asked for before: the lease
//! looked at, the digest counted durably, the HSM, its signature verified, signature and receipt durable with the audit log.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, ensure};
use chancery_api::{DigestValue, HashName, LeaseId, Mechanism};
use tokio::runtime::Handle;

use crate::{
    lazily::Lazily,
    line::{Counts, Line, Sample, Stopwatch},
    options::Options,
    raw,
    world::World,
};

/// Signing keys: algorithm, how they sign, name in the table, what the crypto library does.
const KEYS: [(&str, Mechanism, &str, &str); 2] = [
    ("ec:P-256", Mechanism::Ecdsa, "P-256", raw::P256),
    ("rsa:2048", Mechanism::RsaPkcs1, "RSA-2048", raw::RSA_2048),
];

/// How signatures are asked for.
#[derive(Clone, Copy)]
enum Asked {
    /// A call for each, so many in progress at a time, this many in all.
    One { at_once: u32, all: u32 },
    /// One call for so many.
    Together(u32),
}

const P256: [Asked; 4] = [
    Asked::One { at_once: 1, all: 64 },
    Asked::One {
        at_once: 16,
        all: 640,
    },
    Asked::One {
        at_once: 64,
        all: 1280,
    },
    Asked::Together(400),
];
const RSA: [Asked; 3] = [
    Asked::One {
        at_once: 16,
        all: 288,
    },
    Asked::One {
        at_once: 64,
        all: 448,
    },
    Asked::Together(400),
];

pub(crate) fn lines(options: &Options, runtime: &Handle) -> Vec<Line> {
    let scene = {
        let (options, runtime) = (options.clone(), runtime.clone());
        Lazily::new(move || Scene::make(&options, &runtime))
    };
    let mut lines = Vec::new();
    for (key, cases) in [&P256[..], &RSA[..]].into_iter().enumerate() {
        let Some(&(_, _, name, baseline)) = KEYS.get(key) else {
            continue;
        };
        for &asked in cases {
            let name = match asked {
                Asked::One { at_once, .. } => format!("lease {name}, a call each, {at_once} at once"),
                Asked::Together(all) => format!("lease {name}, one call for {all}"),
            };
            let (scene, runtime) = (scene.clone(), runtime.clone());
            let sign = move || runtime.block_on(sign(&scene.get()?, key, asked));
            let count = sign.clone();
            let measure = sign;
            lines.push(
                Line::new(name, move || Ok(measure()?.sample))
                    .beside(baseline)
                    .counted(move || {
                        let signed = count()?;
                        let each = |count: u64| {
                            u32::try_from(count).map(|n| f64::from(n) / f64::from(signed.sample.pieces))
                        };
                        Ok(Counts {
                            apdus: Some(each(signed.apdus)?),
                            commits: Some(each(signed.groups)?),
                        })
                    }),
            );
        }
    }
    lines
}

/// A trust center with signing keys and a lease for each.
struct Scene {
    world: World,
    leases: Vec<LeaseId>,
    digests: AtomicU64,
}

impl Scene {
    fn make(options: &Options, runtime: &Handle) -> anyhow::Result<Self> {
        let world = runtime.block_on(World::new(options, &[]))?;
        let mut leases = Vec::new();
        for (algorithm, mechanism, ..) in KEYS {
            runtime.block_on(world.create_signer(algorithm))?;
            leases.push(world.lease(runtime, algorithm, mechanism)?);
        }
        Ok(Self {
            world,
            leases,
            digests: AtomicU64::new(0),
        })
    }

    /// A digest that nobody asked for before.
    fn digest(&self) -> anyhow::Result<DigestValue> {
        let number = self.digests.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        Ok(DigestValue::new(HashName::Sha256, number.repeat(4))?)
    }
}

/// What was signed in how long, and what it took.
struct Signed {
    sample: Sample,
    apdus: u64,
    groups: u64,
}

async fn sign(scene: &Arc<Scene>, key: usize, asked: Asked) -> anyhow::Result<Signed> {
    let &(algorithm, mechanism, ..) = KEYS.get(key).context("no such key")?;
    let lease = *scene.leases.get(key).context("no such lease")?;
    let (at_once, each, all) = match asked {
        Asked::One { at_once, all } => (at_once, 1, all),
        Asked::Together(all) => (1, all, all),
    };
    let (apdus, groups) = (scene.world.apdus(), scene.world.groups());
    let watch = Stopwatch::start();
    let askers: Vec<_> = (0..at_once)
        .map(|_| {
            let scene = Arc::clone(scene);
            tokio::spawn(async move {
                let mut signed = 0;
                for _ in 0..all / at_once / each {
                    let digests = (0..each).map(|_| scene.digest()).collect::<Result<Vec<_>, _>>()?;
                    signed += scene.world.sign(algorithm, mechanism, lease, digests).await?;
                }
                anyhow::Ok(signed)
            })
        })
        .collect();
    let mut signed = 0;
    for asker in askers {
        signed += asker.await??;
    }
    let sample = watch.stop(all);
    ensure!(
        u32::try_from(signed) == Ok(all),
        "{signed} signatures instead of {all}"
    );
    Ok(Signed {
        sample,
        apdus: scene.world.apdus() - apdus,
        groups: scene.world.groups() - groups,
    })
}
