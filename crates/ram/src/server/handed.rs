//! A template that is with the client, and what its answer means for its jobs.

use std::time::{Duration, Instant};

use chancery_iso7816::TransportError;
use zeroize::Zeroizing;

use super::JobId;
use super::batch::Expected;
use super::output::JobResult;
use crate::message::{ResponseObject, ResponseTemplate};

/// A template that was handed out and is not answered yet.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) number: u64,
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) jobs: Vec<(JobId, Expected)>,
    /// Instruction of each job; none for a reset.
    pub(super) instructions: Vec<Option<u8>>,
    /// When the card can have begun with it.
    pub(super) started: Instant,
    /// Time for all its jobs.
    pub(super) time: Duration,
    /// Whether it answered a fetch, not the answer to the template before.
    pub(super) fetched: bool,
}

/// What an answer comes to.
pub(super) struct Outcome {
    pub(super) done: Vec<(JobId, JobResult)>,
    /// The session cannot go on, and why.
    pub(super) end: Option<String>,
}

impl Handed {
    /// Instructions the card has carried out according to this answer.
    pub(super) fn carried_out(&self, response: &ResponseTemplate) -> Vec<u8> {
        let done = |result: &ResponseObject| matches!(result, ResponseObject::Response(response) if response.len() >= 2);
        let results = self.instructions.iter().zip(&response.results);
        results
            .filter(|(_, result)| done(result))
            .filter_map(|(instruction, _)| *instruction)
            .collect()
    }

    /// Gives each job its result. Counts are the number of results, never what the client says it executed.
    pub(super) fn settle(self, response: ResponseTemplate) -> Outcome {
        let mut results = response.results.into_iter();
        let mut done = Vec::with_capacity(self.jobs.len());
        let mut jobs = self.jobs.into_iter();
        let asked = jobs.len();
        let end = loop {
            let Some(&(job, expected)) = jobs.as_slice().first() else {
                break match results.next() {
                    None => None,
                    Some(ResponseObject::Close { reason }) => Some(closed(&reason)),
                    Some(_) => Some("the client answered more than it was asked".to_owned()),
                };
            };
            match (expected, results.next()) {
                (Expected::Response, Some(ResponseObject::Response(response))) if response.len() >= 2 => {
                    done.push((job, Ok(response)));
                }
                (Expected::Atr, Some(ResponseObject::Atr(atr))) => done.push((job, Ok(Zeroizing::new(atr)))),
                (_, None) => {
                    let reason = format!("the client answered {} of {asked} commands", done.len());
                    done.extend(jobs.map(|(job, _)| {
                        let reason = reason.clone();
                        (job, Err(TransportError::Failed { reason }))
                    }));
                    return Outcome { done, end: None };
                }
                (_, Some(ResponseObject::Close { reason })) => break Some(closed(&reason)),
                (Expected::Response, Some(ResponseObject::Response(_))) => {
                    // What follows may say more.
                    let reason = results.find_map(|result| match result {
                        ResponseObject::Close { reason } => Some(closed(&reason)),
                        _ => None,
                    });
                    break Some(reason.unwrap_or_else(|| "the card vanished during a command".to_owned()));
                }
                (_, Some(_)) => {
                    break Some("the client answered something else than it was asked".to_owned());
                }
            }
            jobs.next();
        };
        if let Some(reason) = &end {
            done.extend(jobs.map(|(job, _)| (job, Err(TransportError::lost(reason)))));
        }
        Outcome { done, end }
    }
}

/// The reason a client gave, as it may be shown: on one line, invisible characters escaped, not too long.
pub(super) fn closed(reason: &str) -> String {
    let mut shown = String::new();
    for c in reason.trim().chars().take(200) {
        if matches!(c, '"' | '\'') {
            shown.push(c);
        } else {
            // Also what changes the direction of writing.
            shown.extend(c.escape_debug());
        }
    }
    if shown.is_empty() {
        "the client ended the session".to_owned()
    } else {
        format!("the client ended the session: {shown}")
    }
}
