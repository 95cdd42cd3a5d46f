//! Project automation: `cargo xtask quickstart | test | rules | bench | fuzz`.
//!
//! Depends on the standard library alone, so that it builds on a machine that has a Rust toolchain and a C
//! compiler and nothing else, and can then install what the rest of the workspace needs.
//!
//! Exit codes: 0 done, 1 a step failed, 2 wrong arguments, 3 something has to be installed by hand first (the
//! line to type is printed). `quickstart` ends with the exit code of `chancery quickstart`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program for developers"
)]

mod arguments;
mod bench;
mod checks;
mod compiler;
mod failure;
mod fuzz;
mod instrument;
mod pool;
mod probe;
mod program;
mod quickstart;
mod run;
mod scratch;
mod setup;
mod steps;
mod suite;
mod test;
mod tools;

use std::process::ExitCode;

use arguments::{Invocation, USAGE};
use run::Workspace;

fn main() -> ExitCode {
    if let Some(code) = compiler::stand_in().or_else(instrument::stand_in) {
        return code;
    }
    let invocation = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(invocation) => invocation,
        Err(message) => {
            eprintln!("error: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = Workspace::locate().and_then(|workspace| match invocation {
        Invocation::Help => {
            println!("{USAGE}");
            Ok(())
        }
        Invocation::Quickstart { arguments } => quickstart::run(&workspace, &arguments),
        Invocation::Test => test::run(&workspace),
        Invocation::Rules => checks::run(&workspace),
        Invocation::Bench { arguments } => bench::run(&workspace, &arguments),
        Invocation::Fuzz { seconds, targets } => fuzz::run(&workspace, seconds, &targets),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
