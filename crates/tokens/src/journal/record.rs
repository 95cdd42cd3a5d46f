//! What a journal says.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::JournalError;
use super::file::Line;

/// First line of a journal. Stored: fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) version: u32,
    pub(super) kind: String,
    pub(super) device: String,
    pub(super) token: String,
    pub(super) begun: i64,
    pub(super) plan: Value,
}

impl Head {
    pub(super) const VERSION: u32 = 1;
}

/// A note about a step. Stored: fields are only ever added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What the step is, for people and for whoever goes on.
    pub name: String,
    /// `false`: it was begun, and nobody knows whether it happened.
    pub done: bool,
    /// What it gave, or what it is about.
    #[serde(default)]
    pub detail: Value,
}

/// Work that is not finished.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Id by which it is taken up again.
    pub id: String,
    /// Kind of work.
    pub kind: String,
    /// Device id of the token.
    pub device: String,
    /// What the token was called.
    pub token: String,
    /// When it began, in seconds since 1970.
    pub begun: i64,
    /// What was to be done.
    pub plan: Value,
    /// The steps in order; each as it stands now.
    pub steps: Vec<Step>,
    /// Whether a process is at it now.
    pub busy: bool,
}

impl Record {
    pub(super) fn new(id: String, head: Head) -> Self {
        Self {
            id,
            kind: head.kind,
            device: head.device,
            token: head.token,
            begun: head.begun,
            plan: head.plan,
            steps: Vec::new(),
            busy: false,
        }
    }

    /// From the lines of a file; `None` when a crash left not even the first.
    pub(super) fn read(id: String, path: &Path, lines: Vec<Line>) -> Result<Option<Self>, JournalError> {
        let damaged = |line: usize, why: &str| JournalError::Damaged {
            path: path.to_owned(),
            line: line + 1,
            why: why.to_owned(),
        };
        let mut record = None;
        for (number, line) in lines.into_iter().enumerate() {
            match (line, &mut record) {
                (Line::Head(head), None) if head.version == Head::VERSION => {
                    record = Some(Self::new(id.clone(), head));
                }
                (Line::Head(_), None) => {
                    return Err(damaged(number, "it was written by a later version"));
                }
                (Line::Step(step), Some(record)) => record.add(step),
                (Line::Forget(name), Some(record)) => record.forget(&name),
                (Line::Head(_), Some(_)) => return Err(damaged(number, "a second beginning")),
                (Line::Step(_) | Line::Forget(_), None) => {
                    return Err(damaged(number, "a step before the beginning"));
                }
            }
        }
        Ok(record)
    }

    /// The plan, as the type it was written from.
    ///
    /// # Errors
    /// [`JournalError::Encode`] when it is not of that type.
    pub fn plan<T: DeserializeOwned>(&self) -> Result<T, JournalError> {
        serde_json::from_value(self.plan.clone()).map_err(JournalError::Encode)
    }

    /// A step by name, as it stands.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// Whether a step is done.
    #[must_use]
    pub fn is_done(&self, name: &str) -> bool {
        self.step(name).is_some_and(|step| step.done)
    }

    /// Whether a step was begun and may or may not have happened.
    #[must_use]
    pub fn is_in_doubt(&self, name: &str) -> bool {
        self.step(name).is_some_and(|step| !step.done)
    }

    /// Takes a step for one that was never begun.
    pub(super) fn forget(&mut self, name: &str) {
        self.steps.retain(|step| step.name != name);
    }

    /// Adds a note: a step that is there already changes.
    pub(super) fn add(&mut self, step: Step) {
        match self.steps.iter_mut().find(|known| known.name == step.name) {
            Some(known) => *known = step,
            None => self.steps.push(step),
        }
    }
}
