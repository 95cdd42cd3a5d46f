//! Other processes: one that is killed while it commits, one that finds the token in use.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::*;

const TOKEN: &str = "VTOKEN_TEST_TOKEN";
const SECRET: &str = "VTOKEN_TEST_SECRET";

struct Site {
    _dir: tempfile::TempDir,
    secret: PathBuf,
    token: PathBuf,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("machine-secret");
        let token = make(
            Arc::new(crate::RealFiles),
            &dir.path().join("tokens"),
            "hsm",
            &AtRest::MachineSecret(secret.clone()),
        );
        Self {
            _dir: dir,
            secret,
            token,
        }
    }

    fn open(&self) -> Result<Persistent, OpenError> {
        open_real(&self.token, &AtRest::MachineSecret(self.secret.clone()))
    }

    /// This test binary once more, running only the function that plays the other process.
    fn other_process(&self) -> (Child, BufReader<ChildStdout>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "persistent::tests::kill::other_process",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(TOKEN, &self.token)
            .env(SECRET, &self.secret)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        (child, output)
    }
}

/// The part of the other process: opens the token and commits until it is killed, one line for each commit that
/// was acknowledged. Without its environment it is a test with nothing to do.
#[test]
fn other_process() {
    let (Some(token), Some(secret)) = (std::env::var_os(TOKEN), std::env::var_os(SECRET)) else {
        return;
    };
    let mut out = std::io::stdout();
    let mut token = match open_real(Path::new(&token), &AtRest::MachineSecret(secret.into())) {
        Ok(token) => token,
        Err(error) => {
            writeln!(out, "refused {error}").unwrap();
            return;
        }
    };
    // Every other commit is a large one, so that a kill can strike in the middle of it.
    for number in token.mark().sequence + 1.. {
        let sign = u16::try_from(number % 0x1_0000).unwrap();
        let size = if number % 2 == 0 { 20_000 } else { 1 };
        let contents = vec![u8::try_from(number % 251).unwrap(); size];
        token
            .commit(&[
                Change::SetOptions(sign),
                Change::PutFile {
                    fid: 0xCF00,
                    contents,
                },
            ])
            .unwrap();
        if writeln!(out, "acknowledged {number}")
            .and_then(|()| out.flush())
            .is_err()
        {
            return;
        }
    }
}

fn number_in(line: &str) -> Option<u64> {
    line.split_once("acknowledged ")?.1.trim().parse().ok()
}

#[test]
fn killing_a_process_while_it_commits_loses_nothing_acknowledged() {
    let site = Site::new();
    let mut before = 0;
    for round in 0..20u64 {
        let (mut child, mut output) = site.other_process();
        // Later in each round: the kill strikes at another place. Some rounds are long enough to compact.
        let goal = before + 1 + round * 7;
        let mut acknowledged = before;
        let mut line = String::new();
        while acknowledged < goal {
            line.clear();
            assert_ne!(
                output.read_line(&mut line).unwrap(),
                0,
                "the process ended by itself"
            );
            acknowledged = number_in(&line).unwrap_or(acknowledged);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in output.lines() {
            acknowledged = number_in(&line.unwrap()).unwrap_or(acknowledged);
        }
        let token = site.open().unwrap();
        let found = token.mark().sequence;
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "{acknowledged} acknowledged, {found} found"
        );
        assert_eq!(u64::from(token.state().options), found % 0x1_0000);
        let file = token.state().file(0xCF00).unwrap();
        assert!(file.iter().all(|byte| u64::from(*byte) == found % 251));
        before = found;
    }
}

#[test]
fn a_token_open_in_another_process_is_in_use_by_that_one() {
    let site = Site::new();
    let (mut child, mut output) = site.other_process();
    let mut line = String::new();
    while number_in(&line).is_none() {
        line.clear();
        assert_ne!(
            output.read_line(&mut line).unwrap(),
            0,
            "the process ended by itself"
        );
    }
    let tokens_dir = site.token.parent().unwrap();
    let name = TokenName::new("hsm").unwrap();
    assert!(matches!(site.open(), Err(OpenError::InUse { pid }) if pid == child.id()));
    assert_eq!(crate::list(tokens_dir).unwrap()[0].in_use_by, Some(child.id()));
    let refused = crate::destroy(tokens_dir, &name);
    assert!(matches!(refused, Err(crate::ManageError::InUse { pid, .. }) if pid == child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        crate::list(tokens_dir).unwrap()[0].in_use_by,
        None,
        "a killed process holds nothing"
    );

    // The other way round.
    let held = site.open().unwrap();
    let (mut child, output) = site.other_process();
    let said: Vec<String> = output.lines().map(Result::unwrap).collect();
    child.wait().unwrap();
    let expected = format!("refused in use by process {}", std::process::id());
    assert!(said.iter().any(|line| line.contains(&expected)), "{said:?}");
    drop(held);
    crate::destroy(tokens_dir, &name).unwrap();
    assert!(crate::list(tokens_dir).unwrap().is_empty());
}
