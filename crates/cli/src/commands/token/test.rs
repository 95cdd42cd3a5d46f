//! `token test`.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use chancery_api::FailureKind;
use chancery_driver::{Card, Initialize, Pin, SoPin};
use chancery_node::SystemClock;
use chancery_schsm::InitializeOptions;
use chancery_tokens::{
    acceptance::{
        self, AcceptanceError, ApduLog, Kind, LogHead, Outcome, Plan, Sink, clean_up, parse_log, replay,
    },
    journal::{Begin, Journal, Work},
    reach::{Intent, Reached, Session, SessionError},
};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use clap::Args;
use serde_json::json;

use super::{
    failure::card,
    pins::{UserPinArgs, refuse_hopeless, user_pin},
    reaching::{Chosen, anchors, journal_directory, reach},
};
use crate::{
    commands::read_input,
    context::Context,
    error::{CliError, chain},
    report::Report,
};

/// Exit code of a token that failed its test.
const FAILED: u8 = 7;

/// Tests a new token.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token test DENK0404144 --operations 5000 --log nitrokey.apdu\n\
        chancery token test --replay nitrokey.apdu\n\
The token has to be initialised, and new: without keys. Keys are made under free ids and deleted in the end. The log holds no PIN, \
no share and no random bytes and can be sent to the developers; --replay plays one to a virtual token and shows where that behaves \
differently. An interrupted test is gone on with by chancery token resume, and cleaned up by chancery token undo. Passing finds no \
weak keys, only broken devices."
)]
pub(crate) struct Test {
    /// Device id, label, or name of a virtual token; device:, label: or name: before it says which
    #[arg(value_name = "TOKEN", required_unless_present = "replay")]
    token: Option<String>,
    #[command(flatten)]
    pin: UserPinArgs,
    /// Signatures to make and verify
    #[arg(long, value_name = "COUNT", default_value_t = 2000)]
    operations: u32,
    /// Test a token that holds keys, with other keys under free ids
    #[arg(long)]
    beside_keys: bool,
    /// RSA-3072 and RSA-4096, too, whose generation takes minutes on some tokens
    #[arg(long)]
    thorough: bool,
    /// Write the exchange with the token to this file, which must not exist
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Play a log to a virtual token made for it
    #[arg(long, value_name = "LOG", conflicts_with_all = ["token", "log", "beside_keys"])]
    replay: Option<PathBuf>,
}

impl Test {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match &self.replay {
            Some(log) => compare(log),
            None => self.test(context),
        }
    }

    fn test(&self, context: &Context) -> Result<Report, CliError> {
        let reached = reach(context, self.token.as_deref(), Intent::Change)?;
        let reached = match &self.log {
            Some(path) => logged(reached, path)?,
            None => reached,
        };
        let chosen = Chosen::of(&reached);
        let (mut session, firmware) = open(context, &chosen, reached, &self.pin)?;
        let kinds = Kind::of(firmware, self.thorough);
        let plan = acceptance::plan(&mut session, &kinds, self.operations, self.beside_keys)
            .map_err(|error| translate(&chosen, &error))?;
        let work = Journal::new(journal_directory(context)?).begin(
            &Begin {
                kind: acceptance::KIND,
                device: chosen.device(),
                token: &chosen.to_string(),
                now: SystemClock.now().unix_timestamp(),
            },
            &plan,
        )?;
        carry_on(context, &chosen, &mut session, &plan, work)
    }
}

/// Goes on with a test that was interrupted.
pub(super) fn resume(context: &Context, work: Work, pin: &UserPinArgs) -> Result<Report, CliError> {
    let plan: Plan = work.record().plan()?;
    let (chosen, mut session) = again(context, &work, pin)?;
    carry_on(context, &chosen, &mut session, &plan, work)
}

/// Deletes what an interrupted test left on the token.
pub(super) fn undo(context: &Context, mut work: Work, pin: &UserPinArgs) -> Result<Report, CliError> {
    let plan: Plan = work.record().plan()?;
    let id = work.id().to_owned();
    let (chosen, mut session) = again(context, &work, pin)?;
    clean_up(&mut session, &plan, &mut work).map_err(|error| {
        translate(&chosen, &error)
            .and_then_do(&format!("chancery token undo {id} --forget leaves it as it is"))
    })?;
    work.finish()?;
    Report::new(
        &json!({ "id": id, "undone": true }),
        format!("{id} is undone: the keys of the test are gone from {chosen}"),
    )
}

fn again(context: &Context, work: &Work, pin: &UserPinArgs) -> Result<(Chosen, Session), CliError> {
    let wanted = format!("device:{}", work.record().device);
    let reached = reach(context, Some(&wanted), Intent::Change)?;
    let chosen = Chosen::of(&reached);
    let (session, _) = open(context, &chosen, reached, pin)?;
    Ok((chosen, session))
}

/// Selects and opens the token for many steps.
fn open(
    context: &Context,
    chosen: &Chosen,
    reached: Reached,
    pin: &UserPinArgs,
) -> Result<(Session, chancery_driver::Firmware), CliError> {
    let called = chosen.to_string();
    let failed = |error: SessionError| translate(chosen, &AcceptanceError::Session(error));
    let mut session = Session::select(reached).map_err(failed)?;
    let (status, firmware) = session.pin_status().map_err(failed)?;
    refuse_hopeless(&called, status)?;
    let pin = user_pin(context, chosen, pin, status)?;
    session.unlock(pin).map_err(failed)?;
    Ok((session, firmware))
}

fn carry_on(
    context: &Context,
    chosen: &Chosen,
    session: &mut Session,
    plan: &Plan,
    mut work: Work,
) -> Result<Report, CliError> {
    let anchors = anchors(context)?;
    let mut shown = Shown::new();
    let outcome = acceptance::run(session, plan, &anchors, &mut work, |done, of| {
        shown.show(done, of)
    });
    drop(shown);
    let outcome = outcome.map_err(|error| {
        let id = work.id();
        translate(chosen, &error).and_then_do(&format!(
            "chancery token resume {id} goes on, chancery token undo {id} deletes the keys of the test"
        ))
    })?;
    work.finish()?;
    report(chosen, &outcome)
}

fn report(chosen: &Chosen, outcome: &Outcome) -> Result<Report, CliError> {
    let mut text = String::new();
    for finding in &outcome.findings {
        let mark = if finding.ok { "ok  " } else { "FAIL" };
        text.push_str(&format!(
            "{mark} {}: {}\n",
            finding.check,
            chancery_agent::one_line(&finding.detail)
        ));
    }
    if outcome.foreign_resets > 0 {
        text.push_str(&format!(
            "note: other programs reset the token {} times; the test went on\n",
            outcome.foreign_resets
        ));
    }
    let passed = outcome.passed();
    let verdict = if passed { "passed" } else { "FAILED" };
    text.push_str(&format!(
        "{chosen} {verdict} with {} signatures\n",
        outcome.operations
    ));
    let view = json!({ "device": chosen.device(), "passed": passed, "outcome": outcome });
    let report = Report::new(&view, text)?;
    Ok(if passed { report } else { report.with_code(FAILED) })
}

/// Puts a log file between driver and token.
fn logged(reached: Reached, path: &Path) -> Result<Reached, CliError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(CliError::file("create", path))?;
    let device = reached.found().device.clone().unwrap_or_default();
    let mut sink = FileSink {
        file: io::BufWriter::new(file),
        head: Some(device),
    };
    let sink: Sink = Box::new(move |line| sink.line(line));
    Ok(reached.wrapped(move |inner| ApduLog::new(inner, sink)))
}

/// Writes the head of the log when the answer to SELECT tells version and options, and then a line an exchange.
struct FileSink {
    file: io::BufWriter<File>,
    /// Device id, until the head is written.
    head: Option<String>,
}

impl FileSink {
    fn line(&mut self, line: &str) {
        // A disk that is full ends the log, not the test; what is missing shows.
        if let Some(device) = self.head.take() {
            let (firmware, options) = version_in(line);
            let head = LogHead {
                chancery_apdu_log: LogHead::FORMAT,
                device,
                firmware,
                options,
            };
            if let Ok(head) = serde_json::to_string(&head) {
                let _ = writeln!(self.file, "{head}");
            }
        }
        let _ = writeln!(self.file, "{line}");
        let _ = self.file.flush();
    }
}

/// Version and options in the logged answer to SELECT.
fn version_in(line: &str) -> (String, Option<u16>) {
    let answer = serde_json::from_str::<acceptance::Exchange>(line)
        .ok()
        .and_then(|exchange| hex::decode(exchange.a).ok())
        .unwrap_or_default();
    let object = answer.windows(7).find_map(|window| {
        <&[u8; 7]>::try_from(window)
            .ok()
            .filter(|window| window[..2] == [0x85, 0x05])
    });
    match object {
        Some(&[_, _, high, low, _, major, minor]) => {
            (format!("{major}.{minor}"), Some(u16::from_be_bytes([high, low])))
        }
        None => ("unknown".to_owned(), None),
    }
}

/// Plays a log to a virtual token that is made for it and thrown away.
fn compare(path: &Path) -> Result<Report, CliError> {
    const MOST_BYTES: u64 = 256 * 1024 * 1024;
    let invalid = |error: String| CliError::new(FailureKind::Invalid, format!("{}: {error}", path.display()));
    let bytes = read_input(path, MOST_BYTES)?;
    let (head, exchanges) = parse_log(&bytes).map_err(|error| invalid(error.to_string()))?;
    let pin = "648219";
    let dir = tempfile::tempdir().map_err(CliError::file("create", &std::env::temp_dir()))?;
    let mut token = throw_away(dir.path(), &head, pin)?;
    let comparison = replay(&exchanges, &mut token, pin.as_bytes())
        .map_err(|error| CliError::new(FailureKind::Internal, chain(&error)))?;
    let mut text = format!(
        "log of {}, firmware {}: {} exchanges played, {} not\n",
        chancery_agent::one_line(&head.device),
        chancery_agent::one_line(&head.firmware),
        comparison.played,
        comparison.skipped
    );
    for deviation in &comparison.deviations {
        text.push_str(&format!(
            "exchange {}, {}: {} {} in the log, {} here\n",
            deviation.number, deviation.command, deviation.what, deviation.logged, deviation.here
        ));
    }
    if comparison.deviations.is_empty() {
        text.push_str("the virtual token behaves the same\n");
    }
    let same = comparison.deviations.is_empty();
    let view =
        json!({ "device": head.device, "firmware": head.firmware, "same": same, "comparison": comparison });
    let report = Report::new(&view, text)?;
    Ok(if same { report } else { report.with_code(FAILED) })
}

/// A token with the options of the log and a known PIN.
fn throw_away(directory: &Path, head: &LogHead, pin: &str) -> Result<VirtualToken, CliError> {
    let today = SystemClock.today();
    let at_rest = AtRest::MachineSecret(directory.join("secret"));
    let factory = Factory::open_or_create(&directory.join("factory"), &at_rest, today)?;
    let name =
        TokenName::new("replay").map_err(|error| CliError::new(FailureKind::Internal, error.to_string()))?;
    let tokens = directory.join("tokens");
    factory.create(&tokens, &name, today)?;
    let failed = |error: &dyn std::error::Error| CliError::new(FailureKind::Internal, chain(error));
    let token = VirtualToken::open(&tokens.join(name.as_str()), &at_rest).map_err(|error| failed(&error))?;
    let mut token = Card::new(token)
        .select()
        .map_err(|error| failed(&error.into_error()))?;
    let options = InitializeOptions(head.options.unwrap_or(InitializeOptions::RESET_RETRY_COUNTER.0));
    token
        .initialize(&Initialize {
            options,
            user_pin: Pin::new(pin).ok(),
            so_pin: SoPin::new(*b"57621880"),
            retry: 3,
            dkek_shares: None,
            quorum: None,
            domains: None,
        })
        .map_err(|error| card("a virtual token with the options of the log", &error))?;
    let mut token = token.disconnect();
    token.reset().map_err(|error| failed(&error))?;
    Ok(token.into_transport())
}

fn translate(chosen: &Chosen, error: &AcceptanceError) -> CliError {
    let message = format!("{chosen}: {}", chain(error));
    match error {
        AcceptanceError::HasKeys { .. } => CliError::with_remedy(
            FailureKind::Conflict,
            message,
            "--beside-keys tests it with other keys under free ids",
        ),
        AcceptanceError::SharesMissing { .. } => CliError::with_remedy(
            FailureKind::Conflict,
            message,
            "import them first: chancery dkek import --help",
        ),
        AcceptanceError::NoFreeIds { .. } | AcceptanceError::OtherKey { .. } => {
            CliError::new(FailureKind::Conflict, message)
        }
        AcceptanceError::Session(SessionError::Card(source)) => card(&chosen.to_string(), source),
        AcceptanceError::Session(SessionError::OtherDevice { .. }) => {
            CliError::new(FailureKind::Refused, message)
        }
        AcceptanceError::Journal(_) => CliError::new(FailureKind::Unavailable, message),
        _ => CliError::new(FailureKind::Unavailable, message),
    }
}

/// How far the test is, on a terminal.
struct Shown {
    terminal: bool,
    percent: Option<u32>,
}

impl Shown {
    fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            percent: None,
        }
    }

    fn show(&mut self, done: u32, of: u32) {
        let percent = u64::from(done) * 100 / u64::from(of.max(1));
        let percent = u32::try_from(percent).unwrap_or(100);
        if self.terminal && self.percent != Some(percent) {
            let _ = write!(io::stderr(), "\r\x1b[2K.. {done} of {of} signatures, {percent} %");
            self.percent = Some(percent);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.percent.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}
