//! `cargo xtask fuzz`: every target of `fuzz/fuzz_targets` for a while.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::pool;
use crate::run::{self, Workspace, command_line};
use crate::setup;
use crate::steps::seconds;
use crate::tools;

/// Runs the named targets, or all of them, for `duration` each.
///
/// # Errors
/// When a build fails, a target is unknown, or a target finds an input that breaks it.
pub(crate) fn run(workspace: &Workspace, duration: Duration, wanted: &[String]) -> Result<(), Failure> {
    println!("== setup ==");
    setup::ensure(workspace, setup::FUZZ)?;
    let mut targets = targets(workspace)?;
    for name in wanted {
        if !targets.contains(name) {
            let known = targets.join(", ");
            return Err(Failure::Rules(vec![format!(
                "no fuzz target {name}; there are {known}"
            )]));
        }
    }
    if !wanted.is_empty() {
        targets.retain(|name| wanted.contains(name));
    }
    println!("\n== build and run: {} ==", targets.join(", "));
    build_and_run(workspace, &targets, duration)
}

/// Runs every target for five seconds; the setup has been done.
///
/// # Errors
/// As [`fn@run`].
pub(crate) fn smoke(workspace: &Workspace) -> Result<(), Failure> {
    build_and_run(workspace, &targets(workspace)?, SMOKE)
}

fn build_and_run(workspace: &Workspace, targets: &[String], duration: Duration) -> Result<(), Failure> {
    tools::FUZZ.ensure(workspace)?;
    // The fuzz crate has a lock file of its own; cargo-fuzz would rewrite a stale one without a word.
    run::run(workspace.cargo().args([
        "tree",
        "--locked",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--depth",
        "0",
    ]))?;
    let start = Instant::now();
    run::run(cargo_fuzz(workspace, "build").args(FLAGS))?;
    println!("built in {}", seconds(start.elapsed()));
    pool::each(targets, pool::processors(), |target| {
        run_target(workspace, target, duration)
    })
    .into_iter()
    .collect()
}

/// Runs one target; what it prints is shown only when it finds something.
fn run_target(workspace: &Workspace, target: &str, duration: Duration) -> Result<(), Failure> {
    let corpus = format!("fuzz/corpus/{target}");
    let doing = |what: &str| Failure::io(format!("{what} {corpus}"));
    std::fs::create_dir_all(workspace.root().join(&corpus)).map_err(doing("making"))?;
    let mut command = cargo_fuzz(workspace, "run");
    // New inputs go to the first folder; the second holds the seeds that are kept in the repository.
    command.args(FLAGS).args([target, &corpus]);
    let seeds = format!("fuzz/seeds/{target}");
    if workspace.root().join(&seeds).is_dir() {
        command.arg(seeds);
    }
    command
        .arg("--")
        .arg(format!("-max_total_time={}", duration.as_secs()))
        .args(ENGINE);
    let words = format!("fuzz/dictionaries/{target}.dict");
    if workspace.root().join(&words).is_file() {
        command.arg(format!("-dict={words}"));
    }
    let line = command_line(&command);
    let output = command
        .output()
        .map_err(Failure::io(format!("starting `{line}`")))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        println!("$ {line}\n{text}");
        return Err(Failure::Command {
            line,
            how: output.status.to_string(),
        });
    }
    println!("{target:<10} {}", closing_line(&text));
    Ok(())
}

/// The engine's own closing line, such as `Done 123 runs in 6 second(s)`.
fn closing_line(output: &str) -> &str {
    output
        .lines()
        .rev()
        .find(|line| line.starts_with("Done "))
        .unwrap_or("done")
}

fn cargo_fuzz(workspace: &Workspace, verb: &str) -> Command {
    let mut command = workspace.cargo();
    // Coverage instrumentation is an unstable flag of the stable compiler.
    command.env("RUSTC_BOOTSTRAP", "1").args(["fuzz", verb]);
    command
}

/// The targets by name: each file of `fuzz/fuzz_targets`.
fn targets(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let folder = workspace.root().join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).map_err(Failure::io(format!("listing {}", folder.display())))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(Failure::io(format!("listing {}", folder.display())))?
            .path();
        if path.extension() == Some("rs".as_ref())
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// How long each target runs in the test command.
const SMOKE: Duration = Duration::from_secs(5);

// No crate of ours that is fuzzed may hold unsafe code, so that the address sanitizer would cost build time and find
// nothing.
const FLAGS: &[&str] = &["--sanitizer", "none"];

/// An input may take 20 s (RSA key generation is slow) and 2 GiB.
const ENGINE: &[&str] = &["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"];
