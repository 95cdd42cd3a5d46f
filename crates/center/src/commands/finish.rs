//! Finishing claims: the HSM signs what is durable, and the result is recorded.

use std::sync::Arc;

use chancery_api::{Failure, FailureKind, Hash32};
use chancery_keys::{KeyError, Pool, SigningKey as _};
use chancery_pki::assemble;
use chancery_store::{Change, RequestState, Write};
use futures::future::join_all;
use serde_json::json;
use tokio::task::JoinSet;

use super::sign::Claim;
use crate::{
    Center,
    authority::pooled,
    committer::{CommitError, Committer},
    env::Clock,
    event::{Actor, event},
    leases::Desk,
};

/// Claims of one list that a task finishes: results are verified on as many processors as there are.
const CLAIMS_A_TASK: usize = 32;

/// The certificate that a request is for, DER.
type Issued = Option<Vec<u8>>;

/// What finishing takes beside the claim.
#[derive(Clone)]
struct Finisher {
    committer: Committer,
    clock: Arc<dyn Clock>,
    pool: Arc<Pool>,
    desk: Desk,
    epoch: i64,
}

/// Why a claim is not finished.
enum Unfinished {
    /// The HSMs did not sign.
    Key(KeyError),
    Other(Failure),
}

impl From<Failure> for Unfinished {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl From<CommitError> for Unfinished {
    fn from(error: CommitError) -> Self {
        Self::Other(error.into())
    }
}

impl Center {
    /// Has a claim signed and records the result: the certificate that the request is for.
    pub(crate) async fn finish(&self, claim: &Claim) -> Result<Issued, Failure> {
        self.explained(claim, self.finisher().finish(claim).await).await
    }

    /// [`Self::finish`] for each claim. When nobody waits for the answer any more, what was not signed yet stays claimed.
    pub(crate) async fn finish_all(&self, claims: &Arc<Vec<Claim>>) -> Vec<Result<Issued, Failure>> {
        let finisher = self.finisher();
        let mut finished = Vec::with_capacity(claims.len());
        if claims.len() <= CLAIMS_A_TASK {
            finished = join_all(claims.iter().map(|claim| finisher.finish(claim))).await;
        } else {
            let mut tasks = JoinSet::new();
            for start in (0..claims.len()).step_by(CLAIMS_A_TASK) {
                let (finisher, claims) = (finisher.clone(), Arc::clone(claims));
                tasks.spawn(async move {
                    let part = claims.iter().skip(start).take(CLAIMS_A_TASK);
                    (start, join_all(part.map(|claim| finisher.finish(claim))).await)
                });
            }
            let mut parts = tasks.join_all().await;
            parts.sort_by_key(|(start, _)| *start);
            finished.extend(parts.into_iter().flat_map(|(_, results)| results));
        }
        let explained = claims.iter().zip(finished);
        join_all(explained.map(|(claim, result)| self.explained(claim, result))).await
    }

    fn finisher(&self) -> Finisher {
        Finisher {
            committer: self.committer.clone(),
            clock: Arc::clone(&self.clock),
            pool: Arc::clone(&self.pool),
            desk: self.desk.clone(),
            epoch: self.epoch,
        }
    }

    async fn explained(&self, claim: &Claim, result: Result<Issued, Unfinished>) -> Result<Issued, Failure> {
        match result {
            Ok(issued) => Ok(issued),
            Err(Unfinished::Key(error)) => Err(self.not_yet_signed(claim, &error).await),
            Err(Unfinished::Other(failure)) => Err(failure),
        }
    }

    async fn not_yet_signed(&self, claim: &Claim, error: &KeyError) -> Failure {
        let request = claim.request;
        let mut failure = crate::tokens::key_failure(error);
        failure.message = format!(
            "request {request} is recorded and not yet signed: {}",
            failure.message
        );
        failure.remedy = Some(match failure.remedy.take() {
            Some(remedy) => format!("{remedy}; then: chancery request resume {request}"),
            None => format!("chancery request resume {request}"),
        });
        if failure.kind == FailureKind::Blocked && failure.unmet.is_empty() {
            // The list is what helps; without it the message has to do.
            failure.unmet = self.quorum_conditions(&claim.key.on).await.unwrap_or_default();
        }
        failure
    }
}

impl Finisher {
    async fn finish(&self, claim: &Claim) -> Result<Issued, Unfinished> {
        let key = pooled(&self.pool, &self.desk, &claim.key);
        let mut writes = Vec::new();
        let mut issued = Vec::new();
        let mut own = None;
        for certificate in &claim.certificates {
            let signature = key.sign(&certificate.tbs).await.map_err(Unfinished::Key)?;
            let der = assemble(&certificate.tbs, claim.key.algorithm(), &signature)
                .map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
            issued.push(json!({
                "ca": claim.ca.name, "serial": hex::encode(&certificate.serial), "certificate": Hash32::of(&der),
            }));
            own.get_or_insert_with(|| (certificate.id, der.clone()));
            writes.push(Write::IssueCertificate {
                certificate: certificate.id,
                epoch: self.epoch,
                der,
            });
        }
        if claim.ca.certificate.is_none()
            && claim.ca.request == claim.request
            && let Some((certificate, _)) = own
        {
            writes.push(Write::SetCaCertificate {
                ca: claim.ca.id,
                certificate,
            });
        }
        writes.push(Write::MoveRequest {
            request: claim.request,
            from: RequestState::Signing,
            to: RequestState::Done,
        });
        let act = claim.certificates.first().map(|certificate| certificate.act);
        let actor = act.map_or(Actor::Node, Actor::ActReference);
        let data = json!({ "request": claim.request, "certificates": issued });
        let events = vec![event(self.clock.now_ms(), "certificates-issued", &actor, &data)?];
        let outcome = self.committer.commit(Change { writes, events }).await;
        if let Err(CommitError::Conflict(_)) = &outcome {
            // Somebody took the claim over meanwhile: the signature is given to nobody, and that it was made stays known.
            let discarded = event(self.clock.now_ms(), "signature-discarded", &actor, &data)?;
            let events = vec![discarded];
            let writes = Vec::new();
            self.committer.commit(Change { writes, events }).await?;
        }
        outcome?;
        Ok(own.map(|(_, der)| der))
    }
}
