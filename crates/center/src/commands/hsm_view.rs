//! `hsm.list`, `hsm.status`: what the node knows of its HSMs, asked afresh.

use std::collections::HashMap;

use chancery_api::{CustodianView, Failure, FailureKind, HsmId, HsmState, HsmView, QuorumView};
use chancery_keys::{Hsm, HsmError, Inspection, State};
use chancery_store::{Change, HsmRecord, ReplicaState, TokenMark, Write};

use serde_json::json;

use crate::{
    Center,
    committer::store_failure,
    env::rfc3339,
    event::{Actor, event},
};

impl Center {
    /// All HSMs, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hsm_list(&self) -> Result<Vec<HsmView>, Failure> {
        let mut views = Vec::new();
        for record in self.hsm_records().await? {
            views.push(self.hsm_view(&record).await?);
        }
        Ok(views)
    }

    /// One HSM.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown name.
    pub async fn hsm_status(&self, name: &str) -> Result<HsmView, Failure> {
        let record = self.hsm_record(name).await?;
        self.hsm_view(&record).await
    }

    pub(crate) async fn hsm_records(&self) -> Result<Vec<HsmRecord>, Failure> {
        self.store.hsms().await.map_err(|error| store_failure(&error))
    }

    pub(crate) async fn hsm_record(&self, name: &str) -> Result<HsmRecord, Failure> {
        self.hsm_records().await?.into_iter().find(|record| record.name == name).ok_or_else(|| {
            Failure::new(FailureKind::NotFound, format!("there is no HSM named {name}"))
                .with_remedy("chancery hsm list; a token becomes an HSM with `chancery hsm init` or `chancery hsm attach`")
        })
    }

    /// The HSM in the node's hands.
    pub(crate) fn held(&self, record: &HsmRecord) -> Result<Hsm, Failure> {
        self.pool.get(record.id).ok_or_else(|| {
            Failure::blocked(
                format!("HSM {} is not attached", record.name),
                vec![chancery_api::Condition::new(
                    "attached",
                    format!("HSM {} is not attached", record.name),
                    format!("chancery hsm attach {} --as NAME", record.name),
                    Vec::new(),
                )],
            )
        })
    }

    /// Asks an HSM what it holds; remembers the answer and how far its stored state has come.
    pub(crate) async fn inspect(&self, id: HsmId, hsm: &Hsm) -> Result<Inspection, HsmError> {
        let inspection = hsm.inspect().await?;
        self.lock(&self.seen).insert(id, inspection.clone());
        Ok(inspection)
    }

    /// The write that stores the newest mark of an HSM, if it tells one.
    pub(crate) fn mark_write(id: HsmId, inspection: &Inspection) -> Option<Write> {
        inspection.mark.as_ref().map(|mark| Write::SetHsmMark {
            hsm: id,
            mark: TokenMark {
                sequence: i64::try_from(mark.sequence).unwrap_or(i64::MAX),
                hash: mark.hash.to_vec(),
            },
        })
    }

    pub(crate) async fn save_mark(&self, id: HsmId, inspection: &Inspection) -> Result<(), Failure> {
        match Self::mark_write(id, inspection) {
            Some(write) => {
                self.commit(Change {
                    writes: vec![write],
                    events: Vec::new(),
                })
                .await
            }
            None => Ok(()),
        }
    }

    pub(crate) async fn hsm_view(&self, record: &HsmRecord) -> Result<HsmView, Failure> {
        let hsm = self.pool.get(record.id);
        let mut inspection = self.lock(&self.seen).get(&record.id).cloned();
        if let Some(hsm) = &hsm
            && let Ok(fresh) = self.inspect(record.id, hsm).await
        {
            inspection = Some(fresh);
        }
        if let Some(hsm) = &hsm {
            self.note_loss(record, hsm).await?;
        }
        let names = self.custodian_names(record.id).await?;
        let custodians: Vec<_> = inspection
            .iter()
            .flat_map(|inspection| &inspection.custodians)
            .map(|custodian| CustodianView {
                person: names.get(&custodian.chr).cloned().unwrap_or_default(),
                chr: custodian.chr.clone(),
                answered: custodian.answered,
            })
            .collect();
        let state = self.hsm_state(record, hsm.as_ref(), &custodians);
        let mut warnings = self
            .lock(&self.warnings)
            .get(&record.id)
            .cloned()
            .unwrap_or_default();
        if let Some(because) = hsm.as_ref().and_then(Hsm::locked_because) {
            warnings.push(format!("it was locked because {because}"));
        }
        if custodians.iter().any(|custodian| custodian.person.is_empty()) {
            warnings.push("it lists a custodian key that no person of this trust center has".to_owned());
        }
        Ok(HsmView {
            id: record.id,
            name: record.name.clone(),
            device: record.device.clone(),
            genuineness: hsm
                .as_ref()
                .map_or("not asked", |hsm| {
                    crate::tokens::genuineness(hsm.identity().genuineness)
                })
                .to_owned(),
            state,
            quorum: inspection
                .as_ref()
                .and_then(|inspection| inspection.quorum.as_ref())
                .map(|quorum| QuorumView {
                    required: quorum.required,
                    total: quorum.total,
                    missing: quorum.missing,
                }),
            custodians,
            kcv: inspection
                .as_ref()
                .and_then(|inspection| inspection.kcv)
                .map(hex::encode_upper),
            signers: self.signers_on(record.id).await?,
            warnings,
        })
    }

    /// Records once that an HSM was lost, with time and cause.
    pub(crate) async fn note_loss(&self, record: &HsmRecord, hsm: &Hsm) -> Result<(), Failure> {
        let State::Lost { at_ms, because } = hsm.state() else {
            return Ok(());
        };
        if record.lost.is_some() {
            return Ok(());
        }
        self.record_loss(&record.name, at_ms, because).await
    }

    /// Records a loss, unless one is on record that the HSM has not come back from.
    pub(crate) async fn record_loss(&self, hsm: &str, at_ms: i64, because: String) -> Result<(), Failure> {
        let _one_at_a_time = self.losses.lock().await;
        let record = self.hsm_record(hsm).await?;
        if record.lost.is_some() {
            return Ok(());
        }
        let data = json!({ "hsm": record.name, "since": rfc3339(at_ms), "because": because });
        let event = event(self.clock.now_ms(), "hsm-lost", &Actor::Node, &data)?;
        let lost = HsmRecord {
            lost: Some((at_ms, because)),
            ..record
        };
        self.commit(Change {
            writes: vec![Write::UpdateHsm(lost)],
            events: vec![event],
        })
        .await
    }

    fn hsm_state(&self, record: &HsmRecord, hsm: Option<&Hsm>, custodians: &[CustodianView]) -> HsmState {
        let people = |answered: bool| -> Vec<String> {
            custodians
                .iter()
                .filter(|custodian| custodian.answered == answered)
                .map(|c| {
                    if c.person.is_empty() {
                        c.chr.clone()
                    } else {
                        c.person.clone()
                    }
                })
                .collect()
        };
        let Some(hsm) = hsm else {
            return match &record.lost {
                Some((at, because)) if record.attached => HsmState::Lost {
                    at: rfc3339(*at),
                    because: because.clone(),
                },
                _ => HsmState::Detached,
            };
        };
        match hsm.state() {
            State::NotInitialised => HsmState::Unregistered {
                missing: u8::try_from(record.quorum_total).unwrap_or(0),
            },
            State::Unregistered { missing } => HsmState::Unregistered { missing },
            State::Locked => HsmState::Locked { could: people(false) },
            State::Quorum { have, need } => HsmState::Quorum {
                have,
                need,
                answered: people(true),
                could: people(false),
            },
            State::Unlocked { since_ms } => HsmState::Unlocked {
                since: rfc3339(since_ms),
                by: people(true),
                lease: self.open_for(record.id),
            },
            State::Lost { at_ms, because } => HsmState::Lost {
                at: rfc3339(at_ms),
                because,
            },
        }
    }

    /// Signers that an open HSM is open for.
    fn open_for(&self, hsm: HsmId) -> Vec<String> {
        let mut names = std::collections::BTreeSet::new();
        if self.desk.is_open_for_all(hsm) {
            let authorities = self.lock(&self.authorities);
            names.extend(authorities.values().map(|authority| authority.name.clone()));
        }
        let open = self.desk.book();
        let granted = open.values().filter(|lease| lease.granted().contains(&hsm));
        names.extend(granted.map(|lease| lease.text.signer.clone()));
        names.into_iter().collect()
    }

    /// Names of the people behind custodian keys, by CHR; only registrations that managers approved.
    pub(crate) async fn custodian_names(&self, hsm: HsmId) -> Result<HashMap<String, String>, Failure> {
        let people = self.people().await?;
        let rows = self
            .store
            .custodians(hsm)
            .await
            .map_err(|error| store_failure(&error))?;
        let mut names = HashMap::new();
        for row in rows {
            if let Some(person) = people.get(row.person)
                && self.custodian_holds(&people, &row).await?
            {
                names.insert(row.chr, person.name.clone());
            }
        }
        Ok(names)
    }

    async fn signers_on(&self, hsm: HsmId) -> Result<Vec<String>, Failure> {
        let mut names = Vec::new();
        for owner in self.owners().await? {
            let Some(signer) = owner.signer() else { continue };
            let replicas = self
                .store
                .replicas(signer)
                .await
                .map_err(|error| store_failure(&error))?;
            let here = |state| matches!(state, ReplicaState::Present | ReplicaState::Verified);
            if replicas
                .iter()
                .any(|replica| replica.hsm == hsm && here(replica.state))
            {
                names.push(owner.name().to_owned());
            }
        }
        Ok(names)
    }
}
