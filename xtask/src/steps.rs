//! Named steps run in order, timed, with a closing summary.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::run::Workspace;

/// One named step.
pub(crate) struct Step {
    /// Shown as heading and in the summary.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) action: fn(&Workspace) -> Result<(), Failure>,
}

/// Runs the steps in order up to the first failure, prints a heading and the time of each, then a summary.
///
/// # Errors
/// [`Failure::Step`] naming the step that failed; its own failure has been printed.
pub(crate) fn run_all(workspace: &Workspace, steps: &[Step]) -> Result<(), Failure> {
    let start = Instant::now();
    let mut times = Vec::with_capacity(steps.len());
    let mut failed = None;
    for (index, step) in steps.iter().enumerate() {
        println!("\n== {}/{} {} ==", index + 1, steps.len(), step.name);
        let step_start = Instant::now();
        let outcome = (step.action)(workspace);
        let elapsed = step_start.elapsed();
        times.push(elapsed);
        match outcome {
            Ok(()) => println!("-- {}: {}", step.name, seconds(elapsed)),
            Err(failure) => {
                println!("-- {}: FAILED after {}\n{failure}", step.name, seconds(elapsed));
                failed = Some(Failure::Step {
                    name: step.name,
                    code: failure.exit_code(),
                });
                break;
            }
        }
    }
    println!("\n== summary ==\n{}", summary(steps, &times, failed.is_some()));
    println!("  {:<34} {:>9}", "all", seconds(start.elapsed()));
    failed.map_or(Ok(()), Err)
}

/// One line a step: done with its time, failed with its time, or not run.
fn summary(steps: &[Step], times: &[Duration], failed: bool) -> String {
    let mut lines = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let (time, word) = match times.get(index) {
            None => ("-".to_owned(), "not run"),
            Some(time) if failed && index + 1 == times.len() => (seconds(*time), "FAILED"),
            Some(time) => (seconds(*time), "ok"),
        };
        lines.push(format!("  {:<34} {time:>9}  {word}", step.name));
    }
    lines.join("\n")
}

/// A duration as people read it: tenths of a second, minutes from one minute on.
pub(crate) fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        format!("{} min {:02} s", tenths / 600, tenths % 600 / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fine(_: &Workspace) -> Result<(), Failure> {
        Ok(())
    }

    fn broken(_: &Workspace) -> Result<(), Failure> {
        Err(Failure::Missing {
            what: vec![],
            remedy: String::new(),
        })
    }

    #[test]
    fn the_first_failure_ends_the_run_and_keeps_its_exit_code() {
        let steps = [
            Step {
                name: "first",
                action: fine,
            },
            Step {
                name: "second",
                action: broken,
            },
            Step {
                name: "third",
                action: fine,
            },
        ];
        let failure = run_all(&Workspace::at(".".into()), &steps).expect_err("the second step fails");
        assert!(matches!(
            failure,
            Failure::Step {
                name: "second",
                code: 3
            }
        ));
        let lines = summary(&steps, &[Duration::ZERO, Duration::from_secs(75)], true);
        let words: Vec<_> = lines
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            words,
            ["first 0.0 s ok", "second 1 min 15 s FAILED", "third - not run"]
        );
    }
}
