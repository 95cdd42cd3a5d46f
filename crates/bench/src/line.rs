//! One line of the table.

use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How long a line that runs in passes does so at a time. What is compared with what the crypto library does on the same thread is run
/// alternately for times this short, so that a disturbance meets all alike.
const PASS: Duration = Duration::from_millis(10);
/// Passes of such a line in a round.
const PASSES: u32 = 25;

/// How often one piece of work was done in how long.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) pieces: u32,
    pub(crate) took: Duration,
    /// What all threads computed meanwhile, where the system tells.
    pub(crate) computed: Option<Duration>,
}

/// Takes the time of something.
pub(crate) struct Stopwatch {
    began: Instant,
    computed: Option<Duration>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            began: Instant::now(),
            computed: computed(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn stop(&self, pieces: u32) -> Sample {
        // A thread that has ended is missing from the later sum.
        let computed = computed()
            .zip(self.computed)
            .and_then(|(now, then)| now.checked_sub(then));
        Sample {
            pieces,
            took: self.began.elapsed(),
            computed,
        }
    }
}

/// What all threads of this process have computed so far: the first field of each one's `schedstat` (`proc(5)`), nanoseconds.
fn computed() -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        sum += Duration::from_nanos(stat.split_whitespace().next()?.parse().ok()?);
    }
    Some(sum)
}

/// What one piece of work costs in things that are counted, not timed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Commands to the HSM.
    pub(crate) apdus: Option<f64>,
    /// Groups made durable in the database.
    pub(crate) commits: Option<f64>,
}

type Measure = Box<dyn FnMut() -> anyhow::Result<Sample>>;
type Count = Box<dyn FnMut() -> anyhow::Result<Counts>>;
type Remarks = Box<dyn FnMut() -> anyhow::Result<Vec<String>>>;

/// Something measured in every round.
pub(crate) struct Line {
    pub(crate) name: String,
    /// Name of the line it is compared with, which comes before it.
    pub(crate) baseline: Option<&'static str>,
    /// What it should reach.
    pub(crate) goal: Option<Goal>,
    measure: Measure,
    count: Option<Count>,
    remarks: Option<Remarks>,
    /// Runs in passes rather than once a round.
    pub(crate) in_passes: bool,
    rates: Vec<f64>,
    round: Sample,
    computed: Duration,
    pieces: u32,
}

/// What a line should reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// This part of its baseline.
    Ratio(f64),
    /// This many pieces a second.
    Rate(f64),
    /// A piece takes at most so many times what one of each of two other lines take together.
    Sum { of: [&'static str; 2], most: f64 },
    /// A piece takes at most so many commands to the token.
    Commands(f64),
}

impl Line {
    pub(crate) fn new(
        name: impl Into<String>,
        measure: impl FnMut() -> anyhow::Result<Sample> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            baseline: None,
            goal: None,
            measure: Box::new(measure),
            count: None,
            remarks: None,
            in_passes: false,
            rates: Vec::new(),
            round: Sample::default(),
            computed: Duration::ZERO,
            pieces: 0,
        }
    }

    /// Shown as a part of that line.
    pub(crate) fn beside(mut self, baseline: &'static str) -> Self {
        self.baseline = Some(baseline);
        self
    }

    pub(crate) fn goal(mut self, goal: Option<Goal>) -> Self {
        self.goal = goal;
        self
    }

    /// Has things counted in a pass of its own.
    pub(crate) fn counted(mut self, count: impl FnMut() -> anyhow::Result<Counts> + 'static) -> Self {
        self.count = Some(Box::new(count));
        self
    }

    /// Has more to tell in the end.
    pub(crate) fn remarks(mut self, remarks: impl FnMut() -> anyhow::Result<Vec<String>> + 'static) -> Self {
        self.remarks = Some(Box::new(remarks));
        self
    }

    /// Has it run in passes.
    pub(crate) fn in_passes(mut self) -> Self {
        self.in_passes = true;
        self
    }

    /// One pass.
    fn pass(&mut self) -> anyhow::Result<()> {
        let sample = (self.measure)().with_context(|| format!("measuring {:?}", self.name))?;
        self.round.pieces += sample.pieces;
        self.round.took += sample.took;
        self.computed += sample.computed.unwrap_or_default();
        Ok(())
    }

    /// Ends a round.
    fn end_round(&mut self) {
        let round = std::mem::take(&mut self.round);
        self.rates
            .push(f64::from(round.pieces) / round.took.as_secs_f64());
        self.pieces += round.pieces;
    }

    pub(crate) fn count(&mut self) -> anyhow::Result<Counts> {
        self.count
            .as_mut()
            .map_or_else(|| Ok(Counts::default()), |count| count())
    }

    /// What else there is to tell.
    pub(crate) fn told(&mut self) -> anyhow::Result<Vec<String>> {
        self.remarks
            .as_mut()
            .map_or_else(|| Ok(Vec::new()), |tell| tell())
    }

    /// Processor time of one piece, over all rounds and threads.
    pub(crate) fn computed(&self) -> Option<Duration> {
        self.computed
            .checked_div(self.pieces)
            .filter(|each| !each.is_zero())
    }

    /// Names of the lines it is compared with.
    pub(crate) fn compared_with(&self) -> impl Iterator<Item = &'static str> + use<> {
        let sum = match self.goal {
            Some(Goal::Sum { of, .. }) => of.map(Some),
            _ => [None, None],
        };
        self.baseline.into_iter().chain(sum.into_iter().flatten())
    }

    /// Pieces a second, in the order of the rounds.
    pub(crate) fn rates(&self) -> &[f64] {
        &self.rates
    }
}

/// One round: every line once, those that run in passes alternately.
pub(crate) fn round(lines: &mut [Line]) -> anyhow::Result<()> {
    for _ in 0..PASSES {
        lines
            .iter_mut()
            .filter(|line| line.in_passes)
            .try_for_each(Line::pass)?;
    }
    lines
        .iter_mut()
        .filter(|line| !line.in_passes)
        .try_for_each(Line::pass)?;
    lines.iter_mut().for_each(Line::end_round);
    Ok(())
}

/// Does something again and again for a pass.
pub(crate) fn for_a_pass(mut piece: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Sample> {
    let watch = Stopwatch::start();
    let mut pieces = 0;
    while watch.elapsed() < PASS {
        // The clock costs less than a signature, but is not free.
        for _ in 0..4 {
            piece()?;
        }
        pieces += 4;
    }
    Ok(watch.stop(pieces))
}

/// The value in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (
        values.get(middle),
        middle.checked_sub(1).and_then(|below| values.get(below)),
    ) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => (upper + lower) / 2.0,
        (Some(value), _) => *value,
        (None, _) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!(median([]).is_nan());
        assert_eq!(median([3.0]).to_bits(), 3.0f64.to_bits());
        assert_eq!(median([9.0, 1.0, 5.0]).to_bits(), 5.0f64.to_bits());
        assert_eq!(median([4.0, 1.0, 2.0, 9.0]).to_bits(), 3.0f64.to_bits());
    }
}
