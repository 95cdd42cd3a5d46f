//! `unlock`: asking a quorum.

use std::{path::PathBuf, time::Duration};

use chancery_api::{
    Claims, FailureKind, LeaseRequest, LeaseWithdraw, Mechanism, SigningKeyView, SigningKeys,
};
use chancery_node::SystemClock;
use clap::{ArgGroup, Args, Subcommand};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    commands::lease::{digests, show, wait},
    context::Context,
    error::CliError,
    node_link::{NodeArgs, NodeLink},
    report::Report,
};

/// Asking a quorum.
#[derive(Subcommand)]
#[command(
    after_help = "Example: chancery unlock request --signer firmware --for \"firmware 4.2\" --digests SHA256SUMS --for-time 2h --wait"
)]
pub(crate) enum UnlockCommand {
    /// Ask the custodians for a lease: to sign certain digests, or a number of them, for some time
    Request(Request),
}

impl UnlockCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Request(command) => command.run(context),
        }
    }
}

/// Asks for a lease.
#[derive(Args)]
#[command(
    after_help = "Example: chancery unlock request --signer firmware --for \"firmware 4.2\" --digests SHA256SUMS --for-time 2h --wait\n         \
chancery unlock request --signer firmware --for \"nightly\" --count 4 --until 2026-11-22T06:00:00Z\n\
Distinct digests count, not calls: signing one again is free. With --digests and --count custodians agree to the named ones and to so \
many more that nobody knows yet; the fewer of those, the more their agreement is worth. The lease belongs to who asked for it.\n\
With --wait an interrupt withdraws the request. Exit codes: 4 not given in time, 7 refused by a custodian, the reason on the last line.",
    group = ArgGroup::new("what").required(true).multiple(true),
    group = ArgGroup::new("end").required(true)
)]
pub(crate) struct Request {
    /// The signing key
    #[arg(long, value_name = "NAME")]
    signer: String,
    /// What for, one line that custodians read
    #[arg(long = "for", value_name = "TEXT")]
    purpose: String,
    /// Digests: a line each, sha256:HEX or as sha256sum prints them; - for standard input
    #[arg(long, value_name = "FILE", group = "what")]
    digests: Option<PathBuf>,
    /// So many (further) digests that are not known yet
    #[arg(long, value_name = "N", group = "what")]
    count: Option<u64>,
    /// The lease ends at this time, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time_of, group = "end")]
    until: Option<OffsetDateTime>,
    /// The lease lasts so long: 30m, 2h, 3d
    #[arg(long, value_name = "TIME", value_parser = duration_of, group = "end")]
    for_time: Option<Duration>,
    /// How to sign: ecdsa, rsa-pkcs1 or rsa-pss [default: ecdsa or rsa-pkcs1, as the key is]
    #[arg(long, value_parser = mechanism_of)]
    mechanism: Option<Mechanism>,
    /// Lock an HSM that is open already first, so that the HSM's own quorum decides
    #[arg(long)]
    strict: bool,
    /// Wait until the custodians have decided
    #[arg(long)]
    wait: bool,
    /// Give up when they have not decided after so long [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = duration_of)]
    timeout: Option<Duration>,
    #[command(flatten)]
    node: NodeArgs,
}

impl Request {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let digests = match &self.digests {
            Some(path) => digests::read_list(path)?,
            None => Vec::new(),
        };
        let seconds = self.seconds()?;
        let link = self.node.link(context)?;
        let mechanism = match self.mechanism {
            Some(mechanism) => mechanism,
            None => default_mechanism(&signing_key(&link, &self.signer)?),
        };
        let view = link.call(&LeaseRequest {
            signer: self.signer,
            purpose: self.purpose,
            mechanism,
            digests,
            further: self.count.unwrap_or(0),
            seconds,
            strict: self.strict,
            wait_seconds: self.timeout.map(|timeout| timeout.as_secs()),
            reuse: false,
            attended_seconds: self.wait.then_some(ATTENDED),
            claimed: claims(),
        })?;
        if !self.wait {
            wait::ended(&view)?;
            return show::report(&view);
        }
        let withdraw = LeaseWithdraw { lease: view.lease };
        let interrupt = link.call_when_interrupted(withdraw, "the request was withdrawn")?;
        let view = wait::until_live(context, &link, &interrupt, view)?;
        show::report(&view)
    }

    fn seconds(&self) -> Result<u64, CliError> {
        if let Some(duration) = self.for_time {
            return Ok(duration.as_secs());
        }
        let until = self.until.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        u64::try_from((until - SystemClock.now()).whole_seconds())
            .ok()
            .filter(|seconds| *seconds > 0)
            .ok_or_else(|| CliError::new(FailureKind::Invalid, "the time of --until is over"))
    }
}

/// A requester that waits and has not asked for so long is gone, in seconds.
const ATTENDED: u32 = 60;

/// A signing key by name.
pub(crate) fn signing_key(link: &NodeLink<'_>, name: &str) -> Result<SigningKeyView, CliError> {
    link.call(&SigningKeys {})?
        .into_iter()
        .find(|key| key.name == name)
        .ok_or_else(|| {
            CliError::with_remedy(
                FailureKind::NotFound,
                format!("there is no signing key {name}; a CA's key is none"),
                "chancery signer keys; chancery signer create --help",
            )
        })
}

/// How a key signs when nobody says otherwise.
pub(crate) fn default_mechanism(key: &SigningKeyView) -> Mechanism {
    if key.algorithm.starts_with("rsa") {
        Mechanism::RsaPkcs1
    } else {
        Mechanism::Ecdsa
    }
}

/// Reads a mechanism.
pub(crate) fn mechanism_of(text: &str) -> Result<Mechanism, String> {
    [Mechanism::Ecdsa, Mechanism::RsaPkcs1, Mechanism::RsaPss]
        .into_iter()
        .find(|known| show::mechanism(*known) == text)
        .ok_or_else(|| format!("{text:?} is none of ecdsa, rsa-pkcs1, rsa-pss"))
}

fn time_of(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| format!("{text:?} is no time, such as 2026-11-22T06:00:00Z"))
}

/// Reads `90`, `90s`, `15m`, `2h`, `3d`.
pub(crate) fn duration_of(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no length of time, such as 90s, 15m, 2h or 3d");
    let (digits, unit) = match text.char_indices().last() {
        Some((_, '0'..='9')) => (text, 1),
        Some((at, 's')) => (text.get(..at).unwrap_or_default(), 1),
        Some((at, 'm')) => (text.get(..at).unwrap_or_default(), 60),
        Some((at, 'h')) => (text.get(..at).unwrap_or_default(), 3600),
        Some((at, 'd')) => (text.get(..at).unwrap_or_default(), 86_400),
        _ => return Err(bad()),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    number
        .checked_mul(unit)
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(bad)
}

/// Longest claim, in characters.
const LONGEST_CLAIM: usize = 200;

/// What this program says of itself. No secret is ever on its command line.
pub(crate) fn claims() -> Claims {
    let cut = |text: String| text.chars().take(LONGEST_CLAIM).collect::<String>();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let words: Vec<String> = std::env::args().collect();
    Claims {
        user: cut(std::env::var("USER").unwrap_or_default()),
        host: cut(host.trim().to_owned()),
        command: cut(words.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("15m", 900),
            ("2h", 7200),
            ("3d", 259_200),
        ] {
            assert_eq!(duration_of(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "h", "0", "-1", "1w", "1h30m", "99999999999999999999d", "1.5h"] {
            assert!(duration_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mechanisms_are_read_as_they_are_shown() {
        assert_eq!(mechanism_of("rsa-pss"), Ok(Mechanism::RsaPss));
        assert!(mechanism_of("rsa").is_err());
    }
}
