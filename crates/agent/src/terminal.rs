//! Secrets typed at the terminal, which is as it was whatever ends the wait.

use std::{
    fs::OpenOptions,
    io,
    sync::{Mutex, OnceLock, PoisonError},
    thread,
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::screen;

/// The terminal's settings while somebody is asked.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether signals are watched for.
static WATCHED: OnceLock<()> = OnceLock::new();

/// Asks for a secret at this process's terminal, without showing what is typed. When SIGINT or SIGTERM comes meanwhile the terminal
/// shows again what is typed, and the process ends with 128 and the signal's number, as shells count it. Who gets the text wipes it.
///
/// # Errors
/// When there is no terminal.
pub fn ask_secret(prompt: &str) -> io::Result<String> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    watch()?;
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(tcgetattr(&terminal)?);
    let typed = rpassword::prompt_password(prompt);
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = None;
    if typed
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
    {
        // Ctrl-C; the prompt has given the terminal its settings back.
        std::process::exit(128 + SignalKind::interrupt().as_raw_value());
    }
    typed
}

/// Watches for signals from now on to the end of the process. They end it as before.
pub(crate) fn watch() -> io::Result<()> {
    if WATCHED.get().is_some() {
        return Ok(());
    }
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let kind = runtime.block_on(async {
            tokio::select! {
                _ = signals.0.recv() => SignalKind::interrupt(),
                _ = signals.1.recv() => SignalKind::terminate(),
            }
        });
        restore();
        screen::leave();
        std::process::exit(128 + kind.as_raw_value());
    })?;
    // Two that come here at the same time watch twice, which does the same.
    let _ = WATCHED.set(());
    Ok(())
}

/// Gives the terminal its settings back, if somebody is being asked.
fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let (Some(before), Ok(terminal)) = (before, OpenOptions::new().read(true).write(true).open("/dev/tty"))
    {
        // Nobody is left to be told.
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    }
}
