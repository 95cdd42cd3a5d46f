//! Why a step did not succeed, and the exit code that says so.

use std::fmt;
use std::io;

/// Why a step did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A program ran and said no.
    Command {
        /// The command line as typed.
        line: String,
        /// How it ended, such as "exit status: 101".
        how: String,
    },
    /// A program or file could not be used at all.
    Io {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The repository breaks rules of its own.
    Rules(Vec<String>),
    /// Test programs that failed, each with how it ended.
    Tests(Vec<String>),
    /// Something has to be installed by hand first.
    Missing {
        /// What is missing, each with what it is for.
        what: Vec<String>,
        /// The one line that installs it.
        remedy: String,
    },
    /// Several steps ran and one failed; the summary has been printed.
    Step {
        /// The step's name.
        name: &'static str,
        /// The exit code of its own failure.
        code: u8,
    },
}

impl Failure {
    /// For `map_err`: names what was being done when an I/O error came.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// The process exit code for this failure.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::Missing { .. } => 3,
            Self::Step { code, .. } => *code,
            Self::Command { .. } | Self::Io { .. } | Self::Rules(_) | Self::Tests(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { line, how } => write!(f, "failed ({how}): {line}"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Rules(broken) => {
                write!(f, "{} rule(s) of the repository broken:", broken.len())?;
                broken.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
            Self::Tests(failed) => {
                write!(f, "{} test program(s) failed:", failed.len())?;
                failed.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
            Self::Missing { what, remedy } => {
                write!(f, "missing:")?;
                what.iter().try_for_each(|line| write!(f, "\n  {line}"))?;
                write!(f, "\n\ntype this line, then start again:\n\n  {remedy}\n")
            }
            Self::Step { name, .. } => write!(f, "failed at: {name}"),
        }
    }
}
