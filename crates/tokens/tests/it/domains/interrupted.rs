//! The token pulled at every command of an agreement: it is finished, or taken back.

use std::time::{Duration, Instant};

use chancery_driver::exchange::VerifiedOffer;
use chancery_schsm::{Kcv, KeyId};
use chancery_tokens::domain::{DomainError, KeyChoice, Overview, Wanted, prepare, resume, undo};
use chancery_tokens::journal::{Journal, JournalError, Work};

use crate::bench::{Bench, Loss, Token, login};
use crate::domains::members::{Desk, pair};

/// Commands of SELECT and VERIFY.
const LOGIN: usize = 2;

/// A bench with a member, and an offer of another.
struct Agreement {
    bench: Bench,
    desk: Desk,
    token: Token,
    peer: VerifiedOffer,
}

impl Agreement {
    fn new() -> Self {
        let bench = Bench::new();
        let desk = Desk::new(&bench);
        let [token, other] = pair(&bench, &desk);
        let wanted = wanted(None);
        let prepared = prepare(&mut other.login(), &wanted, &desk.host(&bench, &other)).unwrap();
        let peer = prepared.offer().clone();
        prepared.finish().unwrap();
        Self {
            bench,
            desk,
            token,
            peer,
        }
    }

    /// Pulls the token at every command until one attempt gets through; `check` looks at what an interruption left behind.
    fn pull_everywhere(&self, mut check: impl FnMut(&str, Option<&str>)) {
        for loss in [Loss::Command, Loss::Answer] {
            let (mut at_key, mut at_agreement) = (0, 0);
            for after in 0.. {
                let mut card = login(self.token.breaking(LOGIN + after, loss));
                let host = self.desk.host(&self.bench, &self.token);
                let wanted = wanted(Some(&self.peer));
                let done = prepare(&mut card, &wanted, &host).and_then(|mut prepared| {
                    prepared.agree(&mut card, &self.peer)?;
                    prepared.finish()
                });
                let Err(error) = done else {
                    self.clear();
                    break;
                };
                let work = match &error {
                    DomainError::Interrupted { work, step, .. } => {
                        match *step {
                            "agreement" => at_agreement += 1,
                            _ => at_key += 1,
                        }
                        Some(work.as_str())
                    }
                    error => {
                        assert!(
                            error.card().is_some_and(chancery_driver::Error::is_link_loss),
                            "{error}"
                        );
                        None
                    }
                };
                assert_eq!(
                    self.desk.journal.list().unwrap().len(),
                    usize::from(work.is_some())
                );
                check(&format!("{after} {loss:?} {error}"), work);
                assert!(self.desk.journal.list().unwrap().is_empty());
                self.clear();
                assert!(after < 80, "it never gets through");
            }
            assert!(at_key >= 4 && at_agreement >= 4, "{at_key} {at_agreement}");
        }
    }

    /// Back to a domain without keys.
    fn clear(&self) {
        let mut card = self.token.login();
        let place = Overview::of(&mut card).unwrap().places.remove(0);
        for key in place.keys {
            card.delete_key(key.id).unwrap();
        }
        if place.state.kcv().is_some() {
            card.delete_kek(0).unwrap();
        }
    }

    fn state(&self) -> (Vec<KeyId>, Option<Kcv>) {
        let place = Overview::of(&mut self.token.login()).unwrap().places.remove(0);
        (place.keys.iter().map(|key| key.id).collect(), place.state.kcv())
    }
}

fn wanted(peer: Option<&VerifiedOffer>) -> Wanted<'_> {
    Wanted {
        domain: 0,
        key: KeyChoice::TheOne,
        curve: None,
        peer,
        keep_kek: true,
    }
}

/// Takes work up again. A program that another test starts has the lock of an open journal until it runs.
fn take(journal: &Journal, id: &str) -> Work {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match journal.take(Some(id)) {
            Err(JournalError::Busy { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            taken => return taken.unwrap(),
        }
    }
}

#[test]
fn an_agreement_is_finished() {
    let agreement = Agreement::new();
    agreement.pull_everywhere(|at, work| {
        let Some(work) = work else {
            assert_eq!(agreement.state(), (Vec::new(), None), "{at}");
            return;
        };
        let host = agreement.desk.host(&agreement.bench, &agreement.token);
        let mut card = agreement.token.login();
        let done = resume(&mut card, take(&agreement.desk.journal, work), &host).unwrap();
        assert_eq!(agreement.state(), (vec![done.key], done.kcv), "{at}");
        assert_eq!(done.kcv.is_some(), at.contains("agreement"), "{at}");
        let overview = Overview::of(&mut card).unwrap();
        assert_eq!(
            overview.places[0].keys[0].label, "exchange key of domain 0",
            "{at}"
        );
    });
}

#[test]
fn an_agreement_is_taken_back() {
    let agreement = Agreement::new();
    agreement.pull_everywhere(|at, work| {
        if let Some(work) = work {
            let host = agreement.desk.host(&agreement.bench, &agreement.token);
            let work = take(&agreement.desk.journal, work);
            let had = agreement.state();
            let undone = undo(&mut agreement.token.login(), work, &host).unwrap();
            assert_eq!((undone.key.into_iter().collect(), undone.kek), had, "{at}");
        }
        assert_eq!(agreement.state(), (Vec::new(), None), "{at}");
    });
}

#[test]
fn a_key_encryption_key_that_was_replaced_cannot_be_brought_back() {
    let agreement = Agreement::new();
    let host = agreement.desk.host(&agreement.bench, &agreement.token);
    let mut card = agreement.token.login();
    let mut prepared = prepare(&mut card, &wanted(Some(&agreement.peer)), &host).unwrap();
    let first = prepared.agree(&mut card, &agreement.peer).unwrap();
    prepared.finish().unwrap();
    let anew = Wanted {
        key: KeyChoice::New,
        keep_kek: false,
        ..wanted(Some(&agreement.peer))
    };
    let mut prepared = prepare(&mut card, &anew, &host).unwrap();
    let second = prepared.agree(&mut card, &agreement.peer).unwrap();
    assert_ne!(first, second);
    // As if the program had ended here.
    drop(prepared);
    let work = take(&agreement.desk.journal, "agree-1");
    assert!(matches!(
        undo(&mut card, work, &host),
        Err(DomainError::Replaced { domain: 0 })
    ));
    let work = take(&agreement.desk.journal, "agree-1");
    let done = resume(&mut card, work, &host).unwrap();
    assert_eq!(done.kcv, Some(second));
    assert!(agreement.desk.journal.list().unwrap().is_empty());
}
