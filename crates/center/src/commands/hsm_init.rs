//! `hsm init`: tokens become HSMs of one new key domain.

use std::collections::BTreeMap;

use chancery_api::{Decision, Failure, FailureKind, Hash32, HsmDocument, HsmId, Performed, SecretText};
use chancery_driver::SoPin;
use chancery_keys::{Hsm, Initialise};
use chancery_schsm::KekShare;
use chancery_store::{Change, Write};
use serde_json::json;

use super::{
    hsm_attach::{new_record, same_device, update},
    network::CONNECTOR,
};
use crate::{
    Center,
    acts::ProvenAct,
    event::{Actor, event},
    tokens::hsm_failure,
};

/// A token for as long as a call takes. One that the node does not hold already is given back, however the call ends, so that the
/// next connection finds it free.
struct InHand {
    handle: Hsm,
    held: bool,
}

impl InHand {
    fn keep(mut self) -> Hsm {
        self.held = true;
        self.handle.clone()
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if !self.held {
            self.handle.close("it was not kept");
        }
    }
}

impl Center {
    pub(crate) async fn draft_hsm_init(
        &self,
        tokens: &[String],
        required: u8,
        total: u8,
        shares: u8,
    ) -> Result<Decision, Failure> {
        let invalid = |what: String| Failure::new(FailureKind::Invalid, what);
        if tokens.is_empty() {
            return Err(invalid("name the tokens to initialise".to_owned()));
        }
        if !(1..=90).contains(&total) || !(1..=total).contains(&required) {
            return Err(invalid(format!(
                "a quorum of {required} of {total} is impossible: 1 <= n <= m <= 90"
            )));
        }
        if !(1..=16).contains(&shares) {
            return Err(invalid(format!("{shares} shares: from 1 to 16 are possible")));
        }
        let mut hsms = Vec::new();
        for token in tokens {
            if hsms.iter().any(|hsm: &HsmDocument| hsm.name == *token) {
                return Err(invalid(format!("{token} is named twice")));
            }
            let (id, in_hand) = self.token_in_hand(token).await?;
            let handle = &in_hand.handle;
            let inspection = handle.inspect().await.map_err(|error| hsm_failure(&error))?;
            if !inspection.keys.is_empty() {
                return Err(holds_keys(token, inspection.keys.len()));
            }
            hsms.push(HsmDocument {
                id,
                name: token.clone(),
                device: handle.identity().device.clone(),
                key: Hash32::of(&handle.identity().device_key),
            });
        }
        Ok(Decision::HsmInit {
            hsms,
            quorum_required: required,
            quorum_total: total,
            shares,
        })
    }

    pub(crate) async fn hsm_init(
        &self,
        act: ProvenAct,
        hsms: Vec<HsmDocument>,
        (required, total): (u8, u8),
        shares: u8,
        so_pins: &BTreeMap<String, SecretText>,
    ) -> Result<Performed, Failure> {
        let _one_at_a_time = self.procedures.lock().await;
        let mut handles = Vec::new();
        for hsm in &hsms {
            let so_pin = so_pins.get(&hsm.name).ok_or_else(|| {
                Failure::new(
                    FailureKind::Invalid,
                    format!("the SO-PIN for {} is missing", hsm.name),
                )
            })?;
            let so_pin = SoPin::from_hex(so_pin.secret_text()).map_err(|error| {
                Failure::new(
                    FailureKind::Invalid,
                    format!("the SO-PIN for {} is unusable: {error}", hsm.name),
                )
            })?;
            let (_, in_hand) = self.token_in_hand(&hsm.name).await?;
            let handle = &in_hand.handle;
            if handle.identity().device != hsm.device || Hash32::of(&handle.identity().device_key) != hsm.key
            {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!(
                        "the token now called {} is not the one that was decided on",
                        hsm.name
                    ),
                ));
            }
            // All are looked at before the first is touched.
            let inspection = handle.inspect().await.map_err(|error| hsm_failure(&error))?;
            if !inspection.keys.is_empty() {
                return Err(holds_keys(&hsm.name, inspection.keys.len()));
            }
            handles.push((hsm.clone(), in_hand, so_pin));
        }
        let begun = self.clock.now_ms();
        self.commit(Change {
            writes: vec![Write::InsertAct(act.record.clone())],
            events: vec![event(
                begun,
                "hsm-init-begun",
                &Actor::Act(&act),
                &json!({ "hsms": hsms }),
            )?],
        })
        .await?;

        // The shares exist in this memory only, and only until all HSMs have them.
        let shares: Vec<KekShare> = (0..shares)
            .map(|_| KekShare::generate(|bytes| self.entropy.fill(bytes)))
            .collect();
        let known = self.hsm_records().await?;
        let mut writes = Vec::new();
        let mut records = Vec::new();
        let mut initialised = Vec::new();
        for (hsm, in_hand, so_pin) in handles {
            let handle = &in_hand.handle;
            let parameters = Initialise {
                so_pin,
                required,
                total,
                shares: shares.clone(),
            };
            handle
                .initialise(parameters)
                .await
                .map_err(|error| hsm_failure(&error))?;
            let inspection = self
                .inspect(hsm.id, handle)
                .await
                .map_err(|error| hsm_failure(&error))?;
            let record = match known.iter().find(|record| record.id == hsm.id) {
                Some(record) => {
                    let mut record = record.clone();
                    record.attached = true;
                    record.lost = None;
                    let gone = self.missing_replicas(record.id, &inspection).await?;
                    writes.extend(gone.into_iter().map(|(_, write)| write));
                    update(&mut record, &inspection);
                    writes.push(Write::UpdateHsm(record.clone()));
                    writes.push(Write::ClearCustodians(record.id));
                    record
                }
                None => {
                    let record = new_record(
                        &hsm,
                        &format!("virtual:{}", hsm.name),
                        handle,
                        &inspection,
                        &act,
                        begun,
                    );
                    writes.push(Write::InsertHsm(record.clone()));
                    record
                }
            };
            initialised.push((record.id, in_hand));
            records.push(record);
        }
        let kcv = records
            .first()
            .and_then(|record| record.kcv.as_ref())
            .map(hex::encode_upper);
        let data = json!({ "hsms": hsms, "quorum": [required, total], "kcv": kcv });
        let done = event(
            self.clock.now_ms(),
            "hsm-initialised",
            &Actor::ActReference(act.record.id),
            &data,
        )?;
        self.commit(Change {
            writes,
            events: vec![done],
        })
        .await?;
        // Until here a token that was new is in nobody's hands: after a failure the whole is done again.
        for (id, in_hand) in initialised {
            self.pool.insert(id, in_hand.keep());
        }
        let mut views = Vec::new();
        for record in &records {
            views.push(self.hsm_view(record).await?);
        }
        Ok(Performed::Hsms { hsms: views })
    }

    /// The token of that name: the one the node holds already, or a new connection.
    async fn token_in_hand(&self, name: &str) -> Result<(HsmId, InHand), Failure> {
        let known = self
            .hsm_records()
            .await?
            .into_iter()
            .find(|record| record.name == name);
        if let Some(record) = &known
            && let Some(handle) = self.pool.get(record.id)
            && !record.locator.starts_with(CONNECTOR)
            && !matches!(handle.state(), chancery_keys::State::Lost { .. })
        {
            return Ok((record.id, InHand { handle, held: true }));
        }
        if let Some(record) = &known
            && record.locator.starts_with(CONNECTOR)
        {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("HSM {name} is behind a connector: the node initialises no token that is elsewhere"),
            )
            .with_remedy("chancery token init, where the token is; or bring it to the node's machine under another name"));
        }
        let handle = self.connect(name, &format!("virtual:{name}")).await?;
        let in_hand = InHand { handle, held: false };
        match known {
            Some(record) => {
                same_device(&record, &in_hand.handle)?;
                Ok((record.id, in_hand))
            }
            None => Ok((HsmId::new(self.uuid()), in_hand)),
        }
    }
}

fn holds_keys(token: &str, count: usize) -> Failure {
    let keys = if count == 1 {
        "a key".to_owned()
    } else {
        format!("{count} keys")
    };
    Failure::new(
        FailureKind::Conflict,
        format!("token {token} holds {keys}: it is not initialised"),
    )
    .with_remedy("take another token, or destroy this one first if its keys are not needed")
}
