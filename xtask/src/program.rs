//! Test programs that cargo built: found in what it says, and run.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::run::Workspace;
use crate::steps::seconds;

/// A test program that cargo built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    /// Of the file in `tests`, or of the crate.
    pub(crate) name: String,
    /// Where cargo put it.
    executable: PathBuf,
    /// The folder of its package.
    folder: PathBuf,
    /// Which of its tests are run.
    pub(crate) selection: Vec<&'static str>,
}

/// How a test program ended.
pub(crate) struct Outcome {
    /// Its name, the folder of its package, and which of its tests it ran.
    pub(crate) title: String,
    /// What the processors worked for it and the processes it waited for. Zero where the shell does not say.
    pub(crate) worked: Duration,
    /// How it failed.
    pub(crate) failure: Option<String>,
}

impl Program {
    /// From a line of cargo's that reports a test program; other lines are about libraries and the like.
    pub(crate) fn of_message(line: &str) -> Option<Self> {
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
            selection: Vec::new(),
        })
    }

    /// Its name, and the folder of its package.
    pub(crate) fn title(&self, workspace: &Workspace) -> String {
        let folder = self.folder.strip_prefix(workspace.root()).unwrap_or(&self.folder);
        format!("{} of {}", self.name, folder.display())
    }

    /// Runs it; what it says is shown when it has ended.
    pub(crate) fn run(&self, workspace: &Workspace, variables: &[(&str, PathBuf)]) -> Outcome {
        let start = Instant::now();
        let times = self.executable.with_extension("times");
        // The shell knows what the processors worked; the standard library does not.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                r#"log=$1; shift; "$0" "$@"; code=$?; times > "$log"; exit $code"#,
            ])
            .arg(&self.executable)
            .arg(&times)
            .args(&self.selection)
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .envs(variables.iter().map(|(name, value)| (name, value)));
        let (outcome, said) = ended(&mut command, &self.executable.with_extension("log"));
        let worked = fs::read_to_string(&times).map_or(Duration::ZERO, |text| worked(&text));
        let title = [&[self.title(workspace).as_str()], &self.selection[..]]
            .concat()
            .join(" ");
        let said = said.trim();
        let time = format!("{}, worked {}", seconds(start.elapsed()), seconds(worked));
        let failure = match outcome {
            Ok(()) => {
                println!("\n-- {title}: {time}\n{said}");
                None
            }
            Err(how) => {
                println!("\n-- {title}: FAILED after {time}\n{said}\n{how}");
                Some(format!("{title}: {how}{}", failed_tests(said)))
            }
        };
        Outcome {
            title,
            worked,
            failure,
        }
    }
}

/// The file of a dynamic library of this name, from a line of cargo's that reports it.
pub(crate) fn library(line: &str, name: &str) -> Option<PathBuf> {
    let line = line.strip_prefix(r#"{"reason":"compiler-artifact","#)?;
    let files = line.split_once(r#""filenames":["#)?.1.split_once(']')?.0;
    let mut files = files.split(',').map(|file| file.trim_matches('"'));
    files.find(|file| file.ends_with(name)).map(PathBuf::from)
}

/// What processes that were waited for worked, by the shell's `times`: a line for itself, then one for them, of minutes and seconds
/// such as `1m2.34s` for the program and for the system.
fn worked(times: &str) -> Duration {
    let of_children = times.lines().nth(1).unwrap_or_default();
    let one = |word: &str| {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        let minutes: u32 = minutes.parse().ok()?;
        let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
        Some(Duration::from_secs(60) * minutes + seconds)
    };
    of_children.split_whitespace().filter_map(one).sum()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run;

    /// What cargo says of a test program; `PROFILE` stands for whether it is one.
    const MESSAGE: &str = r#"{"reason":"compiler-artifact","package_id":"path+file:///a%20b/crates/pki#chancery-pki@0.1.0","manifest_path":"/a \"b\"/crates/pki/Cargo.toml","target":{"kind":["test"],"crate_types":["bin"],"name":"it","src_path":"/a \"b\"/crates/pki/tests/it/main.rs","edition":"2024","doc":false,"doctest":false,"test":true},"profile":{"opt_level":"0","debuginfo":1,"debug_assertions":true,"overflow_checks":true,"test":PROFILE},"features":[],"filenames":["/t/deps/it-0"],"executable":"/t/deps/it-0","fresh":true}"#;

    #[test]
    fn test_programs_alone_are_taken_from_what_cargo_says() {
        let expected = Program {
            name: "it".to_owned(),
            executable: "/t/deps/it-0".into(),
            folder: "/a \"b\"/crates/pki".into(),
            selection: Vec::new(),
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

    #[test]
    fn what_was_worked_is_that_of_the_processes_waited_for() {
        let worked = worked("0m0.50s 0m0.00s\n1m2.25s 0m0.500s\n");
        assert_eq!(worked, Duration::from_millis(62_750));
    }

    #[test]
    fn the_module_is_found_among_the_files_of_its_crate() {
        let line = r#"{"reason":"compiler-artifact","filenames":["/t/deps/libm.so","/t/deps/libm.rlib"],"executable":null}"#;
        assert_eq!(library(line, "libm.so"), Some("/t/deps/libm.so".into()));
        assert_eq!(library(line, "libn.so"), None);
    }
}
