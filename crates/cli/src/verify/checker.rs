//! Takes records in their order and comes to a verdict.

use std::collections::{HashMap, VecDeque};

use chancery_api::{Hash32, Installation};
use chancery_audit::{Checkpoint, Frontier, NoteVerifier, TreeHash, leaf_hash};
use chancery_pki::{PublicKey, verify_signature};
use openssl::x509::X509;
use serde::Serialize;

use super::{
    acts::People,
    certificates::Certificates,
    leaf::{Actor, Event},
    record::{
        CaRecord, CertificateRecord, CheckpointRecord, CrlRecord, HeadRecord, Header, LeafRecord,
        PersonRecord, Record, VERSION,
    },
};

/// Most problems that are listed; more of them say nothing new.
const MOST_PROBLEMS: usize = 50;

/// A verdict in the making.
#[derive(Debug)]
pub(crate) struct Checker {
    installation: Installation,
    verifier: Option<NoteVerifier>,
    frontier: Frontier,
    head: Option<HeadRecord>,
    waiting: VecDeque<(u64, TreeHash)>,
    checkpoints: u64,
    signed_size: u64,
    people: People,
    certificates: Certificates,
    person_rows: Vec<PersonRecord>,
    cas: Vec<CaRecord>,
    rows: HashMap<(String, String), CertificateRecord>,
    crls: Vec<CrlRecord>,
    problems: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// Whether everything holds.
    pub(crate) holds: bool,
    /// Installation.
    pub(crate) installation: String,
    /// Number of leaves.
    pub(crate) leaves: u64,
    /// Root of the tree over them, hexadecimal.
    pub(crate) root: String,
    /// Number of checkpoints.
    pub(crate) checkpoints: u64,
    /// Leaves that the newest checkpoint covers.
    pub(crate) signed_leaves: u64,
    /// The key that signs checkpoints, in the text form of C2SP signed-note.
    pub(crate) audit_key: Option<String>,
    /// Name of the CA that certified the audit key; absent before the first CA.
    pub(crate) audit_key_certified_by: Option<String>,
    /// Acts whose signatures hold.
    pub(crate) acts: usize,
    /// People whom acts made known.
    pub(crate) people: usize,
    /// Certificates claimed in the log.
    pub(crate) certificates: usize,
    /// SHA-256 of the pinned manager's key: compare it with what was written down at `init`.
    pub(crate) first_manager_key: Hash32,
    /// What does not hold.
    pub(crate) problems: Vec<String>,
}

impl Checker {
    /// Begins with the header.
    ///
    /// # Errors
    /// When the header itself cannot be used.
    pub(crate) fn new(header: Header) -> Result<Self, String> {
        if header.v != VERSION {
            return Err(format!("it has version {}, known is {VERSION}", header.v));
        }
        let verifier = header
            .audit_key
            .map(|key| NoteVerifier::parse_vkey(&key))
            .transpose()
            .map_err(|error| format!("the audit key cannot be used: {error}"))?;
        let mut problems = Vec::new();
        if let Some(verifier) = &verifier
            && verifier.name() != format!("chancery/{}", header.installation.id)
        {
            problems.push(format!("the audit key is that of {}", verifier.name()));
        }
        Ok(Self {
            people: People::new(header.installation.id),
            installation: header.installation,
            verifier,
            frontier: Frontier::new(),
            head: None,
            waiting: VecDeque::new(),
            checkpoints: 0,
            signed_size: 0,
            certificates: Certificates::default(),
            person_rows: Vec::new(),
            cas: Vec::new(),
            rows: HashMap::new(),
            crls: Vec::new(),
            problems,
        })
    }

    /// Takes the next record.
    pub(crate) fn take(&mut self, record: Record) {
        match record {
            Record::Header(_) => self.problem("there is a second header".to_owned()),
            Record::Head(head) => self.head = Some(head),
            Record::Person(row) => self.person_rows.push(row),
            Record::Ca(row) => self.cas.push(row),
            Record::Certificate(row) => {
                let key = (row.ca.clone(), row.serial.clone());
                if self.rows.insert(key, row.clone()).is_some() {
                    self.problem(format!(
                        "certificate {} of CA {} is there twice",
                        row.serial, row.ca
                    ));
                }
            }
            Record::Crl(row) => self.crls.push(row),
            Record::Checkpoint(checkpoint) => self.checkpoint(&checkpoint),
            Record::Leaf(leaf) => self.leaf(&leaf),
        }
    }

    /// Comes to the verdict.
    pub(crate) fn finish(mut self) -> Verdict {
        let size = self.frontier.size();
        if let Some((beyond, _)) = self.waiting.front() {
            self.problem(format!(
                "a checkpoint covers {beyond} leaves and there are {size}: leaves are missing"
            ));
        }
        match self.head.clone() {
            None => self.problem("there is no head".to_owned()),
            Some(head) if head.size > size => {
                self.problem(format!(
                    "the head counts {} leaves and there are {size}: leaves are missing",
                    head.size
                ));
            }
            Some(_) => {}
        }
        if size == 0 {
            self.problem("the log is empty".to_owned());
        }
        let read_at = self.head.as_ref().map_or(0, |head| head.size);
        let mut found = Vec::new();
        self.certificates
            .compare(&self.rows, &self.crls, read_at, &mut found);
        for row in &self.person_rows {
            match self.people.get(row.id) {
                Some(person) if person.key == row.key && person.name == row.name => {}
                Some(_) => found.push(format!(
                    "the row of person {} differs from what managers signed",
                    row.name
                )),
                None => found.push(format!(
                    "person {} is in the database and no manager signed them",
                    row.name
                )),
            }
        }
        let certified_by = self.audit_key_certified(&mut found);
        found.sort();
        for problem in found {
            self.problem(problem);
        }
        if self.checkpoints == 0 && size > 0 {
            self.problem("no checkpoint is signed yet".to_owned());
        }
        Verdict {
            holds: self.problems.is_empty(),
            installation: self.installation.id.to_string(),
            leaves: size,
            root: self.frontier.root().to_string(),
            checkpoints: self.checkpoints,
            signed_leaves: self.signed_size,
            audit_key: self.verifier.as_ref().map(NoteVerifier::to_vkey),
            audit_key_certified_by: certified_by,
            acts: self.people.acts(),
            people: self.people.len(),
            certificates: self.certificates.len(),
            first_manager_key: Hash32::of(&self.installation.first_manager_key.0),
            problems: self.problems,
        }
    }

    fn problem(&mut self, problem: String) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn checkpoint(&mut self, record: &CheckpointRecord) {
        let name = format!("the checkpoint over {} leaves", record.size);
        let Some(verifier) = &self.verifier else {
            return self.problem(format!("{name} cannot be checked: the audit key is not there"));
        };
        match Checkpoint::open(record.note.as_bytes(), verifier) {
            Err(error) => self.problem(format!("{name}: {}", crate::error::chain(&error))),
            Ok(checkpoint) if checkpoint.size != record.size => {
                self.problem(format!("{name} is signed over {} leaves", checkpoint.size));
            }
            Ok(checkpoint) => {
                if self
                    .waiting
                    .back()
                    .is_some_and(|(before, _)| *before >= checkpoint.size)
                {
                    self.problem(format!("{name} is not larger than the one before"));
                }
                self.checkpoints += 1;
                self.waiting.push_back((checkpoint.size, checkpoint.root));
            }
        }
    }

    fn leaf(&mut self, leaf: &LeafRecord) {
        let expected = self.frontier.size();
        if leaf.index != expected {
            self.problem(format!("leaf {} stands where leaf {expected} should", leaf.index));
        }
        let index = self.frontier.push(leaf_hash(leaf.body.as_bytes()));
        let size = index + 1;
        if let Some((_, root)) = self.waiting.pop_front_if(|(covered, _)| *covered == size) {
            if root == self.frontier.root() {
                self.signed_size = size;
            } else {
                self.problem(format!(
                    "the leaves are not those of the checkpoint over {size}: the log was changed"
                ));
            }
        }
        if let Some(head) = &self.head
            && head.size == size
            && head.root != self.frontier.root()
        {
            self.problem(format!(
                "the head over {size} leaves has another root than they have"
            ));
        }
        if let Err(why) = self.event(index, &leaf.body) {
            self.problem(format!("leaf {index}: {why}"));
        }
    }

    fn event(&mut self, index: u64, body: &str) -> Result<(), String> {
        let event = Event::read(body)?;
        let pinned = &self.installation.first_manager.payload;
        if index == 0 && !matches!(&event.actor, Actor::Act(act) if act.payload == *pinned) {
            return Err("the first leaf is not the act of the pinned manager".to_owned());
        }
        let decision = match &event.actor {
            Actor::Act(act) => Some(self.people.take(&self.installation, act)?),
            Actor::Reference(reference) if !self.people.knows_act(reference.act) => {
                return Err(format!(
                    "it refers to act {}, which no leaf before it holds",
                    reference.act
                ));
            }
            Actor::Reference(_) | Actor::Local(_) | Actor::Client(_) | Actor::Node(_) => None,
        };
        self.certificates.take(index, &event, decision.as_ref())
    }

    /// The CA that certified the key that signs checkpoints.
    fn audit_key_certified(&self, problems: &mut Vec<String>) -> Option<String> {
        let row = self
            .rows
            .values()
            .find(|row| row.profile == "audit" && row.der.is_some());
        let first = self.cas.iter().find(|ca| ca.certificate.is_some());
        let Some(row) = row else {
            if first.is_some() {
                problems.push("no CA has certified the audit key".to_owned());
            }
            return None;
        };
        match self.check_certified(row) {
            Ok(()) => Some(row.ca.clone()),
            Err(why) => {
                problems.push(format!("the certificate of the audit key: {why}"));
                None
            }
        }
    }

    fn check_certified(&self, row: &CertificateRecord) -> Result<(), String> {
        let der = &row.der.as_ref().ok_or("it is not there")?.0;
        let ca = self
            .cas
            .iter()
            .find(|ca| ca.name == row.ca)
            .and_then(|ca| ca.certificate.as_ref());
        let ca = ca.ok_or_else(|| format!("CA {} has no certificate", row.ca))?;
        for (what, der) in [("it", der), ("its issuer's", &ca.0)] {
            if !self.certificates.was_issued(der) {
                return Err(format!("the log does not say that {what} certificate was issued"));
            }
        }
        let unreadable = |error: openssl::error::ErrorStack| format!("it cannot be read ({error})");
        let issuer = X509::from_der(&ca.0)
            .and_then(|ca| ca.public_key()?.public_key_to_der())
            .map_err(unreadable)?;
        let issuer = PublicKey::from_spki(&issuer).map_err(|error| error.to_string())?;
        verify_signature(der, &issuer).map_err(|error| format!("CA {} did not sign it: {error}", row.ca))?;
        let key = X509::from_der(der)
            .and_then(|own| own.public_key()?.raw_public_key())
            .map_err(unreadable)?;
        let verifier = self.verifier.as_ref().ok_or("the audit key is not there")?;
        if key == verifier.public_key() {
            Ok(())
        } else {
            Err("it is for another key".to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
