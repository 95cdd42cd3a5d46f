//! `lease.widen`: a custodian adds "and the next k" to a lease while its request waits. The text is another one then, so that everybody
//! answers it anew; the earlier text is kept beside the answers that were about it.

use std::{sync::Arc, time::Duration};

use chancery_api::{
    Failure, FailureKind, Hash32, LeaseId, LeaseState, LeaseText, LeaseView, LeaseWiden, PersonId, Requester,
    Widening, canonical_json,
};
use chancery_store::{Change, LeaseRecord, LeaseWideningRecord, Write};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{hsm_attach::document, lease_load::MOST_ANSWERS, lease_request::LONGEST, lease_view::unknown};
use crate::{
    Center,
    committer::store_failure,
    env::rfc3339,
    event::{Actor, event},
};

impl Center {
    /// Adds digests that nobody knows yet to a lease that waits for its first quorum.
    ///
    /// # Errors
    /// Blocked when the person is no custodian of its HSMs; [`FailureKind::Conflict`] when it was live or is over, when its text is not
    /// the one that was read, or when it cannot be widened.
    pub async fn lease_widen(&self, call: &LeaseWiden, by: &Requester) -> Result<LeaseView, Failure> {
        self.desk.notice().await;
        let text = self.open_text(call.lease).await?;
        let (person, name) = self.custodian_of(&text, &call.person).await?;
        // Nobody answers the text that is being replaced, until it is.
        let counting = self.desk.counting.lock().await;
        let (before, record) = self.widened(call, person, &name)?;
        let Widened {
            text,
            bytes,
            remaining_ms,
            ends_at,
            had_agreed,
        } = before;
        let now_ms = self.clock.now_ms();
        let again = match had_agreed.as_slice() {
            [] => String::new(),
            names => format!("; {} had agreed to less and answer again", names.join(", ")),
        };
        let because = format!("{name} added the next {} digests{again}", call.next);
        let data = json!({
            "lease": call.lease, "person": name, "next": call.next, "text": text, "replaced": call.read,
            "answered_before": had_agreed,
        });
        let event = event(now_ms, "lease-widened", &Actor::Requester(by), &data)?;
        let writes = vec![Write::WidenLease {
            widening: record,
            epoch: self.epoch,
            text: bytes.clone(),
            remaining_ms: i64::try_from(remaining_ms).unwrap_or(i64::MAX),
        }];
        let recorded = self.commit(Change {
            writes,
            events: vec![event],
        });
        if let Err(failure) = recorded.await
            && !self.was_widened(call.lease, &bytes).await?
        {
            return Err(failure);
        }
        let answered = {
            let mut open = self.desk.book();
            match open.get_mut(&call.lease) {
                Some(lease) => {
                    lease.ends_at = ends_at;
                    match lease.ended_ms {
                        None => lease.widen(text, bytes, because),
                        Some(_) => Vec::new(),
                    }
                }
                None => Vec::new(),
            }
        };
        drop(counting);
        // Where an HSM counts others too, the node asks in its place, and says so.
        let because = format!(
            "lease {} was widened, and its custodians answer again",
            call.lease
        );
        for given in answered {
            self.desk.forget(&given, &because).await;
        }
        self.desk.tell();
        self.desk.wake();
        self.lease_view(call.lease).await
    }

    /// Whether a text was recorded although that failed by its own account. A lease whose text is not known is ended.
    async fn was_widened(&self, id: LeaseId, bytes: &[u8]) -> Result<bool, Failure> {
        match self.lease_record(id).await {
            Ok(record) => Ok(record.text == bytes),
            Err(failure) => {
                let because = "it is not known whether it was widened: the database does not answer";
                self.end(id, LeaseState::Revoked, because.to_owned(), &Actor::Node, None)
                    .await?;
                Err(failure)
            }
        }
    }

    /// A person who is custodian of an HSM of the lease.
    async fn custodian_of(&self, text: &LeaseText, name: &str) -> Result<(PersonId, String), Failure> {
        let people = self.people().await?;
        let person = people.by_name(name)?;
        let mut failure = None;
        for hsm in &text.hsms {
            let record = self.hsm_record(&hsm.name).await?;
            if document(&record) != *hsm {
                continue;
            }
            match self.registration(person, &record).await {
                Ok(_) => return Ok((person.id, person.name.clone())),
                Err(why) => failure = Some(why),
            }
        }
        Err(failure.unwrap_or_else(|| {
            Failure::new(
                FailureKind::Refused,
                "the HSMs of the lease are other ones now than in its text",
            )
        }))
    }

    /// The lease as it is to be, and the row that says so.
    fn widened(
        &self,
        call: &LeaseWiden,
        person: PersonId,
        name: &str,
    ) -> Result<(Widened, LeaseWideningRecord), Failure> {
        let conflict = |what: String| Failure::new(FailureKind::Conflict, what);
        let id = call.lease;
        let open = self.desk.book();
        let lease = open.get(&id).ok_or_else(|| unknown(id))?;
        if !lease.may_be_widened() {
            return Err(conflict(format!(
                "lease {id} had its quorum already: only a request that waits for its first one is widened"
            ))
            .with_remedy("whoever needs more asks for another lease"));
        }
        if Hash32::of(&lease.bytes) != call.read {
            return Err(reread(&lease.text, name));
        }
        let (now, now_ms) = (self.desk.now(), self.clock.now_ms());
        // Recording it takes time, and adds none.
        let ends_at = match call.seconds {
            Some(seconds) => now.saturating_add(seconds.saturating_mul(1000)),
            None => lease.ends_at,
        };
        let remaining_ms = ends_at.saturating_sub(now);
        let until = match call.seconds {
            None => None,
            Some(seconds) => Some(until(&lease.text, now_ms, seconds)?),
        };
        let widening = Widening {
            by: name.to_owned(),
            next: call.next,
            at: rfc3339(now_ms),
            until,
        };
        let text = lease
            .text
            .widen(widening)
            .map_err(|why| conflict(format!("lease {id} is not widened: {why}")))?;
        let bytes = canonical_json(&text).map_err(|error| {
            Failure::new(
                FailureKind::Internal,
                format!("the lease cannot be written: {error}"),
            )
        })?;
        let given = lease.attempts.values().flat_map(|attempt| &attempt.given);
        let mut had_agreed: Vec<String> = given.map(|given| given.name.clone()).collect();
        had_agreed.sort_unstable();
        had_agreed.dedup();
        let record = LeaseWideningRecord {
            lease: id,
            place: i64::try_from(lease.earlier.len())
                .unwrap_or(i64::MAX)
                .saturating_add(1),
            text: lease.bytes.to_vec(),
            last_answer: lease.answers,
            person,
            name: name.to_owned(),
            widened_ms: now_ms,
        };
        let widened = Widened {
            text,
            bytes,
            remaining_ms,
            ends_at,
            had_agreed,
        };
        Ok((widened, record))
    }

    /// An answer to a text that was replaced.
    pub(crate) fn widened_meanwhile(&self, id: LeaseId, person: &str) -> Failure {
        match self.desk.book().get(&id) {
            Some(lease) => reread(&lease.text, person),
            None => unknown(id),
        }
    }

    /// The texts a lease had, when its rows say how each became the next.
    pub(crate) async fn texts_of(&self, record: &LeaseRecord, text: &LeaseText) -> Result<Texts, String> {
        let rows = self.store.lease_widenings(record.id).await;
        let rows = rows.map_err(|error| store_failure(&error).message)?;
        let wrong = || "how it was widened is not what its text says".to_owned();
        if rows.len() != text.widened.len() {
            return Err(wrong());
        }
        let mut earlier: Vec<(i64, Arc<[u8]>)> = Vec::new();
        let mut expected: Option<LeaseText> = None;
        let mut last = 0;
        for (row, widening) in rows.into_iter().zip(&text.widened) {
            let before: LeaseText = serde_json::from_slice(&row.text).map_err(|_| wrong())?;
            let continues = expected.as_ref().is_none_or(|expected| *expected == before);
            if !continues
                || !(last..=MOST_ANSWERS).contains(&row.last_answer)
                || canonical_json(&before).ok().as_deref() != Some(&row.text)
                || row.name != widening.by
                || before.lease != record.id
            {
                return Err(wrong());
            }
            expected = Some(before.widen(widening.clone()).map_err(|_| wrong())?);
            last = row.last_answer;
            earlier.push((last, row.text.into()));
        }
        if expected.is_some_and(|expected| expected != *text) {
            return Err(wrong());
        }
        Ok(Texts {
            earlier,
            now: record.text.clone().into(),
        })
    }
}

/// A lease as it is to be.
struct Widened {
    text: LeaseText,
    bytes: Vec<u8>,
    remaining_ms: u64,
    /// Reading of the node's monotonic clock at which its time is over, milliseconds.
    ends_at: u64,
    /// Whose answers were about less.
    had_agreed: Vec<String>,
}

/// The texts of a lease, and which answer was about which.
pub(crate) struct Texts {
    /// Place of the last answer about a text, and the text; in order.
    earlier: Vec<(i64, Arc<[u8]>)>,
    now: Arc<[u8]>,
}

impl Texts {
    /// The text that the answer at a place was about.
    pub(crate) fn of(&self, place: i64) -> &[u8] {
        let earlier = self.earlier.iter().find(|(last, _)| place <= *last);
        earlier.map_or(&self.now, |(_, text)| text)
    }

    /// Place of the last answer that was about an earlier text. What was never recorded has a place too.
    pub(crate) fn last_answer(&self) -> i64 {
        self.earlier.last().map_or(0, |(last, _)| *last)
    }

    /// All but the one it has now.
    pub(crate) fn earlier(&self) -> Vec<Arc<[u8]>> {
        self.earlier.iter().map(|(_, text)| Arc::clone(text)).collect()
    }
}

/// What somebody read, or signed, is not the text any more.
fn reread(text: &LeaseText, person: &str) -> Failure {
    let what = match text.widened.last() {
        Some(widening) => format!(
            "{} added the next {} digests to lease {} meanwhile: nothing of what {person} read before counts",
            widening.by, widening.next, text.lease
        ),
        None => format!("the text of lease {} is another one than was read", text.lease),
    };
    Failure::new(FailureKind::Conflict, what).with_remedy(format!(
        "read it again: chancery approve {} --as {person}",
        text.lease
    ))
}

/// When a lease ends that is to last so long from now.
fn until(text: &LeaseText, now_ms: i64, seconds: u64) -> Result<String, Failure> {
    let invalid = || {
        Failure::new(
            FailureKind::Invalid,
            "a lease lasts from one second to 31 days, counted from when it was asked for",
        )
    };
    let now = OffsetDateTime::from_unix_timestamp(now_ms.div_euclid(1000)).map_err(|_| invalid())?;
    let asked = OffsetDateTime::parse(&text.asked, &Rfc3339).map_err(|_| invalid())?;
    let end = now.checked_add(time::Duration::try_from(Duration::from_secs(seconds)).map_err(|_| invalid())?);
    let end = end.ok_or_else(invalid)?;
    let longest = i64::try_from(LONGEST).unwrap_or(i64::MAX);
    if seconds == 0 || (end - asked).whole_seconds() > longest {
        return Err(invalid());
    }
    let end_ms = end.unix_timestamp().checked_mul(1000).ok_or_else(invalid)?;
    Ok(rfc3339(end_ms))
}
