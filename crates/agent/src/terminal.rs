//! Secrets typed at the terminal, which is as it was whatever ends the wait.

use std::{
    fs::{self, File, OpenOptions},
    future,
    io::{self, Write as _},
    os::fd::AsFd,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
};

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    termios::{Action, OptionalActions, QueueSelector, Termios, tcflow, tcflush, tcgetattr, tcsetattr},
};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use crate::text::own_lines;

/// What has to be undone at the terminal before the process ends. Who changes the terminal or shows a secret at it holds this meanwhile;
/// a signal takes it and never gives it back, so that nothing is shown after all was cleared.
static UNDO: Mutex<Undo> = Mutex::new(Undo {
    settings: None,
    screen: false,
});

/// Whether signals are watched for.
static WATCHED: OnceLock<()> = OnceLock::new();

const LEAVE: &[u8] = b"\x1b[2J\x1b[H\x1b[?1049l";

/// The terminal's state while somebody is asked or shown something.
pub(crate) struct Undo {
    /// Settings from before.
    settings: Option<Termios>,
    /// Whether the alternate screen is shown.
    pub(crate) screen: bool,
}

impl Undo {
    /// Clears and leaves the alternate screen, if it is shown.
    pub(crate) fn leave(&mut self) {
        if std::mem::take(&mut self.screen)
            && let Ok(mut terminal) = OpenOptions::new().write(true).open("/dev/tty")
        {
            // Output that somebody stopped would never be cleared. Nobody is left to be told when it cannot be.
            let _ = tcflow(&terminal, Action::OOn);
            let _ = terminal.write_all(LEAVE).and_then(|()| terminal.flush());
        }
    }

    /// Gives the terminal its settings back. What was typed and not read is dropped where it may be half a secret, which a shell would
    /// show.
    fn restore(&mut self, unread: Unread) {
        if let (Some(before), Ok(terminal)) = (
            self.settings.take(),
            OpenOptions::new().read(true).write(true).open("/dev/tty"),
        ) {
            // Nobody is left to be told.
            if unread == Unread::Dropped {
                let _ = tcflush(&terminal, QueueSelector::IFlush);
            }
            let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
        }
    }
}

/// What happens to what was typed and not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is left to whoever reads the terminal next: a question of ours drops it, a shell takes it.
    Kept,
    /// Nobody sees it.
    Dropped,
}

/// Holds the terminal.
pub(crate) fn hold() -> MutexGuard<'static, Undo> {
    UNDO.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Settings of the terminal that it gets back when this is dropped or a signal ends the process.
#[derive(Debug)]
pub(crate) struct Kept {
    outermost: bool,
    unread: Unread,
}

impl Kept {
    /// Keeps the settings the terminal has now, unless they are kept already.
    pub(crate) fn of(terminal: &File, unread: Unread) -> io::Result<Self> {
        let settings = tcgetattr(terminal)?;
        let mut undo = hold();
        let outermost = undo.settings.is_none();
        if outermost {
            undo.settings = Some(settings);
        }
        Ok(Self { outermost, unread })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.outermost {
            hold().restore(self.unread);
        }
    }
}

/// Drops what was typed at this terminal and not read yet: it was typed before anybody was asked, and answers nothing.
///
/// # Errors
/// The terminal failed.
pub fn drop_typed(terminal: impl AsFd) -> io::Result<()> {
    Ok(tcflush(terminal, QueueSelector::IFlush)?)
}

/// Asks for a secret at this process's terminal, without showing what is typed. What was typed before it is asked for is dropped. When SIGINT, SIGTERM, SIGQUIT or SIGHUP comes meanwhile
/// the terminal shows again what is typed, and the process ends with 128 and the signal's number, as shells count it. Who gets the text
/// wipes it.
///
/// # Errors
/// When there is no terminal.
pub fn ask_secret(prompt: &str) -> io::Result<String> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    watch()?;
    let kept = Kept::of(&terminal, Unread::Kept)?;
    drop_typed(&terminal)?;
    let typed = rpassword::prompt_password(own_lines(prompt));
    if typed
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
    {
        end(SignalKind::interrupt());
    }
    drop(kept);
    typed
}

/// Keeps this process's memory, in which secrets are, out of core dumps: sets the soft limit of their size to zero. Called first thing by
/// a program that reads secrets.
pub fn forbid_core_dumps() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    // A limit may always be lowered.
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum,
        },
    );
}

/// Watches for signals from now on to the end of the process. They end it as before.
pub(crate) fn watch() -> io::Result<()> {
    if WATCHED.get().is_some() {
        return Ok(());
    }
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    {
        let _entered = runtime.enter();
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::quit(),
            SignalKind::hangup(),
        ] {
            if kind == SignalKind::hangup() && hangup_is_ignored() {
                continue;
            }
            let mut signals = signal(kind)?;
            runtime.spawn(async move {
                if signals.recv().await.is_some() {
                    end(kind);
                }
            });
        }
    }
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(future::pending::<()>()))?;
    // Two that come here at the same time watch twice, which does the same.
    let _ = WATCHED.set(());
    Ok(())
}

/// Ends the process as a signal does, with the terminal as it was.
fn end(kind: SignalKind) -> ! {
    let mut undo = hold();
    undo.leave();
    undo.restore(Unread::Dropped);
    std::process::exit(128 + kind.as_raw_value())
}

/// Whether the process was started so that it outlives its terminal, as `nohup` does.
fn hangup_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal 1 is the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 1)
}
