//! Which lease a signature is made under, and why there is none, in words for people.

use chancery_api::{
    Condition, DigestValue, Extent, Failure, FailureKind, LeaseId, LeaseState, LeaseText, Requester,
    SigningSign,
};

use super::lease_view::unknown;
use crate::{
    Center,
    leases::{OpenLease, Refusal, Standing},
};

impl Center {
    /// The lease that a call is answered under: the one it names, or any live one of the requester's that permits the digests.
    pub(crate) async fn lease_for(
        &self,
        call: &SigningSign,
        named: Option<LeaseId>,
        requester: &Requester,
    ) -> Result<LeaseId, Failure> {
        if let Some(id) = named {
            self.require_own(id, Some(requester))
                .await
                .map_err(|_| unknown(id))?;
            return self.named_lease(call, id).await;
        }
        let (found, failure) = self.search(call, requester);
        match (found, failure) {
            (Some(id), _) => Ok(id),
            (None, Some(failure)) => Err(failure),
            (None, None) => {
                // A name that is none, or a CA's, is told first.
                self.signing_key_record(&call.signer).await?;
                Err(no_lease(call))
            }
        }
    }

    async fn named_lease(&self, call: &SigningSign, id: LeaseId) -> Result<LeaseId, Failure> {
        let wrong = {
            let open = self.desk.book();
            open.get(&id).map(|lease| {
                let text = &lease.text;
                (text.signer != call.signer || text.mechanism != call.mechanism)
                    .then(|| (text.signer.clone(), text.mechanism))
            })
        };
        match wrong {
            Some(None) => Ok(id),
            Some(Some((signer, mechanism))) => Err(Failure::new(
                FailureKind::Conflict,
                format!("lease {id} is for signer {signer} by {mechanism:?}"),
            )),
            None => {
                // A repeated call gets what is recorded, also after the end.
                if call.idempotency_key.is_some() && call.lease != Some(id) {
                    return Ok(id);
                }
                Err(self.lease_is_over(id).await)
            }
        }
    }

    /// That a lease is over, and why.
    pub(crate) async fn lease_is_over(&self, id: LeaseId) -> Failure {
        let view = match self.lease_view(id).await {
            Ok(view) => view,
            Err(failure) => return failure,
        };
        let because = view
            .because
            .map_or_else(String::new, |because| format!(": {because}"));
        let what = format!("lease {id} is {}{because}", view.state.name());
        let signer = serde_json::from_slice(&view.text.0).map(|text: LeaseText| text.signer);
        blocked("lease-over", what, ask_again(signer.as_deref().unwrap_or("NAME")))
    }

    fn search(&self, call: &SigningSign, requester: &Requester) -> (Option<LeaseId>, Option<Failure>) {
        let open = self.desk.book();
        let mut candidates: Vec<&OpenLease> = open
            .values()
            .filter(|lease| {
                lease.ended_ms.is_none()
                    && lease.text.signer == call.signer
                    && lease.text.mechanism == call.mechanism
                    && lease.text.requester.is_same(requester)
            })
            .collect();
        // The one that ends first is used first.
        candidates.sort_by_key(|lease| (lease.ends_at, lease.id));
        let all_signed = |lease: &&&OpenLease| {
            let signed = |digest| lease.counted.get(digest) == Some(&Standing::Signed);
            call.digests.iter().all(signed)
        };
        let usable =
            |lease: &&&OpenLease| lease.state == LeaseState::Live && lease.permits(&call.digests).is_ok();
        let found = candidates
            .iter()
            .find(all_signed)
            .or_else(|| candidates.iter().find(usable));
        if let Some(lease) = found {
            return (Some(lease.id), None);
        }
        // What the newest lease says is what its requester wants to know.
        let failure = candidates
            .iter()
            .rev()
            .find_map(|lease| match lease.permits(&call.digests) {
                Err((digest, refusal))
                    if lease.state != LeaseState::Waiting || lease.waits_until.is_none() =>
                {
                    Some(over(lease, &digest, refusal))
                }
                Ok(()) => Some(no_quorum(lease)),
                Err(_) => None,
            });
        (None, failure)
    }
}

/// Why a lease does not permit a digest.
pub(crate) fn over(lease: &OpenLease, digest: &DigestValue, refusal: Refusal) -> Failure {
    let (id, text) = (lease.id, &lease.text);
    let purpose = &text.purpose;
    match refusal {
        Refusal::NotNamed => blocked(
            "lease-manifest",
            format!(
                "{digest} is not among the {} digests that lease {id} ({purpose:?}) names, and it permits no others",
                text.extent.limit()
            ),
            format!(
                "ask for a lease that names it: chancery unlock request --signer {} --for PURPOSE --digests FILE",
                text.signer
            ),
        ),
        Refusal::Spent => {
            let limit = text.extent.limit();
            let what = match &text.extent {
                Extent::Named { further, .. } => format!(
                    "lease {id} ({purpose:?}) permits {further} digests besides those it names, all are counted, and \
                     {digest} is another one"
                ),
                _ => format!(
                    "lease {id} ({purpose:?}) permits {limit} distinct digests, all are counted, and {digest} is \
                     another one"
                ),
            };
            if names_mkimage(&text.claimed.command) {
                let twice = limit.saturating_mul(2);
                return blocked(
                    "lease-spent",
                    format!(
                        "{what}: mkimage signs each configuration twice, and the time stamp makes the second digest another one"
                    ),
                    format!("set SOURCE_DATE_EPOCH, or ask for {twice}"),
                );
            }
            blocked("lease-spent", what, ask_again(&text.signer))
        }
    }
}

/// Why a lease that permits the digests is of no use now.
pub(crate) fn no_quorum(lease: &OpenLease) -> Failure {
    let id = lease.id;
    let what = match (lease.state, &lease.because) {
        (LeaseState::Waiting, None) => format!("lease {id} waits for its custodians"),
        (LeaseState::Waiting, Some(because)) => format!("lease {id} waits for its custodians: {because}"),
        (state, Some(because)) => format!("lease {id} is {}: {because}", state.name()),
        (state, None) => format!("lease {id} is {}: its time is over", state.name()),
    };
    match lease.state {
        LeaseState::Waiting => blocked("quorum", what, format!("chancery approve {id} --as CUSTODIAN")),
        _ => blocked("lease-over", what, ask_again(&lease.text.signer)),
    }
}

fn no_lease(call: &SigningSign) -> Failure {
    blocked(
        "lease",
        format!(
            "nothing is signed with {} without a lease, and this requester has none",
            call.signer
        ),
        ask_again(&call.signer),
    )
}

fn ask_again(signer: &str) -> String {
    format!("ask for a lease: chancery unlock request --signer {signer} --for PURPOSE --count N --until T")
}

fn blocked(code: &str, what: String, remedy: String) -> Failure {
    Failure::blocked(what.clone(), vec![Condition::new(code, what, remedy, Vec::new())])
}

/// Whether a command line is one of mkimage's.
fn names_mkimage(command: &str) -> bool {
    command
        .split_whitespace()
        .any(|word| word == "mkimage" || word.ends_with("/mkimage"))
}
