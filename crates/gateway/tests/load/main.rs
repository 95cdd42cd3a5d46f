//! Three remote HSMs of one key domain under load, while links are cut and connectors are killed.
//!
//! `CHANCERY_LOAD_SECONDS` says how long each part takes; 8 s when it is not set.
#![expect(clippy::unwrap_used, reason = "tests")]

mod relay;
mod site;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chancery_keys::{PooledKey, SigningKey as _, State};
use tokio::task::JoinSet;

use crate::site::Site;

/// Signatures asked for at any time.
const CALLERS: usize = 12;
/// How long throughput is looked at.
const LOOK: Duration = Duration::from_secs(2);

fn part() -> Duration {
    let seconds = std::env::var("CHANCERY_LOAD_SECONDS")
        .ok()
        .map_or(8, |text| text.parse().unwrap());
    Duration::from_secs(seconds)
}

/// Callers that never stop asking. Each signature is verified before it counts.
struct Load {
    made: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    callers: JoinSet<()>,
}

impl Load {
    fn start(signer: &PooledKey) -> Self {
        let (made, over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut callers = JoinSet::new();
        for number in 0..CALLERS {
            let (signer, made, over) = (signer.clone(), Arc::clone(&made), Arc::clone(&over));
            callers.spawn(async move {
                let mut count = 0_u64;
                while !over.load(Ordering::SeqCst) {
                    let message = format!("{number} {count}");
                    // No request is lost: others sign what one cannot.
                    signer.sign(message.as_bytes()).await.unwrap();
                    made.fetch_add(1, Ordering::SeqCst);
                    count += 1;
                }
            });
        }
        Self { made, over, callers }
    }

    /// Signatures a second, for a while from now on.
    async fn rate(&self) -> f64 {
        let (before, began) = (self.made.load(Ordering::SeqCst), Instant::now());
        tokio::time::sleep(LOOK).await;
        let made = self.made.load(Ordering::SeqCst) - before;
        f64::from(u32::try_from(made).unwrap()) / began.elapsed().as_secs_f64()
    }

    /// Waits until it is nearly as quick as it was, at most ten seconds.
    async fn recovers(&self, before: f64) {
        let began = Instant::now();
        let mut rates = Vec::new();
        loop {
            rates.push(self.rate().await);
            if rates.last().is_some_and(|rate| *rate >= 0.9 * before) {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{before:.0} signatures a second before, and then {rates:.0?}"
            );
        }
    }

    async fn stop(mut self) {
        self.over.store(true, Ordering::SeqCst);
        while let Some(caller) = self.callers.join_next().await {
            caller.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_are_cut_and_connectors_killed_under_load() {
    let mut site = Site::new(3).await;
    let load = Load::start(&site.signer());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = load.rate().await;

    // Cut links are no loss: nobody is asked again.
    let began = Instant::now();
    let mut cuts = 0;
    while began.elapsed() < part() {
        for relay in &site.relays {
            relay.cut();
            cuts += 1;
            // Never all in step with each other or with what they carry.
            tokio::time::sleep(Duration::from_millis(170 + 61 * (cuts % 5))).await;
        }
    }
    for relay in &site.relays {
        assert!(relay.accepted() > 6, "hardly a link was cut");
    }
    for hsm in &site.hsms {
        let status = hsm.status();
        assert!(status.state.is_unlocked(), "{} is {}", hsm.name(), status.state);
        assert_eq!(status.last_loss, None, "{}", hsm.name());
    }
    load.recovers(before).await;

    // Killed connectors cost their quorum, and nothing else.
    let began = Instant::now();
    let mut victims = (0..site.hsms.len()).cycle();
    while began.elapsed() < part() {
        let victim = victims.next().unwrap();
        site.kill(victim);
        site.attach(victim).await;
        site.comes_back(victim).await;
        let loss = site.hsms[victim].status().last_loss.unwrap();
        assert!(loss.was_open, "{}", loss.because);
        site.open(victim).await;
        load.recovers(before).await;
    }
    load.stop().await;
    for hsm in &site.hsms {
        assert!(matches!(hsm.state(), State::Unlocked { .. }), "{}", hsm.state());
        assert_eq!(hsm.outstanding(), 0);
    }
}
