//! A command while it runs, and the moments in it at which it can be disturbed.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStderr},
    thread,
    time::{Duration, Instant},
};

use crate::{
    dice::Dice,
    world::{Ended, World},
};

/// A command under way.
pub(crate) struct Running {
    args: String,
    child: Child,
    log: BufReader<ChildStderr>,
    err: String,
}

/// How long the parts of a command take undisturbed: until the first decision is shown, until the next, ..., until its end.
#[derive(Clone, Default)]
pub(crate) struct Parts(Vec<Part>);

/// A decision is shown, the person's token signs it, and the node records it: from then on the HSM works on something that is
/// durable.
#[derive(Clone, Copy, Default)]
struct Part {
    until_recorded: Duration,
    after: Duration,
}

impl Running {
    pub(crate) fn start(world: &World, args: &[&str]) -> Self {
        let mut child = world.command(args).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self {
            args: args.join(" "),
            child,
            log,
            err: String::new(),
        }
    }

    /// Waits until the next decision is shown; `false` when the command ends without one.
    fn decides(&mut self) -> bool {
        loop {
            let before = self.err.len();
            if self.log.read_line(&mut self.err).unwrap() == 0 {
                return false;
            }
            if self.err.split_at(before).1.contains(" decides: ") {
                return true;
            }
        }
    }

    /// Waits for the beginning of a part, counted from 0.
    fn reach(&mut self, part: usize) {
        // A command that ends before is as disturbed as it can be.
        let _ = (0..part).all(|_| self.decides());
    }

    /// Waits until a file has another length than now, or the command ends. It looks without a pause: what it waits for is over in
    /// less than a millisecond.
    fn writes(&mut self, file: &Path) {
        let length = || fs::metadata(file).map_or(0, |metadata| metadata.len());
        let before = length();
        while length() == before && self.child.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
    }

    /// Waits for a moment in a part: any, or soon after a file was written; so many times sooner than that took undisturbed.
    pub(crate) fn disturb_at(
        &mut self,
        parts: &Parts,
        part: usize,
        file: &Path,
        dice: &mut Dice,
        sooner: u32,
    ) -> String {
        self.reach(part);
        let Part {
            until_recorded,
            after,
        } = parts.of(part);
        let aimed = part > 0 && dice.below(4) > 0;
        if aimed {
            self.writes(file);
        }
        let longest = if aimed { after } else { until_recorded + after };
        let delay = dice.moment(longest / sooner);
        thread::sleep(delay);
        format!(
            "{delay:?} into part {part}{}",
            if aimed { ", after it was recorded" } else { "" }
        )
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        self.log.read_to_string(&mut self.err).unwrap();
        let mut ended = Ended::of(&[&self.args], self.child.wait_with_output().unwrap());
        ended.err = self.err;
        ended
    }
}

impl Parts {
    /// Runs a command undisturbed; its decisions are recorded in `file`.
    pub(crate) fn measure(world: &World, args: &[&str], file: &Path) -> (Ended, Self) {
        let mut running = Running::start(world, args);
        let mut parts = Vec::new();
        let (mut begun, mut until_recorded) = (Instant::now(), Duration::ZERO);
        while running.decides() {
            parts.push(Part {
                until_recorded,
                after: begun.elapsed(),
            });
            begun = Instant::now();
            running.writes(file);
            until_recorded = begun.elapsed();
            begun = Instant::now();
        }
        let ended = running.wait();
        parts.push(Part {
            until_recorded,
            after: begun.elapsed(),
        });
        (ended, Self(parts))
    }

    /// Number of parts.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The last one where there are not so many.
    fn of(&self, part: usize) -> Part {
        self.0
            .get(part)
            .or_else(|| self.0.last())
            .copied()
            .unwrap_or_default()
    }
}
