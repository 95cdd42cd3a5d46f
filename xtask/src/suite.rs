//! The tests of the workspace: built by cargo, then several test programs run at a time, then the examples in comments.
//!
//! `cargo test` runs one test program after another, and some of them wait most of their time for other programs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::failure::Failure;
use crate::pool;
use crate::run::{self, Workspace, command_line};
use crate::steps::seconds;

/// Builds and runs all tests. Test programs run to the end whichever fails.
///
/// # Errors
/// When the build fails, or naming every test program that failed.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let start = Instant::now();
    let mut programs = build(workspace)?;
    println!("built in {}", seconds(start.elapsed()));
    programs.sort_by_key(|program| {
        LONG.iter()
            .position(|name| program.name == *name)
            .unwrap_or(LONG.len())
    });
    let start = Instant::now();
    let number = programs.len();
    let (alone, together): (Vec<_>, Vec<_>) = programs
        .into_iter()
        .partition(|program| ALONE.contains(&program.name.as_str()));
    let run = |program: Program| run_program(workspace, &program);
    let mut outcomes = pool::each(together, at_once(), run);
    outcomes.extend(pool::each(alone, 1, run));
    let failed: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    println!("\n{number} test programs: {}", seconds(start.elapsed()));
    if !failed.is_empty() {
        return Err(Failure::Tests(failed));
    }
    run::run(
        workspace
            .cargo()
            .args(["test", "--workspace", "--locked", "--doc"]),
    )
}

/// A test program that cargo built.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// Of the file in `tests`, or of the crate.
    name: String,
    /// Where cargo put it.
    executable: PathBuf,
    /// The folder of its package.
    folder: PathBuf,
}

fn build(workspace: &Workspace) -> Result<Vec<Program>, Failure> {
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--locked", "--no-run"]);
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
    let programs: Vec<_> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(Program::of_message)
        .collect();
    if programs.is_empty() {
        return Err(Failure::Rules(vec![format!(
            "no test program in what `{line}` says"
        )]));
    }
    Ok(programs)
}

impl Program {
    /// From a line of cargo's that reports a test program; other lines are about libraries and the like.
    fn of_message(line: &str) -> Option<Self> {
        let line = line.strip_prefix(r#"{"reason":"compiler-artifact","#)?;
        let (profile, rest) = line.split_once(r#""profile":{"#)?.1.split_once('}')?;
        if !profile.contains(r#""test":true"#) {
            return None;
        }
        let manifest = PathBuf::from(text_field(line, "manifest_path")?);
        let target = line.split_once(r#""target":{"#)?.1;
        Some(Self {
            name: text_field(target, "name")?,
            executable: text_field(rest, "executable")?.into(),
            folder: manifest.parent()?.to_owned(),
        })
    }
}

/// The first field of this name that is a text, with the escapes that paths need.
fn text_field(json: &str, name: &str) -> Option<String> {
    let mut rest = json.split_once(&format!(r#""{name}":""#))?.1.chars();
    let mut text = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => text.push(rest.next().filter(|c| r#"\/""#.contains(*c))?),
            other => text.push(other),
        }
    }
}

/// Runs one test program; what it says is shown when it has ended. The error is its name and how it ended.
fn run_program(workspace: &Workspace, program: &Program) -> Result<(), String> {
    let start = Instant::now();
    let mut command = Command::new(&program.executable);
    command
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder);
    let (outcome, said) = ended(&mut command, &program.executable.with_extension("log"));
    let time = seconds(start.elapsed());
    let folder = program
        .folder
        .strip_prefix(workspace.root())
        .unwrap_or(&program.folder);
    let title = format!("{} of {}", program.name, folder.display());
    let said = said.trim();
    match outcome {
        Ok(()) => {
            println!("\n-- {title}: {time}\n{said}");
            Ok(())
        }
        Err(how) => {
            println!("\n-- {title}: FAILED after {time}\n{said}\n{how}");
            Err(format!("{title}: {how}{}", failed_tests(said)))
        }
    }
}

/// Runs a program to its end: whether it succeeded, and what it said.
fn ended(command: &mut Command, log: &Path) -> (Result<(), String>, String) {
    let outcome = start_to_end(command, log).map_err(|error| error.to_string());
    let outcome = outcome.and_then(|status| {
        if status.success() {
            Ok(())
        } else {
            Err(status.to_string())
        }
    });
    let said = fs::read(log);
    let said = said.map_or_else(
        |error| error.to_string(),
        |said| String::from_utf8_lossy(&said).into_owned(),
    );
    (outcome, said)
}

fn start_to_end(command: &mut Command, log: &Path) -> io::Result<ExitStatus> {
    // A process that a broken test leaves behind would keep a pipe open.
    let out = File::create(log)?;
    let err = out.try_clone()?;
    // It stays in our group of processes: what ends us from the keyboard ends it, too.
    command.stdin(Stdio::null()).stdout(out).stderr(err).status()
}

/// The lines about tests that failed.
fn failed_tests(said: &str) -> String {
    said.lines()
        .filter(|line| line.starts_with("test ") && line.ends_with(" FAILED"))
        .map(|line| format!("\n    {line}"))
        .collect()
}

/// How many test programs run at a time. One more than there are processors, since some wait; few, since some measure time.
fn at_once() -> usize {
    pool::processors().min(3) + 1
}

/// These take longest and begin first, so that the others run beside them.
const LONG: &[&str] = &["dkek", "opensc", "it", "token_keys", "json"];

/// These run by themselves after the others: how much a node has written when its disk is full depends on how fast it is.
const ALONE: &[&str] = &["kill"];

#[cfg(test)]
mod tests {
    use super::*;

    /// What cargo says of a test program; `PROFILE` stands for whether it is one.
    const MESSAGE: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///a%20b/crates/pki#chancery-pki@0.1.0","manifest_path":"/a \"b\"/crates/pki/Cargo.toml","target":{"kind":["test"],"crate_types":["bin"],"name":"it","src_path":"/a \"b\"/crates/pki/tests/it/main.rs","edition":"2024","doc":false,"doctest":false,"test":true},"profile":{"opt_level":"0","debuginfo":1,"debug_assertions":true,"overflow_checks":true,"test":PROFILE},"features":[],"filenames":["/t/deps/it-0"],"executable":"/t/deps/it-0","fresh":true}"#;

    #[test]
    fn test_programs_alone_are_taken_from_what_cargo_says() {
        let expected = Program {
            name: "it".to_owned(),
            executable: "/t/deps/it-0".into(),
            folder: "/a \"b\"/crates/pki".into(),
        };
        assert_eq!(
            Program::of_message(&MESSAGE.replace("PROFILE", "true")),
            Some(expected)
        );
        assert_eq!(Program::of_message(&MESSAGE.replace("PROFILE", "false")), None);
        assert_eq!(
            Program::of_message(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }

    #[test]
    fn success_is_exit_code_0_alone() {
        let log = std::env::temp_dir().join(format!("xtask-suite-{}.log", std::process::id()));
        let run_script = |script: &str| ended(Command::new("sh").args(["-c", script]), &log);
        assert_eq!(
            run_script("echo out; echo err >&2"),
            (Ok(()), "out\nerr\n".to_owned())
        );
        // What is left behind keeps nobody waiting.
        let (outcome, said) = run_script("sleep 60 & echo $!; exit 101");
        assert_eq!(outcome, Err("exit status: 101".to_owned()));
        assert!(run::succeeds(Command::new("kill").arg(said.trim())));
        let (outcome, _) = run_script("kill -KILL $$");
        assert!(outcome.is_err_and(|how| how.contains("signal: 9")));
        let (outcome, _) = ended(&mut Command::new("/nowhere/at-all"), &log);
        assert!(outcome.is_err());
        fs::remove_file(log).expect("it was made");
    }

    #[test]
    fn failed_tests_are_named() {
        let said =
            "test one ... ok\ntest two ... FAILED\n\nfailures:\n    two\n\ntest result: FAILED. 1 passed";
        assert_eq!(failed_tests(said), "\n    test two ... FAILED");
    }
}
