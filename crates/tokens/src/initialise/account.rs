//! What was and what was not done.

use serde::Serialize;

use super::Plan;
use crate::journal::Record;

/// Whether a step happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// It did.
    Yes,
    /// It did not.
    No,
    /// It was begun, and the token has not said.
    Unknown,
}

/// Names of the steps.
pub(super) const ERASE: &str = "erase and set up";
pub(super) const LABEL: &str = "label";
pub(super) const CHECK: &str = "read back";

/// Name of the step that makes a key domain.
pub(super) fn domain_step(domain: usize) -> String {
    format!("key domain {domain}")
}

/// The steps of a plan, in order.
pub(super) fn steps(plan: &Plan) -> Vec<String> {
    let mut steps = vec![ERASE.to_owned()];
    steps.extend((0..plan.blueprint.domain_shares.len()).map(domain_step));
    if plan.blueprint.label.is_some() {
        steps.push(LABEL.to_owned());
    }
    steps.push(CHECK.to_owned());
    steps
}

/// Every step with what is known of it.
#[must_use]
pub fn account(plan: &Plan, record: &Record) -> Vec<(String, Done)> {
    steps(plan)
        .into_iter()
        .map(|step| {
            let done = if record.is_done(&step) {
                Done::Yes
            } else if record.is_in_doubt(&step) {
                Done::Unknown
            } else {
                Done::No
            };
            (step, done)
        })
        .collect()
}
