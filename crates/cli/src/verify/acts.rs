//! Acts in leaves, and the people they make known: rights go back to the pinned manager by the log alone.

use std::collections::{BTreeSet, HashMap, HashSet};

use chancery_api::{
    ActId, ActPayload, ApprovedItem, Decision, Hash32, Installation, InstallationId, PersonDocument,
    PersonId, Role, Subject, canonical_json, statement,
};
use openssl::{ec::EcKey, ecdsa::EcdsaSig, nid::Nid, sha::sha256};

use super::leaf::FullAct;

/// What the log made known so far.
#[derive(Debug)]
pub(crate) struct People {
    installation: InstallationId,
    known: HashMap<PersonId, PersonDocument>,
    /// Managers who approved a person, by the document.
    approvals: HashMap<Hash32, BTreeSet<PersonId>>,
    acts: HashSet<ActId>,
}

impl People {
    /// Nobody yet.
    pub(crate) fn new(installation: InstallationId) -> Self {
        Self {
            installation,
            known: HashMap::new(),
            approvals: HashMap::new(),
            acts: HashSet::new(),
        }
    }

    /// Number of acts.
    pub(crate) fn acts(&self) -> usize {
        self.acts.len()
    }

    /// Number of people.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// A person.
    pub(crate) fn get(&self, id: PersonId) -> Option<&PersonDocument> {
        self.known.get(&id)
    }

    /// Whether an act stands in full in a leaf before.
    pub(crate) fn knows_act(&self, id: ActId) -> bool {
        self.acts.contains(&id)
    }

    /// Checks an act, and lets it make people known.
    pub(crate) fn take(&mut self, pinned: &Installation, act: &FullAct) -> Result<Decision, String> {
        let payload: ActPayload = serde_json::from_slice(&act.payload.0)
            .map_err(|error| format!("its act cannot be read ({error})"))?;
        let who = format!("the act of {}", act.name);
        if canonical_json(&payload).ok().as_deref() != Some(&act.payload.0) {
            return Err(format!("{who} is not in canonical form"));
        }
        if payload.installation != self.installation {
            return Err(format!("{who} is of another installation"));
        }
        if payload.act != act.act || payload.person != act.person || payload.name != act.name {
            return Err(format!(
                "{who} is recorded under another name or identifier than it was signed for"
            ));
        }
        verify_signature(self.installation, &act.payload.0, &act.signature.0, &act.key.0)
            .map_err(|why| format!("{who}: {why}"))?;
        if let Decision::Init { person } = &payload.decision {
            self.take_first(pinned, act, person)?;
        } else {
            let person = self
                .known
                .get(&act.person)
                .ok_or_else(|| format!("{who}: no manager made this person known"))?;
            if person.key != Hash32::of(&act.key.0) || person.name != act.name {
                return Err(format!(
                    "{who} is signed by another key or under another name than managers signed"
                ));
            }
            require_role(person, &payload.decision).map_err(|why| format!("{who}: {why}"))?;
        }
        if !self.acts.insert(act.act) {
            return Err(format!("{who} stands in the log twice"));
        }
        if let Decision::RequestApprove { items } = &payload.decision {
            for item in items {
                self.approve(act.person, item)?;
            }
        }
        Ok(payload.decision)
    }

    fn take_first(
        &mut self,
        pinned: &Installation,
        act: &FullAct,
        person: &PersonDocument,
    ) -> Result<(), String> {
        let same = pinned.first_manager.payload == act.payload
            && pinned.first_manager.signature == act.signature
            && pinned.first_manager_key == act.key;
        if !same || !self.known.is_empty() {
            return Err("it is not the pinned act of the first manager, or not the first".to_owned());
        }
        if person.key != Hash32::of(&act.key.0) || person.id != act.person {
            return Err("the first act names another key or person than signed it".to_owned());
        }
        self.known.insert(person.id, person.clone());
        Ok(())
    }

    fn approve(&mut self, manager: PersonId, item: &ApprovedItem) -> Result<(), String> {
        let document = canonical_json(&item.subject).map_err(|error| error.to_string())?;
        if Hash32::of(&document) != item.document {
            return Err(format!(
                "the approval of request {} names another document than it shows",
                item.request
            ));
        }
        let Subject::Person(person) = &item.subject else {
            return Ok(());
        };
        let approvals = self.approvals.entry(item.document).or_default();
        approvals.insert(manager);
        let managers = self
            .known
            .values()
            .filter(|person| person.roles.contains(&Role::TrustcenterManager))
            .count();
        if approvals.len() < managers.clamp(1, 2) {
            return Ok(());
        }
        if self
            .known
            .values()
            .any(|known| known.key == person.key || known.name == person.name)
        {
            return Err(format!(
                "person {} has a key or name that belongs to somebody else",
                person.name
            ));
        }
        self.known.insert(person.id, person.clone());
        Ok(())
    }
}

/// The role that a decision takes, where one role alone may decide.
fn require_role(person: &PersonDocument, decision: &Decision) -> Result<(), String> {
    let manager = [Role::TrustcenterManager];
    let operator = [Role::TrustcenterManager, Role::TrustcenterOperator];
    let officer = [Role::CertificationOfficer];
    let both = [Role::CertificationOfficer, Role::RegistrationOfficer];
    let approver = |item: &ApprovedItem| match item.subject {
        Subject::Certificate(_) => Role::RegistrationOfficer,
        Subject::Person(_) | Subject::Ca(_) | Subject::Signer(_) | Subject::Custodian(_) => {
            Role::TrustcenterManager
        }
    };
    let roles: &[Role] = match decision {
        Decision::HsmInit { .. } => &manager,
        Decision::HsmAttach { .. } | Decision::HsmDetach { .. } | Decision::SignerReplicate { .. } => {
            &operator
        }
        Decision::RequestSign { .. } | Decision::CrlCreate { .. } => &officer,
        Decision::CertificateRevoke { .. } => &both,
        Decision::RequestApprove { items } => {
            return match items
                .iter()
                .map(approver)
                .find(|role| !person.roles.contains(role))
            {
                Some(missing) => Err(format!("{} is no {}", person.name, missing.title())),
                None => Ok(()),
            };
        }
        // Rejecting gives nobody anything.
        Decision::RequestReject { .. } | Decision::Init { .. } => return Ok(()),
    };
    if roles.iter().any(|role| person.roles.contains(role)) {
        Ok(())
    } else {
        Err(format!("{} may not decide on {}", person.name, decision.verb()))
    }
}

/// ECDSA on P-256 with SHA-256 over the statement, by another library than the node's.
fn verify_signature(
    installation: InstallationId,
    payload: &[u8],
    signature: &[u8],
    spki: &[u8],
) -> Result<(), String> {
    let key = EcKey::public_key_from_der(spki).map_err(|_| "its key is no elliptic curve key".to_owned())?;
    if key.group().curve_name() != Some(Nid::X9_62_PRIME256V1) {
        return Err("its key is not on P-256".to_owned());
    }
    let digest = sha256(&statement(installation, payload));
    let holds = EcdsaSig::from_der(signature).and_then(|signature| signature.verify(&digest, &key));
    if matches!(holds, Ok(true)) {
        Ok(())
    } else {
        Err("its signature does not hold".to_owned())
    }
}
