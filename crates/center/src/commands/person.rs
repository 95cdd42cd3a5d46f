//! `person add` and `person list`.

pub(crate) use chancery_api::check_name;
use chancery_api::{
    Failure, FailureKind, Hash32, PersonAdd, PersonDocument, PersonId, PersonView, RequestView, Role, Subject,
};
use chancery_cvc::Genuineness;
use chancery_store::{PersonRecord, RequestRecord, Write};

use crate::{
    Center, acts,
    attest::attested,
    committer::store_failure,
    evidence::TokenEvidence,
    request::{Opening, view},
};

impl Center {
    /// Opens a request for a new person.
    ///
    /// # Errors
    /// When the name or key belongs to somebody, or the token does not vouch for the key.
    pub async fn person_add(&self, call: PersonAdd, uid: u32) -> Result<RequestView, Failure> {
        check_name(&call.name)?;
        let mut roles: Vec<Role> = call.roles;
        roles.sort_unstable();
        roles.dedup();
        if roles.is_empty() {
            return Err(Failure::new(
                FailureKind::Invalid,
                "a person needs at least one role",
            ));
        }
        let what = format!("the key of {}", call.name);
        let key = attested(&self.anchors, &call.chain.0, &call.key_request.0, &what)?;
        for record in self.hsm_records().await? {
            let hardware = self
                .pool
                .get(record.id)
                .is_some_and(|hsm| hsm.identity().genuineness == Genuineness::Production);
            if hardware && key.genuineness != Genuineness::Production {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!("this trust center has a hardware HSM ({}) and {what} is not in a genuine hardware token", record.name),
                )
                .with_remedy("people of such a trust center need hardware tokens"));
            }
        }
        if acts::p256_point(&key.spki).is_none() {
            return Err(
                Failure::new(FailureKind::Invalid, format!("{what} is not a P-256 key"))
                    .with_remedy("acts are signed with P-256 keys; generate one"),
            );
        }
        self.refuse_custodian_key(&key.spki, &what).await?;
        let document = PersonDocument {
            id: PersonId::new(self.uuid()),
            name: call.name,
            roles,
            key: Hash32::of(&key.spki),
            device: key.device,
        };
        self.refuse_taken(&document, &key.spki).await?;
        let evidence = TokenEvidence {
            chain: call.chain,
            key_request: call.key_request,
        }
        .encode()?;
        let titles: Vec<_> = document.roles.iter().map(|role| role.title()).collect();
        let title = format!("person {}: {}", document.name, titles.join(", "));
        let opening = |_| Opening {
            subject: Subject::Person(document),
            evidence,
            title,
            writes: Vec::new(),
        };
        Ok(view(&self.open_request(uid, opening).await?))
    }

    /// All people who count; rows that give no rights are left out, see `doctor`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn person_list(&self) -> Result<Vec<PersonView>, Failure> {
        let people = self.people().await?;
        let mut views = Vec::new();
        let mut custodians = Vec::new();
        for hsm in self.hsm_records().await? {
            for row in self
                .store
                .custodians(hsm.id)
                .await
                .map_err(|error| store_failure(&error))?
            {
                custodians.push((hsm.name.clone(), row));
            }
        }
        for person in people.all() {
            views.push(PersonView {
                id: person.id,
                name: person.name.clone(),
                roles: person.roles.clone(),
                device: person.device.clone(),
                key: Hash32::of(&person.public_key),
                granted_by: person.granted_by.clone(),
                custodian_of: custodians
                    .iter()
                    .filter(|(_, row)| row.person == person.id)
                    .map(|(hsm, _)| hsm.clone())
                    .collect(),
            });
        }
        Ok(views)
    }

    /// The rows that make an approved person known.
    pub(crate) fn person_writes(
        record: &RequestRecord,
        document: &PersonDocument,
        spki: Vec<u8>,
        now_ms: i64,
    ) -> Result<Vec<Write>, Failure> {
        let evidence = TokenEvidence::decode(&record.evidence)?;
        Ok(vec![Write::InsertPerson(PersonRecord {
            id: document.id,
            name: document.name.clone(),
            document: chancery_api::canonical_json(document)
                .map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?,
            public_key: spki,
            chain: evidence.chain.0,
            key_request: evidence.key_request.0,
            request: Some(record.number),
            created_ms: now_ms,
        })])
    }

    /// A name and a key stand for one person. Asked when the request is opened, and again when it is approved.
    pub(crate) async fn refuse_taken(&self, document: &PersonDocument, spki: &[u8]) -> Result<(), Failure> {
        let name = &document.name;
        let people = self.people().await?;
        if people.all().iter().any(|person| person.name == *name) {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("there is a person named {name} already"),
            ));
        }
        if let Some(other) = people.all().into_iter().find(|person| person.public_key == spki) {
            return Err(Failure::new(
                FailureKind::Refused,
                format!(
                    "the key of {name} is the key of {} already: one key cannot stand for two people",
                    other.name
                ),
            )
            .with_remedy("every person needs a token and a key of their own"));
        }
        Ok(())
    }

    /// A key that unlocks HSMs is used for nothing else.
    pub(crate) async fn refuse_custodian_key(&self, spki: &[u8], what: &str) -> Result<(), Failure> {
        for hsm in self.hsm_records().await? {
            let rows = self
                .store
                .custodians(hsm.id)
                .await
                .map_err(|error| store_failure(&error))?;
            if rows.iter().any(|row| row.public_key == spki) {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!(
                        "{what} is registered in HSM {} as a custodian key, which is used for nothing else",
                        hsm.name
                    ),
                ));
            }
        }
        Ok(())
    }
}
