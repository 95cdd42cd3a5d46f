//! A program with the PKCS#11 module that signs with a key of a node, and the process it runs in.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use cryptoki::{mechanism::Mechanism, session::UserType, types::AuthPin};

use crate::module;

/// First argument of the client.
pub(crate) const CLIENT: &str = "--crowd-client";

/// A client in its process.
pub(super) struct Client {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What one client, or all of them, did in a round.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) asked: u32,
    pub(super) lost: u32,
    pub(super) first_failure: String,
    pub(super) took: Duration,
    /// The signature that took longest.
    pub(super) longest: Duration,
}

impl Client {
    /// Starts one; the module waits for its lease.
    pub(super) fn start(configuration: &Path, signer: &str, number: usize) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(CLIENT)
            .arg(module::module()?)
            .arg(signer)
            .arg(number.to_string())
            .env("CHANCERY_PKCS11_CONFIG", configuration)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().context("no way back from a client")?;
        Ok(Self {
            child,
            orders,
            answers: BufReader::new(answers),
        })
    }

    /// Waits until it is logged in.
    pub(super) fn is_ready(&mut self) -> anyhow::Result<()> {
        let line = self.line()?;
        anyhow::ensure!(line == "ready", "a client did not get ready: {line}");
        Ok(())
    }

    pub(super) fn order(&mut self, signatures: u32) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("no way to a client")?;
        Ok(writeln!(orders, "{signatures}")?)
    }

    pub(super) fn outcome(&mut self) -> anyhow::Result<Outcome> {
        let line = self.line()?;
        let mut words = line.splitn(4, ' ');
        let mut number =
            || -> anyhow::Result<u64> { Ok(words.next().context("a client ended, and said why")?.parse()?) };
        Ok(Outcome {
            asked: number()?.try_into()?,
            lost: number()?.try_into()?,
            longest: Duration::from_nanos(number()?),
            first_failure: words.next().unwrap_or_default().to_owned(),
            took: Duration::ZERO,
        })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It ends when nothing more can come.
        self.orders = None;
        let _ = self.child.wait();
    }
}

/// The program: logs in, signs as often as it is told to, and tells of every signature that did not come.
pub(crate) fn client(
    mut arguments: impl Iterator<Item = String>,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<()> {
    let mut next = || arguments.next().context("an argument is missing");
    let (loaded, signer, number) = (next()?, next()?, next()?.parse::<u64>()?);
    let loaded = module::load(Path::new(&loaded))?;
    let slots = loaded.get_slots_with_token()?;
    let session = loaded.open_ro_session(*slots.first().context("there is no slot")?)?;
    session.login(UserType::User, Some(&AuthPin::new("0000".into())))?;
    let key = module::find(&session, &signer)?;
    tell("ready");
    let mut digests: u64 = 0;
    for order in std::io::stdin().lines() {
        let signatures: u32 = order?.parse()?;
        let mut lost = 0_u32;
        let mut first_failure = String::new();
        let mut longest = Duration::ZERO;
        for _ in 0..signatures {
            digests += 1;
            let digest = [number.to_be_bytes(), digests.to_be_bytes()].concat().repeat(2);
            let began = Instant::now();
            if let Err(error) = session.sign(&Mechanism::Ecdsa, key, &digest) {
                lost += 1;
                if first_failure.is_empty() {
                    first_failure = error.to_string().replace('\n', " ");
                }
            }
            longest = longest.max(began.elapsed());
        }
        tell(&format!(
            "{signatures} {lost} {} {first_failure}",
            longest.as_nanos()
        ));
    }
    Ok(())
}
