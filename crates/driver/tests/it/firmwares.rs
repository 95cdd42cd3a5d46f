//! Both challenge rules, against a card that imitates either firmware's counting and nothing else.

use crate::common::{self, FCI, bytes, vector};
use chancery_cvc::Reference;
use chancery_driver::{Card, ChallengeMode, Error, Progress, QuorumError, QuorumSession};
use chancery_iso7816::recording::{Log, Recording};
use chancery_iso7816::{Transport, TransportError};
use zeroize::Zeroizing;

const CUSTODIANS: [&str; 3] = ["UTCUSTA00001", "UTCUSTB00001", "UTCUSTC00001"];

/// A 2-of-3 HSM. An answer is right when its first bytes are custodian, then challenge.
struct Hsm {
    /// The Pico HSM's rule: a new challenge forgets all successes, and one serves every custodian.
    forgets: bool,
    answered: [bool; 3],
    selected: Option<usize>,
    challenge: Option<u8>,
    drawn: u8,
}

impl Hsm {
    fn new(forgets: bool) -> Self {
        Self {
            forgets,
            answered: [false; 3],
            selected: None,
            challenge: None,
            drawn: 0,
        }
    }

    fn count(&self) -> u8 {
        self.answered.iter().map(|answered| u8::from(*answered)).sum()
    }

    fn respond(&mut self, command: &[u8]) -> Vec<u8> {
        let [_, instruction, p1, p2, rest @ ..] = command else {
            return bytes("6700");
        };
        match (instruction, p1, p2) {
            (0xA4, 0x04, _) => {
                *self = Self::new(self.forgets);
                bytes(FCI)
            }
            (0xB1, 0x2F, 0x02) => [vector("nitrokey-hsm2-fw4.1-ef2f02.hex"), bytes("9000")].concat(),
            (0x54, 0x00, _) => vec![3, 0, 2, self.count(), 0x90, 0x00],
            (0x54, 0x02, index) => {
                let index = usize::from(*index);
                [
                    CUSTODIANS[index].as_bytes(),
                    &[0x90, u8::from(self.answered[index])],
                ]
                .concat()
            }
            (0x22, 0x81, 0xA4) => {
                self.selected = CUSTODIANS.iter().position(|name| rest.ends_with(name.as_bytes()));
                match self.selected {
                    Some(index) if self.forgets && self.answered[index] => bytes("6985"),
                    Some(_) => bytes("9000"),
                    None => bytes("6A88"),
                }
            }
            (0x84, _, _) => {
                self.drawn += 1;
                self.challenge = Some(self.drawn);
                if self.forgets {
                    self.answered = [false; 3];
                }
                vec![0, 0, 0, 0, 0, 0, 0, self.drawn, 0x90, 0x00]
            }
            (0x82, _, _) => {
                let (Some(index), Some(challenge), Some([_, who, what, ..])) =
                    (self.selected, self.challenge, rest.first_chunk::<3>())
                else {
                    return bytes("6985");
                };
                if !self.forgets {
                    self.challenge = None;
                }
                if usize::from(*who) == index && *what == challenge {
                    self.answered[index] = true;
                    bytes("9000")
                } else {
                    bytes(if self.forgets { "6985" } else { "6300" })
                }
            }
            _ => bytes("6D00"),
        }
    }
}

impl Transport for Hsm {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        Ok(Zeroizing::new(self.respond(command)))
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        *self = Self::new(self.forgets);
        Ok(())
    }
}

fn begin(forgets: bool) -> (QuorumSession<Recording<Hsm>>, Log) {
    let recording = Recording::new(Hsm::new(forgets));
    let log = recording.log();
    (
        QuorumSession::begin(Card::new(recording).select().unwrap()).unwrap(),
        log,
    )
}

fn custodian(index: usize) -> Reference {
    Reference::new(CUSTODIANS[index]).unwrap()
}

fn sign(index: u8, challenge: [u8; 8]) -> [u8; 64] {
    let mut signature = [0x55; 64];
    signature[0] = index;
    signature[1] = challenge[7];
    signature
}

fn ask_and_answer(session: &mut QuorumSession<Recording<Hsm>>, index: u8) -> Result<Progress, QuorumError> {
    let name = custodian(index.into());
    let question = session.ask(&name)?;
    assert_eq!(question.target.as_str(), "DENK040414400000");
    session.answer(&name, &sign(index, question.challenge.0))
}

#[test]
fn one_challenge_for_each_where_successes_stay() {
    let (mut session, log) = begin(false);
    log.clear();
    assert!(
        matches!(ask_and_answer(&mut session, 0), Ok(Progress::More(status)) if status.authenticated == 1)
    );
    // MSE, challenge, answer, count.
    assert_eq!(log.count(), 4);
    let order: Vec<u8> = log.entries().iter().map(|entry| entry.instruction()).collect();
    assert_eq!(order, [0x22, 0x84, 0x82, 0x54]);
    let early = session.finish().err().unwrap();
    assert_eq!(early.error.to_string(), "quorum 1 of 2");
    let mut session = early.card;
    assert!(
        matches!(ask_and_answer(&mut session, 2), Ok(Progress::Reached(status)) if status.authenticated == 2)
    );
    assert_eq!(session.mode(), ChallengeMode::Each);
    assert!(session.finish().is_ok());
}

#[test]
fn one_challenge_for_all_where_a_new_one_forgets() {
    let (mut session, log) = begin(true);
    assert!(matches!(ask_and_answer(&mut session, 0), Ok(Progress::More(_))));
    assert!(matches!(
        ask_and_answer(&mut session, 1),
        Ok(Progress::StartAgain(_))
    ));
    assert_eq!(session.mode(), ChallengeMode::Shared);
    assert!(session.answered().is_empty());
    assert_eq!(session.status().authenticated, 0);
    log.clear();
    let questions: Vec<_> = (0..3)
        .map(|index| session.ask(&custodian(index)).unwrap())
        .collect();
    assert!(
        questions
            .iter()
            .all(|question| question.challenge == questions[0].challenge)
    );
    assert_eq!(log.count(), 0, "the challenge for all is there");
    // In another order than asked.
    let shared = questions[0].challenge.0;
    assert!(matches!(
        session.answer(&custodian(2), &sign(2, shared)),
        Ok(Progress::More(_))
    ));
    assert!(matches!(
        session.answer(&custodian(2), &sign(2, shared)),
        Err(QuorumError::AlreadyAnswered { .. })
    ));
    assert!(matches!(
        session.answer(&custodian(0), &sign(0, shared)),
        Ok(Progress::Reached(_))
    ));
    assert_eq!(log.count_of(0x84), 0);
    assert!(session.finish().is_ok());
}

#[test]
fn a_session_is_put_down_between_custodians() {
    let (mut session, log) = begin(true);
    ask_and_answer(&mut session, 0).unwrap();
    assert!(matches!(
        ask_and_answer(&mut session, 1),
        Ok(Progress::StartAgain(_))
    ));
    let again = |session: QuorumSession<Recording<Hsm>>| {
        let memory = session.memory();
        assert_eq!(memory.mode(), ChallengeMode::Shared);
        QuorumSession::resume(session.stop(), &memory).unwrap()
    };
    let drawn = log.count_of(0x84);
    let mut session = again(session);
    ask_and_answer(&mut session, 2).unwrap();
    let mut session = again(session);
    assert_eq!(session.answered(), [custodian(2)]);
    assert!(matches!(
        session.ask(&custodian(2)),
        Err(QuorumError::AlreadyAnswered { .. })
    ));
    assert!(matches!(
        ask_and_answer(&mut session, 1),
        Ok(Progress::Reached(_))
    ));
    assert_eq!(log.count_of(0x84), drawn, "one challenge for all");

    // Selected again, the way of the HSM is known and its challenge is void.
    let mut memory = session.memory();
    memory.selected_again();
    let card = session.stop().disconnect().select().unwrap();
    let mut session = QuorumSession::resume(card, &memory).unwrap();
    ask_and_answer(&mut session, 0).unwrap();
    assert!(matches!(
        ask_and_answer(&mut session, 1),
        Ok(Progress::Reached(_))
    ));
    assert_eq!(log.count_of(0x84), drawn + 1);
}

#[test]
fn a_wrong_answer_takes_nothing_back() {
    for forgets in [false, true] {
        let (mut session, _) = begin(forgets);
        ask_and_answer(&mut session, 0).unwrap();
        let name = custodian(1);
        let question = session.ask(&name).unwrap();
        let wrong = session.answer(&name, &sign(1, [0xFF; 8]));
        assert!(matches!(wrong, Err(QuorumError::WrongAnswer { .. })), "{wrong:?}");
        // Where the new challenge has cost the first answer, that is found out from the count; a refused answer does not
        // show why.
        let left = if forgets { vec![] } else { vec![custodian(0)] };
        assert_eq!(session.answered(), left);
        assert_eq!(session.mode(), ChallengeMode::Each);
        // Either way the challenge is spent for this session.
        let late = session.answer(&name, &sign(1, question.challenge.0));
        assert!(matches!(late, Err(QuorumError::NoChallenge { .. })), "{late:?}");
    }
}

#[test]
fn a_challenge_for_all_outlives_a_wrong_answer_that_would_cost_others() {
    let (mut session, log) = begin(true);
    ask_and_answer(&mut session, 0).unwrap();
    ask_and_answer(&mut session, 1).unwrap();
    let drawn = log.count_of(0x84);
    ask_and_answer(&mut session, 0).unwrap();
    let name = custodian(1);
    session.ask(&name).unwrap();
    let wrong = session.answer(&name, &sign(1, [0xFF; 8]));
    assert!(matches!(wrong, Err(QuorumError::WrongAnswer { .. })), "{wrong:?}");
    assert_eq!(session.answered(), [custodian(0)]);
    assert!(matches!(
        ask_and_answer(&mut session, 1),
        Ok(Progress::Reached(_))
    ));
    assert_eq!(log.count_of(0x84), drawn);
    // With nothing to lose another one is drawn: the HSM may not know the old one any more.
    let card = session.stop().disconnect().select().unwrap();
    let mut session = QuorumSession::begin(card).unwrap();
    ask_and_answer(&mut session, 0).unwrap();
    ask_and_answer(&mut session, 1).unwrap();
    let first = session.ask(&name).unwrap();
    session.answer(&name, &sign(1, [0xFF; 8])).unwrap_err();
    assert_ne!(session.ask(&name).unwrap().challenge, first.challenge);
}

#[test]
fn questions_overtaken_or_repeated_are_refused_without_a_command() {
    let (mut session, log) = begin(false);
    let first = session.ask(&custodian(0)).unwrap();
    let second = session.ask(&custodian(1)).unwrap();
    log.clear();
    let overtaken = session.answer(&custodian(0), &sign(0, first.challenge.0));
    assert!(matches!(overtaken, Err(QuorumError::NoChallenge { .. })));
    assert_eq!(log.count(), 0);
    session
        .answer(&custodian(1), &sign(1, second.challenge.0))
        .unwrap();
    log.clear();
    assert!(matches!(
        session.ask(&custodian(1)),
        Err(QuorumError::AlreadyAnswered { .. })
    ));
    assert_eq!(log.count(), 0);
    let stranger = Reference::new("UTSTRANGE00001").unwrap();
    assert!(matches!(
        session.ask(&stranger),
        Err(QuorumError::NotRegistered { .. })
    ));
    assert!(matches!(
        session.answer(&custodian(0), &[0; 64]),
        Err(QuorumError::NoChallenge { .. })
    ));
    session.ask(&custodian(0)).unwrap();
    assert!(matches!(
        session.answer(&custodian(0), &[0; 96]),
        Err(QuorumError::AnswerLength { found: 96 })
    ));
}

#[test]
fn a_session_goes_on_where_earlier_answers_left_the_hsm() {
    let (mut session, _) = begin(false);
    ask_and_answer(&mut session, 1).unwrap();
    let mut session = QuorumSession::begin(session.stop()).unwrap();
    assert_eq!(session.answered(), [custodian(1)]);
    assert!(matches!(
        session.ask(&custodian(1)),
        Err(QuorumError::AlreadyAnswered { .. })
    ));
    assert!(matches!(
        ask_and_answer(&mut session, 0),
        Ok(Progress::Reached(_))
    ));
}

#[test]
fn a_lost_link_is_no_answer() {
    let breaking = common::Breaking {
        inner: Hsm::new(false),
        left: 5,
        loss: common::Loss::Answer,
    };
    let mut session = QuorumSession::begin(Card::new(breaking).select().unwrap()).unwrap();
    let question = session.ask(&custodian(0)).unwrap();
    let lost = session
        .answer(&custodian(0), &sign(0, question.challenge.0))
        .unwrap_err();
    assert!(
        matches!(&lost, QuorumError::Card(error) if error.is_link_loss()),
        "{lost:?}"
    );
    assert!(matches!(
        session.finish().err().unwrap().error,
        QuorumError::Card(Error::Link { .. })
    ));
}
