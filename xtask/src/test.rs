//! `cargo xtask test`: everything continuous integration does.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::checks;
use crate::failure::Failure;
use crate::fuzz::{self, Priority};
use crate::run::{self, Workspace};
use crate::setup;
use crate::steps::{Step, run_all};
use crate::suite;
use crate::tools;

/// Runs every step up to the first failure.
///
/// # Errors
/// Names the step that failed.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    run_all(workspace, STEPS)
}

const STEPS: &[Step] = &[
    Step {
        name: "setup",
        action: setup,
    },
    Step {
        name: "format",
        action: format,
    },
    Step {
        name: "build, lints, documentation",
        action: suite::build,
    },
    Step {
        name: "tests; fuzz, 5 s a target",
        action: tests,
    },
    Step {
        name: "licences, bans and sources",
        action: dependencies,
    },
    Step {
        name: "repository rules",
        action: checks::run,
    },
];

fn setup(workspace: &Workspace) -> Result<(), Failure> {
    setup::ensure(workspace, setup::TEST)?;
    tools::DENY.ensure(workspace)
}

/// Some tests run alone, and leave the processors half idle: that is the time for the examples, and to build and run the fuzz targets,
/// which takes away what the examples are built on. Targets there was no time for are run in the end.
fn tests(workspace: &Workspace) -> Result<(), Failure> {
    let measured = AtomicBool::new(false);
    let left = thread::scope(|scope| {
        let aside = || {
            suite::examples(workspace)?;
            fuzz::build_aside(workspace)?;
            let until = || measured.load(Ordering::Relaxed);
            fuzz::smoke(workspace, Priority::Low, fuzz::targets(workspace)?, until)
        };
        let aside = scope.spawn(aside);
        let tests = suite::run(workspace, &measured);
        measured.store(true, Ordering::Relaxed);
        let aside = aside.join().unwrap_or_else(|panic| resume_unwind(panic));
        if let (Err(_), Err(failure)) = (&tests, &aside) {
            println!("beside the tests that failed, too: {failure}");
        }
        tests.and(aside)
    })?;
    fuzz::smoke(workspace, Priority::Normal, left, || false).map(drop)
}

fn format(workspace: &Workspace) -> Result<(), Failure> {
    run::run(workspace.cargo().args(["fmt", "--all", "--check"]))
}

fn dependencies(workspace: &Workspace) -> Result<(), Failure> {
    run::run(
        workspace
            .cargo()
            .args(["deny", "--locked", "check", "licenses", "bans", "sources"]),
    )
}
