//! The tests of the workspace: built by cargo, linted and documented on the way, then several test programs run at a time, and the
//! examples in comments beside them.
//!
//! `cargo test` runs one test program after another, and some of them wait most of their time for other programs.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::compiler;
use crate::failure::Failure;
use crate::pool;
use crate::program::{Outcome, Program, library};
use crate::run::{Workspace, command_line};
use crate::scratch::Scratch;
use crate::steps::seconds;

/// Builds everything, with lints and documentation.
///
/// # Errors
/// When a crate does not compile, or anything is warned of.
pub(crate) fn build(workspace: &Workspace) -> Result<(), Failure> {
    built(workspace).map(|_| ())
}

/// Runs all tests. Test programs run to the end whichever fails. `measured` becomes true when those have ended that no
/// other tests run beside.
///
/// # Errors
/// When the build fails, or naming every test program that failed.
pub(crate) fn run(workspace: &Workspace, measured: &AtomicBool) -> Result<(), Failure> {
    let Built {
        mut programs,
        variables,
    } = built(workspace)?;
    let scratch = Scratch::new(workspace);
    match &scratch {
        Some(scratch) => println!("tests write to memory: {}", scratch.path().display()),
        None => println!("tests write to disk: no memory for them (decision 0009 says what they need)"),
    }
    programs.sort_by_key(|program| {
        LONG.iter()
            .position(|title| program.title(workspace) == *title)
            .unwrap_or(LONG.len())
    });
    let start = Instant::now();
    let mut alone = Vec::new();
    let mut together = Vec::new();
    for mut program in programs {
        match ALONE.iter().find(|(name, _)| program.name == *name) {
            None => together.push(program),
            Some((_, None)) => alone.push(program),
            Some((_, Some(tests))) => {
                let mut part = program.clone();
                part.selection = vec![tests];
                alone.push(part);
                program.selection = vec!["--skip", tests];
                together.push(program);
            }
        }
    }
    let run = |program: Program| {
        let mut variables = variables.clone();
        if let Some(scratch) = &scratch
            && !ON_DISK.contains(&program.name.as_str())
        {
            variables.push(("TMPDIR", scratch.path().to_owned()));
        }
        program.run(workspace, &variables)
    };
    let mut outcomes = pool::each(alone, 1, run);
    measured.store(true, Ordering::Relaxed);
    outcomes.extend(pool::each(together, at_once(), run));
    println!(
        "\n{} test programs: {}\n{}",
        outcomes.len(),
        seconds(start.elapsed()),
        work(&mut outcomes)
    );
    let failed: Vec<_> = outcomes
        .into_iter()
        .filter_map(|outcome| outcome.failure)
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(Failure::Tests(failed))
    }
}

/// Runs the examples in comments beside the other tests; what they say is shown when they have ended.
///
/// # Errors
/// When one does not compile, or fails.
pub(crate) fn examples(workspace: &Workspace) -> Result<(), Failure> {
    let start = Instant::now();
    let mut command = compiler::cargo(workspace)?;
    command.args(["test", "--workspace", "--locked", "--doc"]);
    let line = command_line(&command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(Failure::io(format!("starting `{line}`")))?;
    let [said, warned] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    println!("$ {line}\n{warned}{said}");
    if !output.status.success() {
        return Err(Failure::Command {
            line,
            how: output.status.to_string(),
        });
    }
    println!("-- examples in comments: {}", seconds(start.elapsed()));
    Ok(())
}

/// What cargo built.
struct Built {
    programs: Vec<Program>,
    /// For the tests.
    variables: Vec<(&'static str, PathBuf)>,
}

fn built(workspace: &Workspace) -> Result<Built, Failure> {
    let mut command = compiler::cargo(workspace)?;
    // As `cargo test --no-run`, and what no test needs, too: every program, every example. `--all-targets` would build every library for
    // benchmarks, too, with or without tests.
    command.args([
        "build",
        "--workspace",
        "--lib",
        "--bins",
        "--examples",
        "--tests",
        "--locked",
    ]);
    let line = command_line(&command);
    println!("$ {line}");
    // What the compiler says goes to standard error as ever.
    let output = command
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Failure::io(format!("starting `{line}`")))?;
    if !output.status.success() {
        return Err(Failure::Command {
            line,
            how: output.status.to_string(),
        });
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let programs: Vec<_> = said.lines().filter_map(Program::of_message).collect();
    if programs.is_empty() {
        return Err(Failure::Rules(vec![format!(
            "no test program in what `{line}` says"
        )]));
    }
    let module = said
        .lines()
        .find_map(|line| library(line, "libchancery_pkcs11.so"));
    Ok(Built {
        programs,
        variables: module
            .map(|path| ("CHANCERY_TEST_MODULE", path))
            .into_iter()
            .collect(),
    })
}

/// What the processors worked for the tests, and for which of them most.
fn work(outcomes: &mut [Outcome]) -> String {
    outcomes.sort_by_key(|outcome| std::cmp::Reverse(outcome.worked));
    let all: Duration = outcomes.iter().map(|outcome| outcome.worked).sum();
    let most: Vec<_> = outcomes
        .iter()
        .take(10)
        .map(|outcome| format!("\n    {:>9}  {}", seconds(outcome.worked), outcome.title))
        .collect();
    format!(
        "the processors worked {}, most of it for{}",
        seconds(all),
        most.concat()
    )
}

/// How many test programs run at a time. Two more than there are processors, since some wait; more would only take longer each.
fn at_once() -> usize {
    pool::processors().min(3) + 2
}

/// These take longest and begin first, so that the others run beside them.
const LONG: &[&str] = &[
    "dkek of crates/cli",
    "opensc of crates/cli",
    "it of crates/center",
    "lease of crates/cli",
    "pkcs11_node of crates/cli",
    "over_the_wire of crates/cli",
    "kill of crates/cli",
    "json of crates/cli",
    "token_keys of crates/cli",
    "remote_quorum of crates/cli",
    "suite of crates/store-sqlite",
    "it of crates/attest",
    "it of crates/tokens",
    "quickstart_remote of crates/cli",
    "crowd of crates/bench",
    "wrong_share of crates/dkek",
    "quickstart of crates/cli",
    "suite of crates/keys",
];

/// These write to disk in any case: they kill a node while it writes, and in memory that takes no time.
const ON_DISK: &[&str] = &["kill"];

/// Test programs that no others run beside, before them, or some tests of theirs: they compare what is done in a second with what
/// was done before, or how much a node has written when its disk is full.
const ALONE: &[(&str, Option<&str>)] = &[("load", None), ("kill", Some("disk::"))];
