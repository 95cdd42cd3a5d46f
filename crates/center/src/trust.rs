//! Who counts as a person, and with which roles.
//!
//! Rows give no rights. A person counts when managers signed the person's document, and those managers count for the same reason, down
//! to the first manager whose key is pinned in `installation.json`, outside the database. From the moment there are two managers, two
//! of them must have signed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chancery_api::{
    ActPayload, ApprovedItem, Decision, Failure, FailureKind, Hash32, Installation, PersonDocument, PersonId,
    Role, Subject, canonical_json,
};
use chancery_store::{DecisionKind, DecisionRecord, PersonRecord, RequestRecord};
use serde::{Deserialize, Serialize};

use crate::{acts, env::Marks, reading::Requests};

/// A person who counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: PersonId,
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
    /// SubjectPublicKeyInfo, DER.
    pub(crate) public_key: Vec<u8>,
    pub(crate) device: String,
    pub(crate) granted_by: Vec<String>,
    /// Time of the approval that made the person count, RFC 3339 by the node's clock; empty for the first manager.
    pub(crate) since: String,
}

impl Person {
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// Everybody who counts, and why others do not.
#[derive(Debug, Default)]
pub(crate) struct People {
    by_id: HashMap<PersonId, Person>,
    /// Names of rows that give no rights, with the reason.
    refused: BTreeMap<String, String>,
    grandfathered: Option<Grandfathered>,
}

/// The people who counted when a second manager came to count: from then on nobody else counts with one signature, whatever the
/// database says. Remembered outside the database as JSON; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grandfathered {
    people: BTreeSet<PersonId>,
}

impl Grandfathered {
    const MARK: &str = "two-managers";

    pub(crate) fn load(marks: &dyn Marks) -> Result<Option<Self>, Failure> {
        let damaged = |why: String| {
            Failure::new(
                FailureKind::Refused,
                format!("the mark of the second manager: {why}"),
            )
        };
        let Some(bytes) = marks.load(Self::MARK).map_err(damaged)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| damaged(error.to_string()))
    }

    pub(crate) fn save(&self, marks: &dyn Marks) -> Result<(), Failure> {
        let failed = |why: String| {
            Failure::new(
                FailureKind::Unavailable,
                format!("that there are two managers cannot be remembered: {why}"),
            )
        };
        let bytes = serde_json::to_vec(self).map_err(|error| failed(error.to_string()))?;
        marks.save(Self::MARK, &bytes).map_err(failed)
    }
}

struct Candidate {
    row: PersonRecord,
    document: PersonDocument,
    request: RequestRecord,
    approvals: Vec<DecisionRecord>,
    /// Time of the newest approval, RFC 3339 by the node's clock: the order in which people came to count.
    time: String,
}

impl People {
    /// Checks everybody: the rows about people, and the requests that made them.
    pub(crate) fn from_rows(
        rows: &[PersonRecord],
        requests: &Requests,
        installation: &Installation,
        grandfathered: Option<&Grandfathered>,
    ) -> Result<Self, Failure> {
        let mut people = Self {
            grandfathered: grandfathered.cloned(),
            ..Self::default()
        };
        let first = first_manager(installation)?;
        let first_id = first.id;
        people.by_id.insert(first.id, first);

        let mut candidates = Vec::new();
        for row in rows {
            if row.id == first_id {
                people.check_first_row(row);
                continue;
            }
            let name = row.name.clone();
            match candidate(row.clone(), requests) {
                Ok(candidate) => candidates.push(candidate),
                Err(why) => {
                    people.refused.insert(name, why);
                }
            }
        }
        candidates.sort_by(|a, b| (&a.time, a.request.number).cmp(&(&b.time, b.request.number)));
        for candidate in candidates {
            let name = candidate.row.name.clone();
            match people.admit(candidate, installation) {
                Ok(person) => {
                    people.by_id.insert(person.id, person);
                }
                Err(why) => {
                    people.refused.insert(name, why);
                }
            }
        }
        Ok(people)
    }

    /// A person who counts.
    pub(crate) fn get(&self, id: PersonId) -> Option<&Person> {
        self.by_id.get(&id)
    }

    /// A person who counts, by name; a failure that says why the name gives no rights.
    pub(crate) fn by_name(&self, name: &str) -> Result<&Person, Failure> {
        if let Some(why) = self.refused.get(name) {
            return Err(Failure::new(FailureKind::Refused, format!("{name} gives no rights: {why}"))
                .with_remedy("the database was changed from outside, or the request for this person was never approved: run `chancery audit verify`"));
        }
        self.by_id
            .values()
            .find(|person| person.name == name)
            .ok_or_else(|| {
                Failure::new(FailureKind::NotFound, format!("there is no person named {name}"))
                    .with_remedy("chancery person list; chancery person add --help")
            })
    }

    /// Everybody who counts, by name.
    pub(crate) fn all(&self) -> Vec<&Person> {
        let mut all: Vec<_> = self.by_id.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Rows that give no rights, with the reason.
    pub(crate) const fn refused(&self) -> &BTreeMap<String, String> {
        &self.refused
    }

    /// Names of people with a role.
    pub(crate) fn with_role(&self, role: Role) -> Vec<String> {
        self.all()
            .into_iter()
            .filter(|person| person.has(role))
            .map(|person| person.name.clone())
            .collect()
    }

    /// How many managers must sign people, roles and custodians: one while there is one, then two.
    pub(crate) fn managers_needed(&self) -> usize {
        if self.grandfathered.is_some() {
            2
        } else {
            self.with_role(Role::TrustcenterManager).len().min(2)
        }
    }

    /// What is to be remembered once there are two managers: everybody who counts now.
    pub(crate) fn grandfathered(&self) -> Option<Grandfathered> {
        (self.with_role(Role::TrustcenterManager).len() >= 2).then(|| Grandfathered {
            people: self.by_id.keys().copied().collect(),
        })
    }

    /// How many managers had to sign at a time (RFC 3339): managers who came to count later do not shake what was right before.
    pub(crate) fn managers_needed_at(&self, time: &str) -> usize {
        self.by_id
            .values()
            .filter(|person| person.has(Role::TrustcenterManager) && person.since.as_str() < time)
            .count()
            .clamp(1, 2)
    }

    /// When the last person came to count, RFC 3339. Acts drafted later carry no earlier time, whatever the clock says.
    pub(crate) fn newest(&self) -> &str {
        self.by_id
            .values()
            .map(|person| person.since.as_str())
            .max()
            .unwrap_or_default()
    }

    /// Managers whose approval of exactly this subject holds.
    pub(crate) fn approving_managers(
        &self,
        installation: &Installation,
        request: &RequestRecord,
        subject: &Subject,
        approvals: &[DecisionRecord],
    ) -> BTreeSet<PersonId> {
        approvals
            .iter()
            .filter(|approval| approval.kind == DecisionKind::Approve)
            .filter_map(|approval| {
                let manager = self.get(approval.act.person)?;
                (manager.has(Role::TrustcenterManager)
                    && approves(installation, manager, approval, request, subject).is_ok())
                .then_some(manager.id)
            })
            .collect()
    }

    fn check_first_row(&mut self, row: &PersonRecord) {
        let Some(first) = self.by_id.get(&row.id) else {
            return;
        };
        if first.public_key != row.public_key || first.name != row.name {
            self.refused.insert(
                format!("{} (row)", row.name),
                "the row of the first manager differs from what is pinned; the pinned one counts".to_owned(),
            );
        }
    }

    fn admit(&self, candidate: Candidate, installation: &Installation) -> Result<Person, String> {
        let Candidate {
            row,
            document,
            request,
            approvals,
            time,
        } = candidate;
        if self
            .by_id
            .values()
            .any(|person| person.public_key == row.public_key)
        {
            return Err("the key belongs to somebody else already".to_owned());
        }
        if self.by_id.values().any(|person| person.name == row.name) {
            return Err("the name belongs to somebody else already".to_owned());
        }
        let subject = Subject::Person(document.clone());
        let holds = |approval: &&DecisionRecord| {
            self.get(approval.act.person).is_some_and(|manager| {
                manager.has(Role::TrustcenterManager)
                    && approves(installation, manager, approval, &request, &subject).is_ok()
            })
        };
        let holding: Vec<DecisionRecord> = approvals.iter().filter(holds).cloned().collect();
        let managers = self.approving_managers(installation, &request, &subject, &approvals);
        let needed = match &self.grandfathered {
            Some(known) if known.people.contains(&row.id) => 1,
            Some(_) => 2,
            None => self.managers_needed_at(&time),
        };
        if managers.len() < needed {
            return Err(format!("signed by {} of {needed} managers", managers.len()));
        }
        Ok(Person {
            id: row.id,
            name: row.name,
            roles: document.roles,
            public_key: row.public_key,
            device: document.device,
            granted_by: managers
                .iter()
                .filter_map(|id| self.get(*id))
                .map(|m| m.name.clone())
                .collect(),
            since: newest_approval(&holding),
        })
    }
}

/// Whether `approval` is a signed approval by `person` of exactly this request and subject; the hash of the to-be-signed bytes it covers.
pub(crate) fn approves(
    installation: &Installation,
    person: &Person,
    approval: &DecisionRecord,
    request: &RequestRecord,
    subject: &Subject,
) -> Result<Option<Hash32>, String> {
    let payload = acts::verify_record(installation.id, &approval.act, &person.public_key)
        .map_err(|error| format!("the approval of {} does not hold: {error}", person.name))?;
    covers(person, &payload, request, subject)
}

/// Whether an act that `person` is proven to have signed approves exactly this request and subject; the hash of the to-be-signed bytes
/// it covers.
pub(crate) fn covers(
    person: &Person,
    payload: &ActPayload,
    request: &RequestRecord,
    subject: &Subject,
) -> Result<Option<Hash32>, String> {
    let Decision::RequestApprove { items } = &payload.decision else {
        return Err(format!("the act of {} is no approval", person.name));
    };
    let document = Hash32::of(&request.document);
    let is_it = |item: &ApprovedItem| {
        item.request == request.number && item.document == document && item.subject == *subject
    };
    items
        .iter()
        .find(|item| is_it(item))
        .map(|item| item.tbs)
        .ok_or_else(|| {
            format!(
                "{} approved something else than what request {} says now",
                person.name, request.number
            )
        })
}

/// The first manager, as `installation.json` pins him.
pub(crate) fn first_manager(installation: &Installation) -> Result<Person, Failure> {
    let refuse = |why: &str| {
        Failure::new(
            FailureKind::Refused,
            format!("installation.json is damaged: {why}"),
        )
        .with_remedy("restore the file from a backup; without it nobody has any right")
    };
    let act = &installation.first_manager;
    let key = &installation.first_manager_key.0;
    acts::verify_signature(installation.id, &act.payload.0, &act.signature.0, key)
        .map_err(|error| refuse(&error.to_string()))?;
    let payload: ActPayload =
        serde_json::from_slice(&act.payload.0).map_err(|_| refuse("the first act cannot be read"))?;
    let Decision::Init { person } = payload.decision else {
        return Err(refuse("the first act is not the one of `init`"));
    };
    if person.key != Hash32::of(key) || payload.person != person.id || payload.installation != installation.id
    {
        return Err(refuse("the first act names another key, person or installation"));
    }
    Ok(Person {
        id: person.id,
        name: person.name,
        roles: person.roles,
        public_key: key.clone(),
        device: person.device,
        granted_by: vec!["pinned at init".to_owned()],
        since: String::new(),
    })
}

fn candidate(row: PersonRecord, requests: &Requests) -> Result<Candidate, String> {
    let Ok(document) = serde_json::from_slice::<PersonDocument>(&row.document) else {
        return Err("the document cannot be read".to_owned());
    };
    if document.id != row.id || document.name != row.name || document.key != Hash32::of(&row.public_key) {
        return Err("row and document differ".to_owned());
    }
    let Some(number) = row.request else {
        return Err("no request stands behind the row".to_owned());
    };
    let Some(decided) = requests.get(&number) else {
        return Err(format!("request {number} is gone"));
    };
    let request = decided.request.clone();
    if canonical_json(&Subject::Person(document.clone())).ok().as_deref() != Some(&request.document) {
        return Err(format!("request {number} asks for something else"));
    }
    let approvals = decided.decisions.clone();
    let time = newest_approval(&approvals);
    Ok(Candidate {
        row,
        document,
        request,
        approvals,
        time,
    })
}

/// Time of the newest approval, RFC 3339; empty when there is none.
pub(crate) fn newest_approval(decisions: &[DecisionRecord]) -> String {
    decisions
        .iter()
        .filter(|decision| decision.kind == DecisionKind::Approve)
        .filter_map(|decision| serde_json::from_slice::<ActPayload>(&decision.act.payload).ok())
        .map(|payload| payload.time)
        .max()
        .unwrap_or_default()
}
