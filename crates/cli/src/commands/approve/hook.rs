//! A command of the custodian's that tells about a lease. It is told, not asked: nothing it does decides anything.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use chancery_agent::short_line;
use chancery_api::LeaseView;
use serde_json::json;

use crate::{
    commands::lease::show,
    error::{CliError, chain},
};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether it has ended.
const STEP: Duration = Duration::from_millis(50);
/// Longest text given in the environment, in characters.
const LONGEST: usize = 200;

/// Runs the command for a lease; why it failed.
pub(super) fn run(command: &str, person: &str, view: &LeaseView) -> Result<(), String> {
    let lease = show::json(view).map_err(|error| text(&error))?;
    let details = json!({ "custodian": person, "lease": lease });
    let terms = &lease.terms;
    // Foreign text is one escaped line in the environment, too.
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env("CHANCERY_CUSTODIAN", person)
        .env("CHANCERY_LEASE", view.lease.to_string())
        .env("CHANCERY_PURPOSE", short_line(&terms.purpose, LONGEST))
        .env("CHANCERY_SIGNER", short_line(&terms.signer, LONGEST))
        .env(
            "CHANCERY_REQUESTER",
            short_line(&show::requester(&terms.requester), LONGEST),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("sh cannot be run: {error}"))?;
    let writer = child.stdin.take().map(|mut stdin| {
        let bytes = format!("{details:#}\n").into_bytes();
        // Who does not read it has no need of it.
        thread::spawn(move || drop(stdin.write_all(&bytes)))
    });
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < PATIENCE => thread::sleep(STEP),
            Ok(None) => {
                let ended = child.kill().and_then(|()| child.wait());
                return Err(match ended {
                    Ok(_) => "it took longer than 30 s and was ended".to_owned(),
                    Err(error) => format!("it takes longer than 30 s and cannot be ended: {error}"),
                });
            }
            Err(error) => return Err(chain(&error)),
        }
    };
    drop(writer);
    if status.success() {
        Ok(())
    } else {
        Err(format!("it ended with {status}"))
    }
}

fn text(error: &CliError) -> String {
    error.text().trim_end().to_owned()
}
