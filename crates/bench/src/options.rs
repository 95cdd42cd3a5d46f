//! What the command line says.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// How to call the program.
pub(crate) const USAGE: &str = "\
cargo xtask bench [--dir DIRECTORY] [--rounds N] [--only TEXT] [--hsms N] [--clients N]

  --dir DIRECTORY  where tokens and database are made, on the disk to measure (default: target/bench)
  --rounds N       rounds of which the median is shown (default: 5)
  --only TEXT      only lines whose name contains TEXT, and their baselines
  --hsms N         HSMs of the line `crowd` (default: 200)
  --clients N      its clients (default: 100)";

/// What to measure, where.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) directory: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) only: Option<String>,
    pub(crate) hsms: usize,
    pub(crate) clients: usize,
}

impl Options {
    /// Reads arguments; `None` when help is asked for.
    pub(crate) fn from_arguments(
        mut arguments: impl Iterator<Item = String>,
    ) -> anyhow::Result<Option<Self>> {
        let mut options = Self {
            directory: PathBuf::from("target/bench"),
            rounds: 5,
            only: None,
            hsms: 200,
            clients: 100,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--dir" => options.directory = value()?.into(),
                "--rounds" => options.rounds = value()?.parse().context("--rounds takes a number")?,
                "--hsms" => options.hsms = value()?.parse().context("--hsms takes a number")?,
                "--clients" => options.clients = value()?.parse().context("--clients takes a number")?,
                "--only" => options.only = Some(value()?),
                "--help" | "-h" => return Ok(None),
                other => bail!("unknown argument {other:?}\n{USAGE}"),
            }
        }
        if options.rounds == 0 {
            bail!("at least one round");
        }
        Ok(Some(options))
    }
}
