//! `act.draft` and `act.perform`: the way of every decision.

use chancery_api::{
    ActId, ActPayload, Base64, Decision, Draft, DraftView, Failure, FailureKind, Hash32, Intent, Perform,
    Performed, RequestNumber, canonical_json,
};

use crate::{
    Center,
    acts::{self, Prepared, ProvenAct},
    env::rfc3339,
    reading::Reading,
    rights,
    trust::{People, Person},
};

impl Center {
    /// Drafts an act: resolves names, reports what stands in the way, and keeps the draft until it is handed in.
    ///
    /// # Errors
    /// A blocked draft lists its unmet conditions.
    pub async fn draft(&self, call: Draft) -> Result<DraftView, Failure> {
        let people = self.people().await?;
        let person = people.by_name(&call.person)?;
        let (decision, prepared) = self.resolve(&people, person, call.intent).await?;
        if let Some(roles) = rights::for_decision(&decision)
            && let Some(missing) = rights::missing_role(&people, person, roles, decision.verb())
        {
            return Err(Failure::blocked(
                format!("{} cannot be done by {}", decision.verb(), person.name),
                vec![missing],
            ));
        }
        let now = self.clock.now_ms();
        let payload = ActPayload {
            v: 1,
            installation: self.installation.id,
            act: ActId::new(self.growing_uuid()),
            nonce: Hash32(self.random()),
            time: rfc3339(now).max(people.newest().to_owned()),
            person: person.id,
            name: person.name.clone(),
            decision,
        };
        let bytes = canonical_json(&payload).map_err(|error| {
            Failure::new(
                FailureKind::Internal,
                format!("the draft cannot be written: {error}"),
            )
        })?;
        self.lock(&self.drafts).put(payload, bytes.clone(), prepared, now);
        Ok(DraftView {
            payload: Base64(bytes),
        })
    }

    /// Carries out a signed act.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] when the proof does not hold; [`FailureKind::Blocked`] when conditions have changed since the draft.
    pub async fn perform(&self, call: Perform) -> Result<Performed, Failure> {
        let now = self.clock.now_ms();
        let (payload, prepared) = self.lock(&self.drafts).take(&call.act, now)?;
        // Who decides and what is decided on are read together, and anew for every act.
        let reading = self.read(to_be_signed(&payload.decision)).await?;
        let person = reading.people.get(payload.person).ok_or_else(|| {
            Failure::new(
                FailureKind::Refused,
                format!("{} gives no rights any more", payload.name),
            )
        })?;
        self.act_key(&person.public_key)
            .and_then(|key| {
                let (payload, signature) = (&call.act.payload.0, &call.act.signature.0);
                acts::verify(self.installation.id, payload, signature, &key)
            })
            .map_err(|error| {
                Failure::new(
                    FailureKind::Refused,
                    format!("the act is not signed by {}: {error}", person.name),
                )
                .with_remedy("use the token whose key was registered for this person")
            })?;
        let act = ProvenAct {
            record: acts::record(&payload, call.act, now),
            payload,
            person: person.clone(),
        };
        self.carry_out(&reading, act, prepared, &call.so_pins).await
    }

    async fn resolve(
        &self,
        people: &People,
        person: &Person,
        intent: Intent,
    ) -> Result<(Decision, Prepared), Failure> {
        let plain = |decision| (decision, Vec::new());
        match intent {
            Intent::HsmInit {
                tokens,
                required,
                total,
                shares,
            } => self
                .draft_hsm_init(&tokens, required, total, shares)
                .await
                .map(plain),
            Intent::HsmAttach { token, connector } => self
                .draft_hsm_attach(&token, connector.as_deref())
                .await
                .map(plain),
            Intent::HsmDetach { hsm } => self.draft_hsm_detach(&hsm).await.map(plain),
            Intent::RequestApprove { requests } => self.draft_approve(people, person, &requests).await,
            Intent::RequestReject { requests, reason } => self
                .draft_reject(people, person, requests, reason)
                .await
                .map(plain),
            Intent::RequestSign { requests } => self.draft_sign(people, person, &requests).await,
            Intent::SignerReplicate { ca, hsm } => self.draft_replicate(&ca, &hsm).await.map(plain),
            Intent::CertificateRevoke { certificate, reason } => {
                self.draft_revoke(&certificate, reason).await.map(plain)
            }
            Intent::CrlCreate { ca } => self.draft_crl(&ca).await,
        }
    }

    async fn carry_out(
        &self,
        reading: &Reading,
        act: ProvenAct,
        prepared: Prepared,
        so_pins: &std::collections::BTreeMap<String, chancery_api::SecretText>,
    ) -> Result<Performed, Failure> {
        let people = &reading.people;
        let decision = act.payload.decision.clone();
        if let Some(roles) = rights::for_decision(&decision)
            && let Some(missing) = rights::missing_role(people, &act.person, roles, decision.verb())
        {
            return Err(Failure::blocked(
                format!("{} cannot be done by {}", decision.verb(), act.person.name),
                vec![missing],
            ));
        }
        match decision {
            Decision::Init { .. } => Err(Failure::new(
                FailureKind::Invalid,
                "an installation is initialised once, by `chancery init`",
            )),
            Decision::HsmInit {
                hsms,
                quorum_required,
                quorum_total,
                shares,
            } => {
                self.hsm_init(act, hsms, (quorum_required, quorum_total), shares, so_pins)
                    .await
            }
            Decision::HsmAttach { hsm } => self.hsm_attach(act, hsm).await,
            Decision::HsmDetach { hsm } => self.hsm_detach(act, hsm).await,
            Decision::RequestApprove { items } => self.approve(people, act, items, prepared).await,
            Decision::RequestReject { requests, .. } => self.reject(people, act, requests).await,
            Decision::RequestSign { items } => self.sign(reading, act, items, prepared).await,
            Decision::SignerReplicate { signer, hsm, .. } => self.replicate(act, signer, hsm).await,
            Decision::CertificateRevoke { ca, serial, reason } => {
                self.revoke(act, &ca, &serial, &reason).await
            }
            Decision::CrlCreate { ca, .. } => self.create_crl(act, &ca, prepared).await,
        }
    }
}

/// The requests that a decision has signed.
fn to_be_signed(decision: &Decision) -> Vec<RequestNumber> {
    match decision {
        Decision::RequestSign { items } => items.iter().map(|item| item.request).collect(),
        _ => Vec::new(),
    }
}
