//! What a process takes of the machine.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;

/// A process that is looked at from outside.
pub(super) struct Watched(PathBuf);

/// What it has, and what it has had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Memory of its own and shared, in KiB.
    pub(super) resident: u64,
    /// The most it ever was, in KiB.
    pub(super) most: u64,
    pub(super) threads: u64,
    pub(super) files: usize,
    /// Processor time of all its threads so far, those that ended included.
    pub(super) computed: Duration,
}

/// Milliseconds of a tick in `/proc`: `USER_HZ` is 100 on Linux (`proc(5)`).
const TICK: u64 = 10;

impl Watched {
    pub(super) fn new(pid: u32) -> Self {
        Self(PathBuf::from(format!("/proc/{pid}")))
    }

    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        let read = |name: &str| {
            let path = self.0.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let status = read("status")?;
        let of = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let word = line.and_then(|line| line.split_whitespace().next());
            word.and_then(|word| word.parse::<u64>().ok())
                .with_context(|| format!("no {field} in {status}"))
        };
        // The name stands in parentheses and may hold anything; utime and stime are the 12th and 13th field after it.
        let stat = read("stat")?;
        let fields = stat.rsplit_once(')').context("no name in stat")?.1;
        let ticks = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u64>)
            .sum::<Result<u64, _>>()?;
        Ok(Usage {
            resident: of("VmRSS:")?,
            most: of("VmHWM:")?,
            threads: of("Threads:")?,
            files: fs::read_dir(self.0.join("fd"))?.count(),
            computed: Duration::from_millis(ticks * TICK),
        })
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} MiB, {} threads, {} files, {:.1} s computed so far",
            self.resident / 1024,
            self.threads,
            self.files,
            self.computed.as_secs_f64()
        )
    }
}
