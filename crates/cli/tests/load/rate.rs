//! Throughput before something happened, and how soon it is that again.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use crate::{clients::Load, site::HSMS};

/// How long throughput is looked at.
const LOOK: Duration = Duration::from_secs(4);
/// Answers that waited for a link come at once: they are no throughput.
const BACKLOG: Duration = Duration::from_millis(300);
/// How often it is looked at.
const STEP: Duration = Duration::from_millis(100);
/// How long it may take.
const LONGEST: Duration = Duration::from_secs(10);
/// How much of it is waited for.
const ENOUGH: f64 = 0.9;

/// How much of it has to be there again.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    /// By the median of all returns.
    median: f64,
    /// After each.
    each: f64,
}

/// In a long run, on a machine that has nothing else to do: each is more than one HSM less would give.
pub(crate) const EXACT: Goal = Goal {
    median: ENOUGH,
    each: 0.75,
};
/// In a short one beside other work: it signs again, and by more than one HSM.
pub(crate) const ROUGH: Goal = Goal {
    median: 0.6,
    each: 0.4,
};

/// The machine has other work, too, and more than at first: what is signed now, with every token at work and nothing cut.
fn now_undisturbed(load: &Load) -> f64 {
    let began = Instant::now();
    thread::sleep(2 * LOOK);
    assert_eq!(
        load.hsms_since(began),
        HSMS.len(),
        "an HSM signs nothing any more"
    );
    load.rate(began, 2 * LOOK)
}

/// What was measured.
pub(crate) struct Rates {
    goal: Goal,
    before: f64,
    returns: Vec<(f64, Duration)>,
}

/// A part of it, in words.
pub(crate) struct Summary {
    before: f64,
    returns: Vec<(f64, Duration)>,
}

impl Rates {
    /// Signatures a second while nothing happens.
    pub(crate) fn before(load: &Load, goal: Goal) -> Self {
        thread::sleep(BACKLOG);
        let began = Instant::now();
        thread::sleep(2 * LOOK);
        let before = load.rate(began, 2 * LOOK);
        assert!(before > 1.0, "hardly anything is signed: {before:.1}/s");
        Self {
            goal,
            before,
            returns: Vec::new(),
        }
    }

    /// Waits until as much is signed as before, at most ten seconds from when all was there again.
    pub(crate) fn recover(&mut self, load: &Load, returned: Instant) {
        let mut best: f64 = 0.0;
        loop {
            thread::sleep(STEP);
            let now = Instant::now();
            let began = now.checked_sub(LOOK).unwrap();
            if began < returned + BACKLOG {
                continue;
            }
            let took = now - returned;
            best = best.max(load.rate(began, LOOK));
            if best < ENOUGH * self.before && took < LONGEST {
                continue;
            }
            let before = if took < LONGEST {
                self.before
            } else {
                now_undisturbed(load)
            };
            assert!(
                best >= self.goal.each * before,
                "{best:.1} signatures a second at most within 10 s of a return, {:.1} at first and {before:.1} afterwards",
                self.before
            );
            self.returns.push((best / before, took));
            return;
        }
    }

    /// What was measured since it was asked last, which must be enough.
    #[track_caller]
    pub(crate) fn take(&mut self) -> Summary {
        let summary = Summary {
            before: self.before,
            returns: std::mem::take(&mut self.returns),
        };
        let median = summary.median();
        assert!(median >= self.goal.median, "{summary}");
        summary
    }
}

impl Summary {
    fn median(&self) -> f64 {
        let mut ratios: Vec<_> = self.returns.iter().map(|(ratio, _)| *ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lowest = self
            .returns
            .iter()
            .map(|(ratio, _)| *ratio)
            .fold(f64::MAX, f64::min);
        let slowest = self
            .returns
            .iter()
            .map(|(_, took)| *took)
            .max()
            .unwrap_or_default();
        write!(
            f,
            "{} returns: {:.2} in the middle and {lowest:.2} at least of {:.1} signatures a second, over {} s, {:.1} s after a return \
             at the latest",
            self.returns.len(),
            self.median(),
            self.before,
            LOOK.as_secs(),
            slowest.as_secs_f64(),
        )
    }
}
