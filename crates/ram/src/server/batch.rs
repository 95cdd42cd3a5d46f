//! What waits to be handed out, and how much of it goes into one template.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use super::JobId;
use super::limits::{MAX_BYTES, MAX_EXPECTED, MAX_JOBS, MAX_TEXT, expected, time_for};
use crate::message::CommandObject;

/// A job for the card.
#[derive(Clone, PartialEq, Eq)]
pub enum Work {
    /// A command APDU.
    Command(Zeroizing<Vec<u8>>),
    /// Power off and on.
    Reset,
}

impl Work {
    fn object(self) -> CommandObject {
        match self {
            Self::Command(command) => CommandObject::Command(command),
            Self::Reset => CommandObject::Reset,
        }
    }

    /// INS of a command.
    fn instruction(&self) -> Option<u8> {
        match self {
            Self::Command(command) => command.get(1).copied(),
            Self::Reset => None,
        }
    }

    /// Time the card may take for it.
    pub(super) fn time(&self) -> Duration {
        match self {
            Self::Command(command) => time_for(command),
            Self::Reset => time_for(&[]),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Command(command) => command.len(),
            Self::Reset => 0,
        }
    }

    fn expected(&self) -> usize {
        match self {
            Self::Command(command) => expected(command),
            Self::Reset => 33,
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.clone().object())
    }
}

/// What kind of result a job brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Response,
    Atr,
}

/// The content of one template.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) objects: Vec<CommandObject>,
    pub(super) jobs: Vec<(JobId, Expected)>,
    /// Instruction of each job; none for a reset.
    pub(super) instructions: Vec<Option<u8>>,
    /// Time for all its jobs together.
    pub(super) time: Duration,
}

#[derive(Debug)]
enum Queued {
    Job { id: JobId, work: Work, time: Duration },
    Notice(CommandObject, usize),
}

/// Jobs and notices in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<Queued>);

impl Queue {
    pub(super) fn push(&mut self, id: JobId, work: Work, time: Duration) {
        self.0.push_back(Queued::Job { id, work, time });
    }

    pub(super) fn push_notice(&mut self, id: i32, text: &str, seconds: Option<u32>) {
        let notice = notice(id, text, seconds);
        self.0.push_back(Queued::Notice(notice, text.len().min(MAX_TEXT)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of jobs that wait.
    pub(super) fn jobs(&self) -> usize {
        self.0
            .iter()
            .filter(|queued| matches!(queued, Queued::Job { .. }))
            .count()
    }

    /// Takes a job back; `false` when it does not wait here.
    pub(super) fn cancel(&mut self, job: JobId) -> bool {
        let before = self.0.len();
        self.0
            .retain(|queued| !matches!(queued, Queued::Job { id, .. } if *id == job));
        self.0.len() < before
    }

    /// Empties it, and says which jobs there were.
    pub(super) fn clear(&mut self) -> Vec<JobId> {
        self.0
            .drain(..)
            .filter_map(|queued| match queued {
                Queued::Job { id, .. } => Some(id),
                Queued::Notice(..) => None,
            })
            .collect()
    }

    /// As much as one template may hold, with at most so many jobs; at least one thing, if there is any.
    pub(super) fn take(&mut self, jobs: usize) -> Batch {
        let mut batch = Batch::default();
        let mut bytes = 0;
        let mut answers = 0;
        while let Some(next) = self.0.front() {
            let (more_bytes, more_answers) = match next {
                Queued::Job { work, .. } => (work.bytes(), work.expected()),
                Queued::Notice(_, length) => (*length, 0),
            };
            bytes += more_bytes;
            answers += more_answers;
            let full = batch.objects.len() >= MAX_JOBS
                || batch.jobs.len() >= jobs
                || bytes > MAX_BYTES
                || answers > MAX_EXPECTED;
            if full && !batch.objects.is_empty() {
                break;
            }
            match self.0.pop_front() {
                Some(Queued::Job { id, work, time }) => {
                    let expected = match work {
                        Work::Command(_) => Expected::Response,
                        Work::Reset => Expected::Atr,
                    };
                    batch.jobs.push((id, expected));
                    batch.instructions.push(work.instruction());
                    batch.time += time;
                    batch.objects.push(work.object());
                }
                Some(Queued::Notice(notice, _)) => batch.objects.push(notice),
                None => break,
            }
        }
        batch
    }
}

/// A notice for the user at the client, cut to a length every client can show.
pub(super) fn notice(id: i32, text: &str, seconds: Option<u32>) -> CommandObject {
    CommandObject::Notify {
        id,
        text: text
            .get(..text.floor_char_boundary(MAX_TEXT))
            .unwrap_or_default()
            .to_owned(),
        seconds,
    }
}
