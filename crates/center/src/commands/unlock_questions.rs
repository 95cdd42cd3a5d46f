//! What custodians were asked by `hsm unlock`, and whose answers to it an HSM counts.

use std::collections::{HashMap, HashSet};

use chancery_api::{HsmId, PersonId};
use chancery_keys::Inspection;
use serde_json::{Value, json};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Unlocking {
    /// The last question to each custodian of each HSM. Nobody's is given up for one to somebody else.
    asked: HashMap<(HsmId, PersonId), Question>,
    /// Custodian keys whose answers each HSM took, and the era of it ([`chancery_keys::Status::era`]) they were given in.
    counted: HashMap<HsmId, (u64, HashSet<String>)>,
}

/// A question that was not answered yet.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Names the HSM's challenge.
    pub(crate) session: String,
    pub(crate) person: PersonId,
    pub(crate) name: String,
    pub(crate) chr: String,
    pub(crate) challenge: [u8; 8],
}

impl Question {
    /// As the log tells of it.
    pub(crate) fn told(&self) -> Value {
        json!({ "person": self.name, "chr": self.chr, "challenge": hex::encode(self.challenge) })
    }
}

impl Unlocking {
    /// Keeps a question until it is answered, or the same custodian is asked again.
    pub(crate) fn ask(&mut self, hsm: HsmId, question: Question) {
        self.asked.insert((hsm, question.person), question);
    }

    /// Takes the question of an HSM that this session names: each is answered once.
    pub(crate) fn take(&mut self, hsm: HsmId, session: &str) -> Option<Question> {
        let asked =
            |((of, _), question): &(&(HsmId, PersonId), &Question)| *of == hsm && question.session == session;
        let key = self.asked.iter().find(asked).map(|(key, _)| *key)?;
        self.asked.remove(&key)
    }

    /// Notes that an HSM took a custodian's answer in this era of it.
    pub(crate) fn count(&mut self, hsm: HsmId, era: u64, chr: String) {
        let counted = self.counted.entry(hsm).or_default();
        if counted.0 != era {
            *counted = (era, HashSet::new());
        }
        counted.1.insert(chr);
    }

    /// Whether every answer that an HSM counts in this era was given to `hsm unlock`.
    pub(crate) fn has_all(&self, hsm: HsmId, era: u64, inspection: &Inspection) -> bool {
        let counted = self.counted.get(&hsm).filter(|counted| counted.0 == era);
        let answered = |custodian: &&chancery_keys::RegisteredCustodian| custodian.answered;
        let mut answered = inspection.custodians.iter().filter(answered);
        answered.all(|custodian| counted.is_some_and(|counted| counted.1.contains(&custodian.chr)))
    }
}

#[cfg(test)]
mod tests {
    use chancery_keys::RegisteredCustodian;
    use uuid::Uuid;

    use super::*;

    fn hsm(number: u8) -> HsmId {
        HsmId::new(Uuid::from_bytes([number; 16]))
    }

    fn question(person: u8, session: &str) -> Question {
        Question {
            session: session.to_owned(),
            person: PersonId::new(Uuid::from_bytes([person; 16])),
            name: "alice".to_owned(),
            chr: "ALICE00001".to_owned(),
            challenge: [7; 8],
        }
    }

    #[test]
    fn a_question_is_of_one_hsm_and_answered_once() {
        let mut unlocking = Unlocking::default();
        unlocking.ask(hsm(1), question(1, "a"));
        unlocking.ask(hsm(1), question(2, "b"));
        assert!(unlocking.take(hsm(2), "a").is_none());
        assert!(unlocking.take(hsm(1), "a").is_some());
        assert!(unlocking.take(hsm(1), "a").is_none());
        // Asked again, the one before is of no use; that of others is.
        unlocking.ask(hsm(1), question(1, "c"));
        unlocking.ask(hsm(1), question(1, "d"));
        assert!(unlocking.take(hsm(1), "c").is_none());
        assert!(unlocking.take(hsm(1), "b").is_some());
        assert_eq!(unlocking.asked.len(), 1);
    }

    #[test]
    fn answers_count_in_their_era_and_beside_no_others() {
        let inspection = |answered: &[&str]| Inspection {
            initialised: true,
            quorum: None,
            custodians: ["ann", "bob"]
                .map(|chr| RegisteredCustodian {
                    chr: chr.to_owned(),
                    answered: answered.contains(&chr),
                })
                .into(),
            kcv: None,
            shares_outstanding: 0,
            keys: Vec::new(),
            mark: None,
        };
        let mut unlocking = Unlocking::default();
        assert!(unlocking.has_all(hsm(1), 4, &inspection(&[])));
        assert!(!unlocking.has_all(hsm(1), 4, &inspection(&["ann"])));
        unlocking.count(hsm(1), 4, "ann".to_owned());
        assert!(unlocking.has_all(hsm(1), 4, &inspection(&["ann"])));
        assert!(!unlocking.has_all(hsm(1), 4, &inspection(&["ann", "bob"])));
        assert!(!unlocking.has_all(hsm(2), 4, &inspection(&["ann"])));
        assert!(!unlocking.has_all(hsm(1), 5, &inspection(&["ann"])));
        unlocking.count(hsm(1), 5, "bob".to_owned());
        assert!(!unlocking.has_all(hsm(1), 5, &inspection(&["ann", "bob"])));
        assert!(unlocking.has_all(hsm(1), 5, &inspection(&["bob"])));
    }
}
