//! A token that takes down when it signs.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use chancery_iso7816::{Transport, TransportError};
use chancery_vtoken::{AtRest, VirtualToken};
use zeroize::Zeroizing;

use super::SIGNATURE;
use crate::line::Sample;

/// SIGN.
const SIGN: u8 = 0x68;

/// Beginnings and ends of signatures; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Record(Arc<Mutex<Vec<(Instant, Instant)>>>);

impl Record {
    fn note(&self, began: Instant) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.push((began, Instant::now()));
    }

    /// How long it signed between these times.
    pub(super) fn busy(&self, from: Instant, to: Instant) -> Duration {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times
            .iter()
            .map(|(began, ended)| (*ended).min(to).saturating_duration_since((*began).max(from)))
            .sum()
    }
}

/// The signatures a second that so much work in so much time is.
pub(super) fn sample(busy: Duration, of: Duration) -> anyhow::Result<Sample> {
    anyhow::ensure!(!busy.is_zero(), "nothing was signed");
    // Whole pieces, in the time that keeps the rate.
    let pieces = u32::try_from(busy.as_millis() / SIGNATURE.as_millis())
        .context("too long")?
        .max(1);
    Ok(Sample {
        pieces,
        took: (SIGNATURE * pieces).mul_f64(of.as_secs_f64() / busy.as_secs_f64()),
        computed: None,
    })
}

/// A slow token.
pub(super) struct Slow {
    token: VirtualToken,
    record: Record,
}

impl Slow {
    pub(super) fn open(directory: &Path, at_rest: &AtRest, record: &Record) -> anyhow::Result<Self> {
        let mut token = VirtualToken::open(directory, at_rest)?;
        token.set_delay(SIGNATURE);
        Ok(Self {
            token,
            record: record.clone(),
        })
    }

    pub(super) fn atr(&self) -> Vec<u8> {
        self.token.atr().to_vec()
    }
}

impl Transport for Slow {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let began = Instant::now();
        let answer = self.token.transmit(command);
        if command.get(1) == Some(&SIGN) {
            self.record.note(began);
        }
        answer
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}
