//! The command line of `cargo xtask`.

use std::ffi::OsString;
use std::time::Duration;

/// What `cargo xtask` was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// Print the usage.
    Help,
    /// Install what is missing, build, and become `chancery quickstart`.
    Quickstart {
        /// Handed on to `chancery quickstart` unread.
        arguments: Vec<OsString>,
    },
    /// Everything continuous integration does.
    Test,
    /// The rules of the repository alone: part of `test` that takes no time.
    Rules,
    /// The figures.
    Bench {
        /// Handed on to the benchmark unread.
        arguments: Vec<OsString>,
    },
    /// Each fuzz target for a while.
    Fuzz {
        /// How long each target runs.
        seconds: Duration,
        /// The targets to run; empty means all.
        targets: Vec<String>,
    },
}

/// Reads the arguments after `cargo xtask`.
///
/// # Errors
/// A sentence that says which argument was not understood.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Invocation, String> {
    let mut arguments = arguments.peekable();
    let Some(verb) = arguments.next() else {
        return Ok(Invocation::Help);
    };
    match verb.to_str() {
        Some("help" | "--help" | "-h") => Ok(Invocation::Help),
        Some("quickstart") => Ok(Invocation::Quickstart {
            arguments: arguments.collect(),
        }),
        Some("bench") => match arguments.peek().and_then(|first| first.to_str()) {
            Some("--help" | "-h") => Ok(Invocation::Help),
            _ => Ok(Invocation::Bench {
                arguments: arguments.collect(),
            }),
        },
        Some("test") => alone("test", Invocation::Test, arguments.next()),
        Some("rules") => alone("rules", Invocation::Rules, arguments.next()),
        Some("fuzz") => parse_fuzz(arguments),
        _ => Err(format!("unknown command {}", verb.display())),
    }
}

/// A command that takes no arguments.
fn alone(verb: &str, invocation: Invocation, next: Option<OsString>) -> Result<Invocation, String> {
    match next {
        None => Ok(invocation),
        Some(flag) if flag == "--help" || flag == "-h" => Ok(Invocation::Help),
        Some(other) => Err(format!("`{verb}` takes no arguments, found {}", other.display())),
    }
}

fn parse_fuzz(mut arguments: impl Iterator<Item = OsString>) -> Result<Invocation, String> {
    let mut seconds = FUZZ_DEFAULT;
    let mut targets = Vec::new();
    while let Some(argument) = arguments.next() {
        let text = argument
            .to_str()
            .ok_or_else(|| format!("not UTF-8: {}", argument.display()))?;
        match text {
            "--help" | "-h" => return Ok(Invocation::Help),
            "--seconds" => {
                let value = arguments.next().ok_or("--seconds wants a number of seconds")?;
                seconds = parse_seconds(value.to_str().unwrap_or_default())?;
            }
            _ => match text.strip_prefix("--seconds=") {
                Some(value) => seconds = parse_seconds(value)?,
                None if text.starts_with('-') => return Err(format!("`fuzz` knows no option {text}")),
                None => targets.push(text.to_owned()),
            },
        }
    }
    Ok(Invocation::Fuzz { seconds, targets })
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds) if (1..=FUZZ_LONGEST).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!(
            "--seconds wants a number from 1 to {FUZZ_LONGEST}, found {text:?}"
        )),
    }
}

/// How long each fuzz target runs when nothing is said.
const FUZZ_DEFAULT: Duration = Duration::from_secs(60);

/// The longest run of one fuzz target, seconds (one day).
const FUZZ_LONGEST: u64 = 86_400;

pub(crate) const USAGE: &str = "\
cargo xtask quickstart [ARGUMENTS]          install what is missing, build, run `chancery quickstart ARGUMENTS`
cargo xtask test                            everything continuous integration does
cargo xtask rules                           of that, the rules of the repository alone
cargo xtask bench [ARGUMENTS]               the figures, release build
cargo xtask fuzz [--seconds N] [TARGET]...  each fuzz target for N seconds (60)

example: cargo xtask fuzz --seconds 300 token

exit codes: 0 done, 1 a step failed, 2 wrong arguments, 3 install something first (the line to type is printed)";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn quickstart_arguments_are_handed_on_unread() {
        let expected = Invocation::Quickstart {
            arguments: vec!["--csr".into(), "a.pem".into(), "--help".into()],
        };
        assert_eq!(parsed("quickstart --csr a.pem --help"), Ok(expected));
    }

    #[test]
    fn fuzz_runs_sixty_seconds_unless_told() {
        let all = Invocation::Fuzz {
            seconds: Duration::from_secs(60),
            targets: vec![],
        };
        assert_eq!(parsed("fuzz"), Ok(all));
        let one = Invocation::Fuzz {
            seconds: Duration::from_secs(5),
            targets: vec!["tlv".into()],
        };
        assert_eq!(parsed("fuzz --seconds 5 tlv"), Ok(one));
        let other_way = Invocation::Fuzz {
            seconds: Duration::from_secs(7),
            targets: vec!["tlv".into()],
        };
        assert_eq!(parsed("fuzz tlv --seconds=7"), Ok(other_way));
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (line, word) in [
            ("fuzz --seconds", "--seconds"),
            ("fuzz --seconds 0", "\"0\""),
            ("fuzz --seconds many", "\"many\""),
            ("fuzz --minutes 3", "--minutes"),
            ("test fast", "fast"),
            ("deploy", "deploy"),
        ] {
            let message = parsed(line).expect_err(line);
            assert!(message.contains(word), "{line}: {message}");
        }
    }
}
