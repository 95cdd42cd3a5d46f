//! The compiler's instrumentation for the fuzzing engine, which learns from it what an input reaches.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::compiler;
use crate::failure::Failure;

/// Instruments everything that `cargo` compiles for a target that is named, dependencies too.
pub(crate) fn all(cargo: &mut Command) {
    cargo.env("RUSTFLAGS", FLAGS.join(" "));
}

/// Instruments the crates of the workspace alone, so that all they depend on is what the tests were built with. A copy of this
/// program stands in for the compiler.
///
/// # Errors
/// [`Failure::Io`] when this program cannot be copied.
pub(crate) fn workspace(cargo: &mut Command) -> Result<(), Failure> {
    let compiler = compiler::copy()?;
    // What different programs compiled has different names.
    let ours = compiler.with_file_name("xtask-instrument");
    fs::copy(&compiler, &ours).map_err(Failure::io(format!("copying {}", compiler.display())))?;
    cargo.env("RUSTC_WORKSPACE_WRAPPER", ours).env(ASKED, "1");
    Ok(())
}

/// When cargo runs us as a compiler, its exit code: the compiler takes our place.
pub(crate) fn stand_in() -> Option<ExitCode> {
    env::var_os(ASKED)?;
    let mut arguments = env::args_os().skip(1);
    let rustc = PathBuf::from(arguments.next()?);
    let error = Command::new(&rustc)
        .args(instrumented(arguments.collect()))
        .exec();
    eprintln!("error: {}: {error}", rustc.display());
    Some(ExitCode::FAILURE)
}

/// The compiler's arguments with ours added, where what is compiled becomes part of a target.
fn instrumented(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let value_of = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    let compiles = arguments
        .iter()
        .any(|argument| Path::new(argument).extension().is_some_and(|end| end == "rs"));
    let is_of_the_build = value_of("--crate-name").is_some_and(|name| name == "build_script_build")
        || value_of("--crate-type").is_some_and(|kind| kind == "proc-macro");
    if compiles && !is_of_the_build {
        // A library for C has the same name whoever compiled it: the tests go on with theirs.
        while let Some(at) = arguments
            .windows(2)
            .position(|pair| pair[0] == "--crate-type" && pair[1] == "cdylib")
        {
            arguments.drain(at..at + 2);
        }
        arguments.extend(FLAGS.iter().map(OsString::from));
    }
    arguments
}

/// That we are called as a compiler.
const ASKED: &str = "XTASK_INSTRUMENT";

const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn what_becomes_part_of_a_target_is_instrumented_and_no_library_for_c_is_made() {
        let ours = instrumented(given(
            "--crate-name a crates/a/src/lib.rs --crate-type lib --crate-type cdylib --out-dir /t",
        ));
        let (head, flags) = ours.split_at(ours.len() - FLAGS.len());
        assert_eq!(
            head,
            given("--crate-name a crates/a/src/lib.rs --crate-type lib --out-dir /t")
        );
        assert_eq!(flags, FLAGS);
    }

    #[test]
    fn what_runs_while_building_and_questions_are_left_alone() {
        for line in [
            "--crate-name build_script_build crates/a/build.rs --crate-type bin",
            "--crate-name a crates/a/src/lib.rs --crate-type proc-macro",
            "- --crate-name ___ --print=file-names",
            "-vV",
        ] {
            assert_eq!(instrumented(given(line)), given(line));
        }
    }
}
