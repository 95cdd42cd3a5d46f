//! What the program prints.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what it is for"
)]

use crate::{
    line::{Counts, Goal, Line, median},
    options::Options,
};

pub(crate) fn text(text: &str) {
    println!("{text}");
}

pub(crate) fn heading(options: &Options) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{cores} cores, files in {}, median of {} rounds",
        options.directory.display(),
        options.rounds
    );
}

pub(crate) fn round(number: usize, of: usize) {
    eprintln!("round {number} of {of}");
}

/// What takes its time.
pub(crate) fn progress(what: &str) {
    eprintln!("{what}");
}

/// What there is to tell of a line beside its figures.
pub(crate) fn remarks(name: &str, remarks: &[String]) {
    if !remarks.is_empty() {
        println!("\n{name}");
    }
    for remark in remarks {
        println!("  {remark}");
    }
}

/// The table.
pub(crate) fn table(lines: &[Line], counts: &[Counts]) {
    println!();
    println!(
        "{:<58} {:>9} {:>17} {:>6} {:>9} {:>7} {:>6} {:>6} {:>8}",
        "line", "per s", "least..most", "ratio", "goal", "CPU us", "ratio", "APDUs", "commits"
    );
    for (line, counts) in lines.iter().zip(counts) {
        let rate = median(line.rates().iter().copied());
        let ratio = ratio(line, lines);
        let least = line.rates().iter().copied().fold(f64::INFINITY, f64::min);
        let most = line.rates().iter().copied().fold(0.0, f64::max);
        let goal = match line.goal {
            None => String::new(),
            Some(Goal::Ratio(goal)) => format!("{} {goal:.2}", met(ratio.is_some_and(|ratio| ratio >= goal))),
            Some(Goal::Rate(goal)) => format!("{} {goal:.0}", met(rate >= goal)),
            Some(Goal::Commands(most)) => {
                format!(
                    "{} {most:.0}",
                    met(counts.apdus.is_some_and(|apdus| apdus <= most))
                )
            }
            Some(Goal::Sum { most, .. }) => {
                format!("{} {most:.2}", met(ratio.is_some_and(|ratio| ratio <= most)))
            }
        };
        println!(
            "{:<58} {:>9} {:>17} {:>6} {goal:>9} {:>7} {:>6} {:>6} {:>8}",
            line.name,
            short(rate),
            format!("{}..{}", short(least), short(most)),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            line.computed()
                .map_or_else(String::new, |each| format!("{:.1}", each.as_secs_f64() * 1e6)),
            spared(line, lines).map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            counts
                .apdus
                .map_or_else(String::new, |apdus| format!("{apdus:.2}")),
            counts
                .commits
                .map_or_else(String::new, |commits| format!("{commits:.3}")),
        );
    }
    println!();
    println!(
        "ratio: to the line of the crypto library, round by round, of OpenSC the time beside that of a stored answer and of the \
         library together; CPU, APDUs and commits: for one signature or certificate"
    );
}

/// The median of the ratios to the baseline, each of one round.
fn ratio(line: &Line, lines: &[Line]) -> Option<f64> {
    if let Some(Goal::Sum { of, .. }) = line.goal {
        return times_the_sum(line, of, lines);
    }
    let baseline = lines
        .iter()
        .find(|other| line.baseline == Some(other.name.as_str()))?;
    Some(median(
        line.rates()
            .iter()
            .zip(baseline.rates())
            .map(|(rate, base)| rate / base),
    ))
}

/// The median of how many times as long as one piece of each of two others together a piece takes.
fn times_the_sum(line: &Line, of: [&str; 2], lines: &[Line]) -> Option<f64> {
    let [first, second] = of.map(|name| lines.iter().find(|other| other.name == name));
    let sums = first?
        .rates()
        .iter()
        .zip(second?.rates())
        .map(|(first, second)| 1.0 / first + 1.0 / second);
    Some(median(
        line.rates().iter().zip(sums).map(|(rate, sum)| 1.0 / rate / sum),
    ))
}

/// Processor time of the baseline as a part of the line's: what the ratio would be on a core nobody else uses, if the line did nothing
/// but compute.
fn spared(line: &Line, lines: &[Line]) -> Option<f64> {
    let baseline = lines
        .iter()
        .find(|other| line.baseline == Some(other.name.as_str()))?;
    Some(baseline.computed()?.as_secs_f64() / line.computed()?.as_secs_f64())
}

/// Small figures have a decimal place.
fn short(rate: f64) -> String {
    if rate < 100.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

const fn met(met: bool) -> &'static str {
    if met { "met" } else { "not" }
}
