//! Signatures and certificates a second, beside what the crypto library does alone.
//!
//! Every round runs every line once, in turn, so that a machine that slows down or is shared does so for all alike; a
//! line's figure is the median of its rounds, and its ratio is the median of the ratios to its baseline of the same
//! round. What cannot be timed (commands to the token, groups made durable) is counted in a pass of its own.
//!
//! - `raw`: the crypto library alone, on one thread; and what a flush to the disk costs;
//! - `driver`: the same through driver and virtual token, on the calling thread;
//! - `thread`: through the token's own thread, as a node uses it;
//! - `OpenSC`: through pcscd, vpcd and OpenSC's PKCS#11 module, as an unchanged program has it;
//! - `module`: through a Unix socket and our own PKCS#11 module, likewise;
//! - `far`: tokens that take their time, far away: how busy they are kept;
//! - `lease`: signatures under a lease, with its rules, audit log, receipts and database;
//! - `crowd`: what a node takes that has many HSMs and many clients;
//! - `center`: certificates from approved requests, with people's acts, rules, audit log and database.

mod certificates;
mod counting;
mod crowd;
mod far;
mod lazily;
mod leases;
mod line;
mod module;
mod opensc;
mod options;
mod people;
mod raw;
mod report;
mod tokens;
mod workshop;
mod world;

use std::process::ExitCode;

use anyhow::Context as _;

use crate::{line::Line, options::Options};

fn main() -> anyhow::Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some(opensc::CLIENT) => {
            report::text(&opensc::client(std::env::args().skip(2))?);
            return Ok(ExitCode::SUCCESS);
        }
        Some(module::CLIENT) => {
            module::client(std::env::args().skip(2), report::text)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(crowd::CLIENT) => {
            crowd::client(std::env::args().skip(2), report::text)?;
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let Some(options) = Options::from_arguments(std::env::args().skip(1))? else {
        report::text(options::USAGE);
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(&options.directory)
        .with_context(|| format!("cannot make {}", options.directory.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut lines = raw::lines(&options)?;
    lines.extend(tokens::lines(&options, runtime.handle())?);
    lines.extend(opensc::lines(&options));
    lines.extend(module::lines(&options));
    lines.extend(far::lines(&options, runtime.handle()));
    lines.extend(leases::lines(&options, runtime.handle()));
    lines.extend(certificates::lines(&options, runtime.handle()));
    lines.extend(crowd::lines(&options));
    let mut lines: Vec<Line> = match &options.only {
        None => lines,
        Some(part) => {
            let mut wanted: Vec<String> = Vec::new();
            loop {
                // Baselines may have baselines.
                let shown = |line: &&Line| line.name.contains(part) || wanted.contains(&line.name);
                let more: Vec<String> = lines
                    .iter()
                    .filter(shown)
                    .flat_map(Line::compared_with)
                    .map(str::to_owned)
                    .filter(|name| !wanted.contains(name))
                    .collect();
                if more.is_empty() {
                    break;
                }
                wanted.extend(more);
            }
            lines
                .into_iter()
                .filter(|line| line.name.contains(part) || wanted.contains(&line.name))
                .collect()
        }
    };
    anyhow::ensure!(!lines.is_empty(), "no line is called so");
    report::heading(&options);
    for round in 1..=options.rounds {
        report::round(round, options.rounds);
        line::round(&mut lines)?;
    }
    let counts = lines
        .iter_mut()
        .map(|line| {
            line.count()
                .with_context(|| format!("counting for {:?}", line.name))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    report::table(&lines, &counts);
    for line in &mut lines {
        let remarks = line.told()?;
        report::remarks(&line.name, &remarks);
    }
    Ok(ExitCode::SUCCESS)
}
