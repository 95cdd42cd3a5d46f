//! `cargo xtask fuzz`: every target of `fuzz/fuzz_targets` for a while.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::compiler;
use crate::failure::Failure;
use crate::instrument;
use crate::pool;
use crate::run::{self, Workspace, command_line};
use crate::setup;
use crate::steps::seconds;

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
    let start = Instant::now();
    run::run(&mut build(workspace, "cargo", Build::Long, &targets)?)?;
    println!("built in {}", seconds(start.elapsed()));
    let folder = programs(workspace, Build::Long)?;
    pool::each(&targets, pool::processors(), |target| {
        let line = run_target(workspace, &folder, Priority::Normal, target, duration)?;
        println!("{line}");
        Ok(())
    })
    .into_iter()
    .collect()
}

/// Builds all targets while something else is done: with what that leaves of the processors, and in silence.
///
/// # Errors
/// When the build fails.
pub(crate) fn build_aside(workspace: &Workspace) -> Result<(), Failure> {
    let start = Instant::now();
    let mut command = build(workspace, "nice", Build::Short, &targets(workspace)?)?;
    let line = command_line(&command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(Failure::io(format!("starting `{line}`")))?;
    if !output.status.success() {
        println!("$ {line}\n{}", String::from_utf8_lossy(&output.stderr));
        return Err(Failure::Command {
            line,
            how: output.status.to_string(),
        });
    }
    println!(
        "\n-- fuzz targets built beside the tests: {}",
        seconds(start.elapsed())
    );
    Ok(())
}

/// Runs targets that have been built for five seconds each, four of them on each processor: all seeds, and a little more. Begins
/// none after `until` says so; the names of those it did not run.
///
/// # Errors
/// As [`fn@run`].
pub(crate) fn smoke(
    workspace: &Workspace,
    priority: Priority,
    targets: Vec<String>,
    until: impl Fn() -> bool + Sync,
) -> Result<Vec<String>, Failure> {
    let start = Instant::now();
    let folder = programs(workspace, Build::Short)?;
    let done = pool::each(targets, 4 * pool::processors(), |target| {
        if until() {
            return Ok(Err(target));
        }
        run_target(workspace, &folder, priority, &target, SMOKE).map(Ok)
    });
    let (mut lines, mut left) = (Vec::new(), Vec::new());
    for outcome in done {
        match outcome? {
            Ok(line) => lines.push(line),
            Err(target) => left.push(target),
        }
    }
    if !lines.is_empty() {
        println!(
            "\n-- fuzz targets: {}\n{}",
            seconds(start.elapsed()),
            lines.join("\n")
        );
    }
    Ok(left)
}

/// What targets take of the processors.
#[derive(Clone, Copy)]
pub(crate) enum Priority {
    /// As much as others.
    Normal,
    /// What others leave.
    Low,
}

/// What the targets are built for.
#[derive(Clone, Copy)]
enum Build {
    /// For the test command: on top of what the tests were built with.
    Short,
    /// To find something: optimised, and dependencies are instrumented, too.
    Long,
}

/// The command that builds targets, by cargo or by what runs cargo.
///
/// # Errors
/// As [`instrument::workspace`], and when the compiler does not say for what it compiles.
fn build(workspace: &Workspace, program: &str, build: Build, targets: &[String]) -> Result<Command, Failure> {
    let cargo = workspace.cargo();
    let mut command = if program == "cargo" {
        cargo
    } else {
        let mut command = workspace.command(program);
        command.args(["-n", "19"]).arg(cargo.get_program());
        for (name, value) in cargo.get_envs() {
            if value.is_none() {
                command.env_remove(name);
            }
        }
        command
    };
    command.args(["build", "--locked", "--features", "chancery-fuzz/engine"]);
    match build {
        Build::Short => {
            instrument::workspace(&mut command)?;
            // The same packages with the same features as for the tests.
            command.args(["--workspace", "--example", AN_EXAMPLE]);
            compiler::profile(&mut command);
        }
        Build::Long => {
            instrument::all(&mut command);
            command
                .args(["--package", "chancery-fuzz", "--profile", PROFILE])
                .args(["--target", &host(workspace)?, "--target-dir"])
                .arg(workspace.root().join(TARGET));
        }
    }
    for target in targets {
        command.args(["--bin", target]);
    }
    Ok(command)
}

/// Where cargo put the targets.
fn programs(workspace: &Workspace, build: Build) -> Result<PathBuf, Failure> {
    match build {
        // Beside this program.
        Build::Short => Ok(compiler::copy()?.parent().map(Path::to_owned).unwrap_or_default()),
        Build::Long => Ok(workspace.root().join(TARGET).join(host(workspace)?).join(PROFILE)),
    }
}

/// What the compiler compiles for. What runs while building is compiled without instrumentation only where a target is named.
fn host(workspace: &Workspace) -> Result<String, Failure> {
    let mut question = workspace.command("rustc");
    let output = question
        .args(["--print", "host-tuple"])
        .output()
        .map_err(Failure::io("starting `rustc`"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs one target: a line about it. What it prints is shown only when it finds something.
fn run_target(
    workspace: &Workspace,
    programs: &Path,
    priority: Priority,
    target: &str,
    duration: Duration,
) -> Result<String, Failure> {
    let corpus = format!("fuzz/corpus/{target}");
    let artifacts = format!("fuzz/artifacts/{target}/");
    for folder in [&corpus, &artifacts] {
        std::fs::create_dir_all(workspace.root().join(folder))
            .map_err(Failure::io(format!("making {folder}")))?;
    }
    let program = programs.join(target);
    // How long an input may take, by the clock on the wall: key generation is slow, and slower with what others leave.
    let (mut command, patience) = match priority {
        Priority::Normal => (Command::new(program), 20),
        Priority::Low => {
            let mut command = Command::new("nice");
            command.args(["-n", "19"]).arg(program);
            (command, 300)
        }
    };
    command
        .current_dir(workspace.root())
        .arg(format!("-timeout={patience}"))
        .arg(format!("-artifact_prefix={artifacts}"))
        .arg(format!("-max_total_time={}", duration.as_secs()))
        .args(ENGINE)
        // New inputs go to the first folder; the second holds the seeds that are kept in the repository.
        .arg(&corpus);
    let seeds = format!("fuzz/seeds/{target}");
    if workspace.root().join(&seeds).is_dir() {
        command.arg(seeds);
    }
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
    Ok(format!("{target:<10} {}", closing_line(&text)))
}

/// The engine's own closing line, such as `Done 123 runs in 6 second(s)`.
fn closing_line(output: &str) -> &str {
    output
        .lines()
        .rev()
        .find(|line| line.starts_with("Done "))
        .unwrap_or("done")
}

/// The targets by name: each file of `fuzz/fuzz_targets`.
///
/// # Errors
/// When the folder cannot be listed.
pub(crate) fn targets(workspace: &Workspace) -> Result<Vec<String>, Failure> {
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

/// Where those are built that are to find something.
const TARGET: &str = "fuzz/target";

/// How long each target runs in the test command.
const SMOKE: Duration = Duration::from_secs(5);

const PROFILE: &str = "fuzz";

/// Of the fuzz crate. Cargo takes what tests and examples alone need into account where it builds one.
const AN_EXAMPLE: &str = "record_response_seeds";

/// An input may take 2 GiB.
const ENGINE: &[&str] = &["-rss_limit_mb=2048", "-print_final_stats=1"];
