//! `hsm attach` and `hsm detach`.

use std::sync::Arc;

use chancery_api::{Condition, Decision, Failure, FailureKind, Hash32, HsmDocument, HsmId, Performed};
use chancery_keys::{Connect, Hsm, HsmError, Identity, Inspection, identify};
use chancery_store::{Change, HsmRecord, TokenMark, Write};
use serde_json::json;
use tracing::warn;

use super::network::CONNECTOR;
use crate::{
    Center,
    acts::ProvenAct,
    event::{Actor, event},
    tokens::hsm_failure,
};

/// Most drafts whose places are remembered.
const MOST_ATTACHING: usize = 256;

impl Center {
    pub(crate) async fn draft_hsm_attach(
        &self,
        token: &str,
        connector: Option<&str>,
    ) -> Result<Decision, Failure> {
        let locator = match connector {
            Some(connector) => {
                super::person::check_name(token)?;
                self.connector_for(connector).await?
            }
            None => format!("virtual:{token}"),
        };
        let known = self
            .hsm_records()
            .await?
            .into_iter()
            .find(|record| record.name == token);
        if let Some(record) = &known
            && let Some(hsm) = self.pool.get(record.id)
            && !matches!(hsm.state(), chancery_keys::State::Lost { .. })
        {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("HSM {token} is attached already"),
            ));
        }
        let identity = self.identify(token, &locator).await?;
        self.bind_connector(&locator, &identity.device).await?;
        if let Some(other) = self
            .hsm_records()
            .await?
            .into_iter()
            .find(|record| record.device == identity.device && record.name != token)
        {
            return Err(
                Failure::new(FailureKind::Conflict, format!("this token is HSM {}", other.name)).with_remedy(
                    format!("chancery hsm attach {} with the same options", other.name),
                ),
            );
        }
        let people = self.people().await?;
        if let Some(owner) = people
            .all()
            .into_iter()
            .find(|person| person.device == identity.device)
        {
            return Err(Failure::new(
                FailureKind::Refused,
                format!(
                    "token {token} belongs to {}: an HSM belongs to the trust center",
                    owner.name
                ),
            )
            .with_remedy(
                "chancery vtoken create NAME makes another token; chancery hsm init makes an HSM of it",
            ));
        }
        let document = match known {
            Some(record) => {
                let document = document(&record);
                if record.device != identity.device || record.device_key != identity.device_key {
                    return Err(other_device(&record, &identity.device));
                }
                document
            }
            None => HsmDocument {
                id: HsmId::new(self.uuid()),
                name: token.to_owned(),
                device: identity.device.clone(),
                key: Hash32::of(&identity.device_key),
            },
        };
        self.note_attaching(document.id, locator);
        Ok(Decision::HsmAttach { hsm: document })
    }

    /// Remembers where a token was found: the act names the device, and it may be anywhere.
    fn note_attaching(&self, id: HsmId, locator: String) {
        let mut attaching = self.lock(&self.attaching);
        // Drafts nobody signed are forgotten some time.
        if attaching.len() >= MOST_ATTACHING {
            attaching.clear();
        }
        attaching.insert(id, locator);
    }

    pub(crate) async fn hsm_attach(&self, act: ProvenAct, hsm: HsmDocument) -> Result<Performed, Failure> {
        let _one_at_a_time = self.procedures.lock().await;
        let known = self
            .hsm_records()
            .await?
            .into_iter()
            .find(|record| record.id == hsm.id);
        if let Some(old) = self.pool.get(hsm.id) {
            if !matches!(old.state(), chancery_keys::State::Lost { .. }) {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!("HSM {} is attached already", hsm.name),
                ));
            }
            self.pool.remove(hsm.id);
            old.closed("it is attached again").await;
        }
        let drafted = self.lock(&self.attaching).remove(&hsm.id);
        let locator = drafted.unwrap_or_else(|| format!("virtual:{}", hsm.name));
        let handle = self.connect(&hsm.name, &locator).await?;
        let identity = handle.identity();
        if identity.device != hsm.device || Hash32::of(&identity.device_key) != hsm.key {
            let found = identity.device.clone();
            handle.closed("it is another token").await;
            return Err(Failure::new(
                FailureKind::Refused,
                format!(
                    "the token now called {} is {found}, not {} that was decided on",
                    hsm.name, hsm.device
                ),
            ));
        }
        let inspection = self
            .inspect(hsm.id, &handle)
            .await
            .map_err(|error| hsm_failure(&error))?;
        let now = self.clock.now_ms();
        let mut writes = vec![Write::InsertAct(act.record.clone())];
        writes.extend(self.bind_connector(&locator, &hsm.device).await?);
        let mut events = Vec::new();
        let record = match known {
            Some(mut record) => {
                let differs = self.compare(&record, &inspection).await?;
                writes.extend(differs.writes);
                events.extend(differs.events);
                record.attached = true;
                record.lost = None;
                record.locator.clone_from(&locator);
                update(&mut record, &inspection);
                writes.push(Write::UpdateHsm(record.clone()));
                record
            }
            None => {
                let record = new_record(&hsm, &locator, &handle, &inspection, &act, now);
                writes.push(Write::InsertHsm(record.clone()));
                record
            }
        };
        let data = match locator.strip_prefix(CONNECTOR) {
            Some(connector) => json!({ "hsm": hsm, "connector": connector }),
            None => json!({ "hsm": hsm }),
        };
        events.insert(0, event(now, "hsm-attached", &Actor::Act(&act), &data)?);
        self.commit(Change { writes, events }).await?;
        self.pool.insert(record.id, handle);
        self.connector_bound(&locator).await?;
        Ok(Performed::Hsms {
            hsms: vec![self.hsm_view(&record).await?],
        })
    }

    pub(crate) async fn draft_hsm_detach(&self, name: &str) -> Result<Decision, Failure> {
        let record = self.hsm_record(name).await?;
        if !record.attached && self.pool.get(record.id).is_none() {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("HSM {name} is detached already"),
            ));
        }
        Ok(Decision::HsmDetach {
            hsm: document(&record),
        })
    }

    pub(crate) async fn hsm_detach(&self, act: ProvenAct, hsm: HsmDocument) -> Result<Performed, Failure> {
        let mut record = self.hsm_record(&hsm.name).await?;
        if let Some(handle) = self.pool.get(record.id)
            && let Ok(inspection) = self.inspect(record.id, &handle).await
        {
            update(&mut record, &inspection);
        }
        record.attached = false;
        record.lost = None;
        let now = self.clock.now_ms();
        let event = event(now, "hsm-detached", &Actor::Act(&act), &json!({ "hsm": hsm }))?;
        self.commit(Change {
            writes: vec![Write::InsertAct(act.record), Write::UpdateHsm(record.clone())],
            events: vec![event],
        })
        .await?;
        if let Some(handle) = self.pool.remove(record.id) {
            handle.closed("it was detached").await;
        }
        Ok(Performed::Hsms {
            hsms: vec![self.hsm_view(&record).await?],
        })
    }

    /// Takes hold of the HSMs that should be attached. One that is missing is recorded as lost; the node starts all the same.
    pub(crate) async fn attach_known(&self) -> Result<(), Failure> {
        for mut record in self
            .hsm_records()
            .await?
            .into_iter()
            .filter(|record| record.attached)
        {
            let because = match self.take_hold(&record).await {
                Ok(inspection) => {
                    let mut differs = self.compare(&record, &inspection).await?;
                    record.lost = None;
                    update(&mut record, &inspection);
                    differs.writes.push(Write::UpdateHsm(record));
                    self.commit(differs).await?;
                    continue;
                }
                Err(failure) => failure.message,
            };
            warn!(hsm = record.name, because, "HSM is not there");
            let now = self.clock.now_ms();
            let data = json!({ "hsm": record.name, "because": because });
            record.lost = Some((now, because));
            let event = event(now, "hsm-lost", &Actor::Node, &data)?;
            self.commit(Change {
                writes: vec![Write::UpdateHsm(record)],
                events: vec![event],
            })
            .await?;
        }
        Ok(())
    }

    pub(crate) async fn take_hold(&self, record: &HsmRecord) -> Result<Inspection, Failure> {
        let handle = self.connect(&record.name, &record.locator).await?;
        same_device(record, &handle)?;
        let inspection = self
            .inspect(record.id, &handle)
            .await
            .map_err(|error| hsm_failure(&error))?;
        self.pool.insert(record.id, handle);
        Ok(inspection)
    }

    /// Connects to a token on a thread of its own.
    pub(crate) async fn connect(&self, name: &str, locator: &str) -> Result<Hsm, Failure> {
        let connect = self.way_to(locator)?;
        let (name, anchors, clock) = (
            name.to_owned(),
            Arc::clone(&self.anchors),
            Arc::clone(&self.clock),
        );
        let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(move || clock.now_ms());
        let limits = self.tokens.limits();
        tokio::task::spawn_blocking(move || Hsm::start_with(&name, connect, anchors, clock, limits))
            .await
            .map_err(|_| Failure::new(FailureKind::Internal, "connecting to the token failed"))?
            .map_err(|error| hsm_failure(&error))
    }

    /// Finds out which device a token is, and gives it back.
    async fn identify(&self, name: &str, locator: &str) -> Result<Identity, Failure> {
        let connect = self.way_to(locator)?;
        let (hsm, anchors) = (name.to_owned(), Arc::clone(&self.anchors));
        tokio::task::spawn_blocking(move || {
            let token = connect.connect().map_err(|source| HsmError::Connect {
                hsm: hsm.clone(),
                source,
            })?;
            identify(&hsm, token, &anchors).map(|(identity, _)| identity)
        })
        .await
        .map_err(|_| Failure::new(FailureKind::Internal, "looking at the token failed"))?
        .map_err(|error| hsm_failure(&error))
    }

    fn way_to(&self, locator: &str) -> Result<Arc<dyn Connect>, Failure> {
        self.tokens.at(locator).ok_or_else(|| {
            Failure::new(
                FailureKind::NotFound,
                format!("{locator} names no kind of token known here"),
            )
        })
    }
}

/// An HSM as decisions name it.
pub(crate) fn document(record: &HsmRecord) -> HsmDocument {
    HsmDocument {
        id: record.id,
        name: record.name.clone(),
        device: record.device.clone(),
        key: Hash32::of(&record.device_key),
    }
}

/// Takes over what a look at the HSM says.
pub(crate) fn update(record: &mut HsmRecord, inspection: &Inspection) {
    if let Some(quorum) = &inspection.quorum {
        record.quorum_required = i64::from(quorum.required);
        record.quorum_total = i64::from(quorum.total);
    }
    record.kcv = inspection.kcv.map(|kcv| kcv.to_vec());
    record.mark = mark(inspection);
}

pub(crate) fn mark(inspection: &Inspection) -> Option<TokenMark> {
    inspection.mark.as_ref().map(|mark| TokenMark {
        sequence: i64::try_from(mark.sequence).unwrap_or(i64::MAX),
        hash: mark.hash.to_vec(),
    })
}

/// The record of an HSM that is new here.
pub(crate) fn new_record(
    hsm: &HsmDocument,
    locator: &str,
    handle: &Hsm,
    inspection: &Inspection,
    act: &ProvenAct,
    now_ms: i64,
) -> HsmRecord {
    let identity = handle.identity();
    let mut record = HsmRecord {
        id: hsm.id,
        name: hsm.name.clone(),
        device: identity.device.clone(),
        device_key: identity.device_key.clone(),
        chain: identity.chain.clone(),
        locator: locator.to_owned(),
        kcv: None,
        quorum_required: 0,
        quorum_total: 0,
        attached: true,
        mark: None,
        lost: None,
        act: act.record.id,
        created_ms: now_ms,
    };
    update(&mut record, inspection);
    record
}

/// A token under a known name must be the HSM of that name.
pub(crate) fn same_device(record: &HsmRecord, handle: &Hsm) -> Result<(), Failure> {
    let identity = handle.identity();
    if identity.device == record.device && identity.device_key == record.device_key {
        Ok(())
    } else {
        Err(other_device(record, &identity.device))
    }
}

fn other_device(record: &HsmRecord, found: &str) -> Failure {
    let what = format!(
        "the token called {} is {found}, but the HSM of that name is {}: it was exchanged",
        record.name, record.device
    );
    let mut failure = Failure::new(FailureKind::Refused, what.clone())
        .with_remedy("bring the right token back, or attach this one under a name of its own");
    failure.unmet = vec![Condition::new(
        "device",
        what,
        "bring the right token back",
        Vec::new(),
    )];
    failure
}
