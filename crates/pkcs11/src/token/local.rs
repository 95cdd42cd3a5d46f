//! A token as a slot.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cryptoki_sys as ck;
use zeroize::Zeroizing;

use super::{
    cache::CacheFolder,
    card::{PinReference, PinState},
    describe,
    failure::Failure,
    hand::{Hand, so_pin_bytes},
    manage::require_pin_length,
    place::Place,
    turn::{Taken, Turn},
};
use crate::{
    attribute::Template,
    error::{Code, Result},
    mechanism::Offer,
    slot::{
        Decipher, KeyKind, Manage, Object, ObjectId, Pin, SignInput, Slot, SlotDescription, TokenDescription,
        User, Wanted,
    },
};

/// A token in a reader or behind a socket. It is held while somebody is logged in, and otherwise for each piece of work.
pub struct LocalSlot {
    place: Arc<dyn Place>,
    hand: Turn<Hand>,
    /// How long others are waited for.
    wait: Duration,
    /// Somebody logged out while another thread had the token.
    logged_out: AtomicBool,
    closed: AtomicBool,
}

impl LocalSlot {
    /// The token at a place. Others that have it are waited for, so long at most.
    #[must_use]
    pub fn new(place: Arc<dyn Place>, cache: Option<CacheFolder>, wait: Duration) -> Self {
        let hand = Hand::new(place.identity(), cache);
        Self {
            place,
            hand: Turn::new(hand),
            wait,
            logged_out: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Does something with the token.
    fn at_token<T>(&self, work: impl FnOnce(&mut Hand) -> std::result::Result<T, Failure>) -> Result<T> {
        let mut hand = self.hand.take();
        if self.closed.load(Ordering::Acquire) {
            return Err(Code::CRYPTOKI_NOT_INITIALIZED.into());
        }
        let was_user = hand.user;
        let done = hand.open(self.place.as_ref(), self.wait).and_then(|()| {
            // A card that was reset by others since has nobody logged in.
            if was_user.is_some() && hand.user.is_none() {
                return Err(Code::USER_NOT_LOGGED_IN.into());
            }
            work(&mut hand)
        });
        if let Err(Failure::Gone(_)) = done {
            hand.drop_device();
        }
        self.put_back(&mut hand);
        Ok(done?)
    }

    fn put_back(&self, hand: &mut Taken<'_, Hand>) {
        hand.remember();
        if self.logged_out.swap(false, Ordering::AcqRel) {
            hand.log_out_of_token();
        }
        hand.rest();
        if self.closed.load(Ordering::Acquire) {
            hand.drop_device();
        }
    }
}

impl Slot for LocalSlot {
    fn description(&self) -> SlotDescription {
        self.place.description()
    }

    fn is_present(&self) -> bool {
        self.place.is_present()
    }

    fn token(&self) -> Result<TokenDescription> {
        self.at_token(|hand| {
            let label = hand.label()?;
            let serial = hand.serial()?;
            let flags = match hand.pin_state()? {
                PinState::Missing => ck::CKF_TOKEN_INITIALIZED,
                state => ck::CKF_TOKEN_INITIALIZED | ck::CKF_USER_PIN_INITIALIZED | pin_flags(state),
            };
            Ok(TokenDescription {
                label,
                manufacturer: "www.CardContact.de".to_owned(),
                model: "SmartCard-HSM".to_owned(),
                serial,
                flags: flags | ck::CKF_RNG | ck::CKF_LOGIN_REQUIRED,
                pin_length: (6, 16),
                firmware: hand.firmware,
            })
        })
    }

    fn mechanisms(&self) -> Vec<Offer> {
        describe::mechanisms()
    }

    fn login(&self, user: User, pin: Option<&Pin>, _: Option<ObjectId>) -> Result<()> {
        let pin = pin.ok_or(Code::ARGUMENTS_BAD)?;
        self.at_token(|hand| {
            hand.present(user, pin)?;
            match user {
                User::User => hand.user = Some(user),
                User::SecurityOfficer => {
                    hand.user = Some(user);
                    hand.so_pin = Some(pin.clone());
                }
                User::Context => {}
            }
            Ok(())
        })
    }

    fn logout(&self) {
        match self.hand.try_take() {
            Some(mut hand) => hand.log_out_of_token(),
            None => self.logged_out.store(true, Ordering::Release),
        }
    }

    fn objects(&self, wanted: &Wanted) -> Result<Vec<Arc<Object>>> {
        {
            let hand = self.hand.take();
            if let Some(object) = hand.built.get(wanted) {
                return Ok(vec![object]);
            }
        }
        self.at_token(|hand| hand.objects(wanted))
    }

    fn sign(&self, key: ObjectId, input: &SignInput<'_>) -> Result<Vec<u8>> {
        self.at_token(|hand| hand.sign(key, input))
    }

    fn random(&self, out: &mut [u8]) -> Result<()> {
        self.at_token(|hand| hand.card()?.random(out))
    }

    fn decipher(&self) -> Option<&dyn Decipher> {
        Some(self)
    }

    fn manage(&self) -> Option<&dyn Manage> {
        Some(self)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(mut hand) = self.hand.try_take() {
            hand.log_out_of_token();
            hand.drop_device();
        }
    }
}

impl Decipher for LocalSlot {
    fn decrypt_raw(&self, key: ObjectId, cryptogram: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.at_token(|hand| hand.decrypt(key, cryptogram))
    }

    fn agree(&self, key: ObjectId, public: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.at_token(|hand| hand.agree(key, public))
    }
}

impl Manage for LocalSlot {
    fn generate(
        &self,
        what: KeyKind<'_>,
        public: &Template,
        private: &Template,
    ) -> Result<(ObjectId, ObjectId)> {
        self.at_token(|hand| hand.generate(what, public, private))
    }

    fn create(&self, template: &Template) -> Result<ObjectId> {
        self.at_token(|hand| hand.create(template))
    }

    fn destroy(&self, object: ObjectId) -> Result<()> {
        self.at_token(|hand| hand.destroy(object))
    }

    fn change(&self, object: ObjectId, template: &Template) -> Result<()> {
        self.at_token(|hand| hand.change(object, template))
    }

    fn set_pin(&self, user: User, old: &Pin, new: &Pin) -> Result<()> {
        self.at_token(|hand| {
            let (reference, old, new) = match user {
                User::SecurityOfficer => (
                    PinReference::SecurityOfficer,
                    so_pin_bytes(old)?,
                    so_pin_bytes(new)?,
                ),
                User::User | User::Context => {
                    require_pin_length(new.secret_bytes().len())?;
                    (
                        PinReference::User,
                        Zeroizing::new(old.secret_bytes().to_vec()),
                        Zeroizing::new(new.secret_bytes().to_vec()),
                    )
                }
            };
            let status = hand.card()?.change_pin(reference, &old, &new)?;
            hand.judged(reference, status)
        })
    }

    fn init_pin(&self, new: &Pin) -> Result<()> {
        self.at_token(|hand| {
            require_pin_length(new.secret_bytes().len())?;
            let so_pin = hand.so_pin.clone().ok_or(Code::USER_NOT_LOGGED_IN)?;
            let so_pin = so_pin_bytes(&so_pin)?;
            let status = hand.card()?.reset_pin(&so_pin, new.secret_bytes())?;
            hand.pin = None;
            hand.judged(PinReference::SecurityOfficer, status)
        })
    }
}

const fn pin_flags(state: PinState) -> ck::CK_FLAGS {
    match state {
        PinState::Tries(1) => ck::CKF_USER_PIN_FINAL_TRY | ck::CKF_USER_PIN_COUNT_LOW,
        PinState::Tries(2) => ck::CKF_USER_PIN_COUNT_LOW,
        PinState::Blocked => ck::CKF_USER_PIN_LOCKED,
        PinState::Transport => ck::CKF_USER_PIN_TO_BE_CHANGED,
        PinState::Verified | PinState::Tries(_) | PinState::Missing => 0,
    }
}
