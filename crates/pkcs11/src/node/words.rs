//! What people are told.

use std::time::Duration;

use chancery_api::{DigestValue, Failure, LeaseState, LeaseView};
use chancery_client::ClientError;

/// What a request is for, in a few words.
pub(super) fn wanted(digests: &[DigestValue], further: u64) -> String {
    match (digests, further) {
        ([], 1) => "one digest that is not known yet".to_owned(),
        ([], further) => format!("{further} digests that are not known yet"),
        ([digest, ..], 0) => digest.to_string(),
        ([digest, ..], further) => format!("{digest} and the next {further}"),
    }
}

/// The first line while custodians are waited for.
pub(super) fn begin(signer: &str, what: &str, view: &LeaseView, left: Duration) -> String {
    format!(
        "{signer}: waiting for custodians to permit {what}: {}; up to {}; they answer with `chancery approve {}`",
        standing(view),
        time(left),
        view.lease
    )
}

/// A line after something changed, or a long time.
pub(super) fn progress(signer: &str, view: &LeaseView, left: Duration) -> String {
    let because = because(view);
    format!("{signer}: {}; {} left{because}", standing(view), time(left))
}

/// The line once custodians have permitted it.
pub(super) fn permitted(signer: &str, view: &LeaseView) -> String {
    let by = match (view.agreed.as_slice(), view.node_enforced) {
        ([], _) => String::new(),
        (who, false) => format!(" by {}", list(who)),
        (who, true) => format!(" by {} (node-enforced: an HSM was open already)", list(who)),
    };
    format!("{signer}: permitted{by}")
}

/// Why a lease that was waited for permits nothing.
pub(super) fn over(signer: &str, view: &LeaseView) -> String {
    let what = match view.state {
        LeaseState::Refused => "the custodians refused to let it sign",
        LeaseState::TimedOut => "the custodians did not answer in time",
        LeaseState::Withdrawn => "the request was withdrawn",
        LeaseState::Revoked => "the lease was revoked",
        LeaseState::Expired => "the lease's time is over",
        LeaseState::Exhausted => "everything the lease permits was signed",
        LeaseState::Waiting | LeaseState::Live => "the lease is not over",
    };
    let agreed = match view.agreed.as_slice() {
        [] => String::new(),
        who => format!("; {} of {} had agreed: {}", who.len(), view.needed, list(who)),
    };
    format!("{signer}: {what}{}{agreed} (lease {})", because(view), view.lease)
}

/// Why a node signs nothing.
pub(super) fn blocked(signer: &str, failure: &Failure) -> String {
    let mut text = format!("{signer}: {}", failure.message);
    for condition in &failure.unmet {
        if condition.what != failure.message {
            text.push_str("; ");
            text.push_str(&condition.what);
        }
        if !condition.remedy.is_empty() {
            text.push_str("; ");
            text.push_str(&condition.remedy);
        }
    }
    if let Some(remedy) = &failure.remedy {
        text.push_str("; ");
        text.push_str(remedy);
    }
    text
}

/// Why a call failed.
pub(super) fn failed(signer: &str, error: ClientError) -> String {
    match error {
        ClientError::Failed(failure) => blocked(signer, &failure),
        other => {
            let failure = Failure::from(other);
            blocked(signer, &failure)
        }
    }
}

/// Who agreed, and who can.
fn standing(view: &LeaseView) -> String {
    let agreed = match view.agreed.as_slice() {
        [] => format!("0 of {} have agreed", view.needed),
        who => format!("{} of {} have agreed ({})", who.len(), view.needed, list(who)),
    };
    match view.could.as_slice() {
        [] => agreed,
        who => format!("{agreed}, {} can", list(who)),
    }
}

fn because(view: &LeaseView) -> String {
    view.because
        .as_ref()
        .map_or_else(String::new, |because| format!(": {because}"))
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn time(left: Duration) -> String {
    match u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests {
    use chancery_api::{Base64, Condition, HashName, LeaseId};

    use super::*;

    fn view(agreed: &[&str], could: &[&str], because: Option<&str>) -> LeaseView {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        LeaseView {
            lease: serde_json::from_str::<LeaseId>("\"0198c5a8-0000-7000-8000-000000000001\"").unwrap(),
            text: Base64(Vec::new()),
            state: LeaseState::Refused,
            version: 1,
            agreed: names(agreed),
            could: names(could),
            needed: 2,
            because: because.map(str::to_owned),
            node_enforced: false,
            used: 0,
            remaining_seconds: 0,
            hsms: Vec::new(),
        }
    }

    #[test]
    fn a_refusal_says_who_why_and_how_far_it_came() {
        let text = over(
            "firmware",
            &view(&["alice"], &[], Some("bob refused: wrong kernel")),
        );
        assert!(
            text.starts_with(
                "firmware: the custodians refused to let it sign: bob refused: wrong kernel; 1 of 2 had agreed: alice (lease "
            ),
            "{text}"
        );
    }

    #[test]
    fn progress_says_who_agreed_and_who_can() {
        let text = progress(
            "f",
            &view(&["alice"], &["bob", "carol"], None),
            Duration::from_secs(700),
        );
        assert_eq!(
            text,
            "f: 1 of 2 have agreed (alice), bob and carol can; 12 min left"
        );
        let digest = DigestValue::new(HashName::Sha256, vec![0; 32]).unwrap();
        assert!(wanted(&[digest], 2).ends_with(" and the next 2"));
    }

    #[test]
    fn a_condition_that_repeats_the_message_is_said_once() {
        let condition = Condition::new("lease-spent", "all spent", "ask for 4", Vec::new());
        let failure = Failure::blocked("all spent", vec![condition]);
        assert_eq!(blocked("f", &failure), "f: all spent; ask for 4");
    }
}
