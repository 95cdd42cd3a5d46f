//! Running other programs from the root of the workspace.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// The checked-out workspace.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the workspace: beside the manifest cargo runs us from, else above the current directory.
    pub(crate) fn locate() -> Result<Self, Failure> {
        let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(directory) => PathBuf::from(directory),
            None => std::env::current_dir().map_err(Failure::io("finding the current directory"))?,
        };
        start
            .ancestors()
            .find(|directory| {
                directory.join("xtask/Cargo.toml").is_file() && directory.join("crates").is_dir()
            })
            .map(|root| Self {
                root: root.to_owned(),
            })
            .ok_or_else(|| Failure::Io {
                doing: format!("finding the workspace above {}", start.display()),
                source: std::io::ErrorKind::NotFound.into(),
            })
    }

    /// A workspace rooted at `root`, for tests.
    #[cfg(test)]
    pub(crate) const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder with the root manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A command that runs in the root of the workspace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// The cargo that runs us. Variables cargo set for this program are taken away, so that a nested cargo sees
    /// what it would see from a shell and rebuilds nothing on their account.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
        command.current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_")
                || text.starts_with("CARGO_MANIFEST_")
                || text.starts_with("CARGO_BIN_")
            {
                command.env_remove(&name);
            }
        }
        command
    }
}

/// Prints the command line and runs it with our own input and output.
///
/// # Errors
/// [`Failure::Command`] when it ends with anything but success, [`Failure::Io`] when it cannot be started.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let line = command_line(command);
    println!("$ {line}");
    let status = command
        .status()
        .map_err(Failure::io(format!("starting `{line}`")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Command {
            line,
            how: status.to_string(),
        })
    }
}

/// Whether the command can be started and succeeds; nothing is shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The command as one would type it. Variables set for it come first; the program's folder is left out.
pub(crate) fn command_line(command: &Command) -> String {
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(
                line,
                "{}={} ",
                name.to_string_lossy(),
                quoted(&value.to_string_lossy())
            );
        }
    }
    let program = Path::new(command.get_program());
    line.push_str(
        &program
            .file_name()
            .unwrap_or(program.as_os_str())
            .to_string_lossy(),
    );
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&quoted(&argument.to_string_lossy()));
    }
    line
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        let mut command = Command::new("/usr/bin/cargo");
        command
            .env("RUSTDOCFLAGS", "-D warnings")
            .args(["doc", "--no-deps", "it's"]);
        assert_eq!(
            command_line(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'"
        );
    }

    #[test]
    fn a_failing_program_is_named_with_its_status() {
        let failure = run(Command::new("sh").args(["-c", "exit 7"])).expect_err("exits with 7");
        assert!(failure.to_string().contains('7'), "{failure}");
        assert!(!succeeds(&mut Command::new("no-such-program-anywhere")));
    }
}
