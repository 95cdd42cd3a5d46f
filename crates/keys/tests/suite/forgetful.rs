//! HSMs that forget earlier answers whenever a challenge is drawn, and take one challenge for all custodians.

use std::sync::{Arc, Mutex};

use chancery_cvc::{AuthenticatedRequest, plain_to_der};
use chancery_iso7816::{Transport, TransportError};
use chancery_keys::{Connect, ConnectError, Hsm, HsmError, Mark, State, Token, VirtualConnect};
use chancery_vtoken::VirtualToken;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Public};
use openssl::sign::Verifier;
use zeroize::Zeroizing;

use crate::bench::{Custodian, Installation, one_answers, set_up, unlock};

/// A virtual token whose quorum works as the Pico HSM's does: GET CHALLENGE forgets all answers, a challenge stays
/// until it is replaced, and who has answered is refused.
#[derive(Clone)]
struct Forgetful {
    to: VirtualConnect,
    quorum: Arc<Mutex<Quorum>>,
}

#[derive(Default)]
struct Quorum {
    device: String,
    /// Names and keys in the order of registration.
    custodians: Vec<(String, PKey<Public>)>,
    answered: Vec<bool>,
    selected: Option<usize>,
    challenge: Option<[u8; 8]>,
    drawn: u8,
}

impl Quorum {
    fn count(&self) -> u8 {
        self.answered.iter().map(|answered| u8::from(*answered)).sum()
    }

    fn forget(&mut self) {
        self.answered = vec![false; self.custodians.len()];
    }

    fn select(&mut self, name: &[u8]) -> u16 {
        self.selected = self
            .custodians
            .iter()
            .position(|(known, _)| known.as_bytes() == name);
        match self.selected {
            None => 0x6A88,
            Some(index) if self.answered[index] => 0x6985,
            Some(_) => 0x9000,
        }
    }

    fn answer(&mut self, signature: &[u8]) -> u16 {
        let (Some(index), Some(challenge)) = (self.selected, self.challenge) else {
            return 0x6985;
        };
        let mut verifier = Verifier::new(MessageDigest::sha256(), &self.custodians[index].1).unwrap();
        verifier.update(self.device.as_bytes()).unwrap();
        verifier.update(&challenge).unwrap();
        if verifier.verify(&plain_to_der(signature).unwrap()).unwrap() {
            self.answered[index] = true;
            0x9000
        } else {
            0x6985
        }
    }
}

impl Connect for Forgetful {
    fn connect(&self) -> Result<Box<dyn Token>, ConnectError> {
        let token = VirtualToken::open(&self.to.dir, &self.to.at_rest).unwrap();
        Ok(Box::new(Plugged {
            token,
            quorum: Arc::clone(&self.quorum),
        }))
    }
}

struct Plugged {
    token: VirtualToken,
    quorum: Arc<Mutex<Quorum>>,
}

impl Transport for Plugged {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let mut quorum = self.quorum.lock().unwrap();
        let word = |status: u16| Ok(Zeroizing::new(status.to_be_bytes().to_vec()));
        match command {
            [_, 0xA4, 0x04, ..] => {
                quorum.forget();
                quorum.challenge = None;
                self.token.transmit(command)
            }
            [_, 0x54, 0x00, 0x00, _] => {
                let mut status = self.token.transmit(command)?;
                if let [_, _, _, authenticated, 0x90, 0x00] = status.as_mut_slice() {
                    *authenticated = quorum.count();
                }
                Ok(status)
            }
            [_, 0x54, 0x02, index, ..] => {
                let mut slot = self.token.transmit(command)?;
                let answered = quorum.answered.get(usize::from(*index)).copied();
                if let [.., 0x90, last] = slot.as_mut_slice() {
                    *last = u8::from(answered.unwrap_or_default());
                }
                Ok(slot)
            }
            [_, 0x22, 0x81, 0xA4, _, 0x83, _, name @ ..] => word(quorum.select(name)),
            [_, 0x84, ..] => {
                quorum.forget();
                quorum.drawn += 1;
                let challenge = [quorum.drawn; 8];
                quorum.challenge = Some(challenge);
                Ok(Zeroizing::new([&challenge[..], &[0x90, 0x00]].concat()))
            }
            [_, 0x82, _, _, 64, signature @ ..] => word(quorum.answer(signature)),
            _ => self.token.transmit(command),
        }
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}

impl Token for Plugged {
    fn mark(&self) -> Option<Mark> {
        None
    }
}

/// A locked HSM of this kind with three custodians, two of whom open it.
async fn hsm(installation: &Installation) -> (Hsm, [Custodian; 3], Arc<Mutex<Quorum>>) {
    let custodians = installation.custodians();
    let connect = Forgetful {
        to: installation.token("hsm-a"),
        quorum: Arc::default(),
    };
    let quorum = Arc::clone(&connect.quorum);
    let anchors = Arc::clone(&installation.anchors);
    let hsm = Hsm::start("hsm-a", Arc::new(connect), anchors, installation.clock()).unwrap();
    set_up(&hsm, &custodians).await;
    {
        let mut quorum = quorum.lock().unwrap();
        quorum.device.clone_from(&hsm.identity().device);
        for custodian in &custodians {
            let request = AuthenticatedRequest::parse(&custodian.request).unwrap();
            let key = request.request().public_key().to_pkey().unwrap();
            quorum.custodians.push((custodian.chr.clone(), key));
        }
        quorum.forget();
    }
    (hsm, custodians, quorum)
}

fn drawn(quorum: &Mutex<Quorum>) -> u8 {
    quorum.lock().unwrap().drawn
}

const ONE_ANSWER: State = State::Quorum { have: 1, need: 2 };

#[tokio::test]
async fn it_is_found_out_once_and_opened_over_one_challenge() {
    let installation = Installation::new();
    let (hsm, mut custodians, quorum) = hsm(&installation).await;
    let [ann, bob, _] = &mut custodians;
    assert_eq!(one_answers(&hsm, ann).await, ONE_ANSWER);
    // His answer is right, and shows that hers is gone.
    assert_eq!(one_answers(&hsm, bob).await, State::Locked);
    assert!(hsm.locked_because().unwrap().contains("one challenge for all"));
    assert_eq!(drawn(&quorum), 3, "hers, his, and the one for all");
    let seen = hsm.inspect().await.unwrap();
    assert_eq!(seen.quorum.unwrap().answered, 0);
    assert!(hsm.locked_because().is_some());

    assert_eq!(one_answers(&hsm, ann).await, ONE_ANSWER);
    assert_eq!(hsm.locked_because(), None);
    let twice = hsm.challenge(&ann.chr).await.unwrap_err();
    assert!(matches!(twice, HsmError::AlreadyAnswered { .. }), "{twice}");
    let opened = one_answers(&hsm, bob).await;
    assert!(matches!(opened, State::Unlocked { .. }), "{opened}");
    assert_eq!(drawn(&quorum), 3);

    // From now on it is known.
    hsm.lock().await.unwrap();
    unlock(&hsm, &mut custodians).await;
    assert_eq!(drawn(&quorum), 4);
}

#[tokio::test]
async fn a_wrong_answer_costs_no_other_one() {
    let installation = Installation::new();
    let (hsm, mut custodians, quorum) = hsm(&installation).await;
    let [ann, bob, _] = &mut custodians;
    one_answers(&hsm, ann).await;
    one_answers(&hsm, bob).await;
    assert_eq!(one_answers(&hsm, bob).await, ONE_ANSWER);
    let challenge = hsm.challenge(&ann.chr).await.unwrap();
    let elsewhere = ann.answer_for("UTCHDAAAAAA00000", challenge.challenge);
    let refused = hsm.answer(&challenge.session, &elsewhere).await.unwrap_err();
    assert!(matches!(refused, HsmError::AnswerRefused { .. }), "{refused}");
    assert_eq!(hsm.state(), ONE_ANSWER);
    let spent = hsm
        .answer(&challenge.session, &ann.answer(&hsm, challenge.challenge))
        .await
        .unwrap_err();
    assert!(matches!(spent, HsmError::NoSuchChallenge { .. }), "{spent}");
    let opened = one_answers(&hsm, ann).await;
    assert!(matches!(opened, State::Unlocked { .. }), "{opened}");
    assert_eq!(drawn(&quorum), 3);
}

#[tokio::test]
async fn a_challenge_nobody_answers_shows_what_it_cost() {
    let installation = Installation::new();
    let (hsm, mut custodians, _) = hsm(&installation).await;
    let [ann, bob, cem] = &mut custodians;
    assert_eq!(one_answers(&hsm, ann).await, ONE_ANSWER);
    hsm.challenge(&bob.chr).await.unwrap();
    hsm.challenge(&cem.chr).await.unwrap();
    assert_eq!(hsm.state(), State::Locked);
    assert!(hsm.locked_because().unwrap().contains("gone"));
    assert_eq!(one_answers(&hsm, cem).await, ONE_ANSWER);
    assert_eq!(one_answers(&hsm, bob).await, State::Locked);
    unlock(&hsm, &mut custodians).await;
}
