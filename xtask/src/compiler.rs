//! Lints and documentation while the tests are built.
//!
//! `cargo clippy` and `cargo doc` compile everything once more, each in its own way. But clippy's driver is a compiler, and
//! rustdoc takes what it has compiled. So a copy of this program stands in for the compiler of the workspace's crates: it calls
//! clippy's driver, then rustdoc, and a warning of either is an error.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, PoisonError};

use crate::failure::Failure;
use crate::run::Workspace;

/// The cargo that runs us, with this program as compiler of the workspace's crates.
///
/// # Errors
/// [`Failure::Io`] when this program cannot be copied.
pub(crate) fn cargo(workspace: &Workspace) -> Result<Command, Failure> {
    let mut command = workspace.cargo();
    profile(&mut command);
    command
        .env("RUSTC_WORKSPACE_WRAPPER", copy()?)
        .env(ASKED, "1")
        // How cargo-clippy hands its own arguments on. The driver has cargo compile anew when they change.
        .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
    Ok(command)
}

/// What is built for the test command is built without debug information: a panic says where it is without, and who debugs something
/// builds it for that.
pub(crate) fn profile(cargo: &mut Command) {
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "none");
}

/// A copy of this program, made once: cargo builds this program again, as one of the crates, and puts it where this one was.
pub(crate) fn copy() -> Result<PathBuf, Failure> {
    static MADE: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(copy) = &*made {
        return Ok(copy.clone());
    }
    let program = env::current_exe().map_err(Failure::io("finding this program"))?;
    let copy = program.with_file_name("xtask-compiler");
    let new = program.with_file_name(format!("xtask-compiler-{}", std::process::id()));
    fs::copy(&program, &new)
        .and_then(|_| fs::rename(&new, &copy))
        .map_err(Failure::io(format!(
            "copying {} to {}",
            program.display(),
            copy.display()
        )))?;
    *made = Some(copy.clone());
    Ok(copy)
}

/// When cargo runs us as a compiler, the compiler's exit code.
pub(crate) fn stand_in() -> Option<ExitCode> {
    env::var_os(ASKED)?;
    let mut arguments = env::args_os().skip(1);
    let rustc = PathBuf::from(arguments.next()?);
    let arguments: Vec<_> = arguments.collect();
    let mut commands = vec![Command::new(rustc.with_file_name("clippy-driver"))];
    commands[0].arg(&rustc).args(&arguments);
    if let Some(arguments) = of_rustdoc(&arguments) {
        let mut rustdoc = Command::new(rustc.with_file_name("rustdoc"));
        rustdoc
            .args(arguments)
            .args(["-D", "warnings"])
            // Nobody reads the pages of a test run; not to write them is an option that stable compilers take only so.
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["-Z", "unstable-options", "--check"]);
        commands.push(rustdoc);
    }
    for mut command in commands {
        match command.status() {
            Ok(status) if status.success() => {}
            Ok(status) => return Some(code(status.code())),
            Err(error) => {
                eprintln!("error: {}: {error}", Path::new(command.get_program()).display());
                return Some(ExitCode::FAILURE);
            }
        }
    }
    Some(ExitCode::SUCCESS)
}

fn code(code: Option<i32>) -> ExitCode {
    code.and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from)
}

/// What rustdoc is given for the crate that the compiler is called for with these arguments. `None` when it is none that `cargo doc`
/// would document, or when the compiler is merely asked something.
fn of_rustdoc(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let mut ours = Vec::new();
    let mut program = false;
    let mut source = None;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let text = argument.to_str()?;
        match text {
            "--test" | "--print" | "-vV" => return None,
            "--crate-name" | "--crate-type" | "--extern" | "-L" | "--cfg" | "--check-cfg" | "--cap-lints" => {
                let value = rest.next()?;
                program |= text == "--crate-type" && value == "bin";
                if text == "--crate-name" && value == "build_script_build" {
                    return None;
                }
                ours.extend([argument.clone(), value.clone()]);
            }
            "-C" | "--out-dir" => {
                rest.next()?;
            }
            _ if KEPT.iter().any(|start| text.starts_with(start)) => ours.push(argument.clone()),
            _ if Path::new(text).extension() == Some(OsStr::new("rs")) => source = Some(argument),
            _ => {}
        }
    }
    let source = source?;
    if Path::new(source)
        .components()
        .any(|part| part.as_os_str() == "examples")
    {
        return None;
    }
    if program {
        // As cargo does: nobody else sees any of it.
        ours.extend(["--document-private-items", "-Arustdoc::private-intra-doc-links"].map(OsString::from));
    }
    ours.push(source.clone());
    Some(ours)
}

/// That we are called as a compiler.
const ASKED: &str = "XTASK_COMPILER";

/// Beginnings of arguments that mean the same to rustdoc.
const KEPT: &[&str] = &[
    "--edition=",
    "--error-format=",
    "--json=",
    "--allow=",
    "--warn=",
    "--deny=",
    "--forbid=",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(line: &str) -> Option<String> {
        let arguments: Vec<_> = line.split_whitespace().map(OsString::from).collect();
        let ours = of_rustdoc(&arguments)?;
        Some(ours.join(OsStr::new(" ")).into_string().expect("text"))
    }

    #[test]
    fn rustdoc_gets_what_concerns_it() {
        let compiled = "--crate-name a --edition=2024 crates/a/src/lib.rs --error-format=json \
                        --json=artifacts --crate-type lib --emit=dep-info,metadata,link -C embed-bitcode=no \
                        --warn=missing_docs --cfg feature=\"x\" -C metadata=1 --out-dir /t/deps -L dependency=/t/deps \
                        --extern b=/t/deps/libb.rmeta";
        let expected = "--crate-name a --edition=2024 --error-format=json --json=artifacts --crate-type lib \
                        --warn=missing_docs --cfg feature=\"x\" -L dependency=/t/deps \
                        --extern b=/t/deps/libb.rmeta crates/a/src/lib.rs";
        assert_eq!(converted(compiled).as_deref(), Some(expected));
        let program = converted("--crate-name a --crate-type bin crates/a/src/main.rs");
        assert_eq!(
            program.as_deref(),
            Some(
                "--crate-name a --crate-type bin --document-private-items \
                 -Arustdoc::private-intra-doc-links crates/a/src/main.rs"
            )
        );
    }

    #[test]
    fn tests_examples_build_scripts_and_questions_are_not_documented() {
        for line in [
            "--crate-name a crates/a/src/lib.rs --test",
            "--crate-name one --crate-type bin crates/a/examples/one.rs",
            "--crate-name build_script_build --crate-type bin crates/a/build.rs",
            "- --crate-name ___ --print=file-names",
            "-vV",
        ] {
            assert_eq!(converted(line), None, "{line}");
        }
    }
}
