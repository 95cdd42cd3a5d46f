//! The states of a token: connected, applet selected, authenticated. Going on consumes the state before.

use chancery_cvc::{DeviceChain, DeviceIdentity, PublicKey, Reference, TrustAnchors};
use chancery_iso7816::Transport;
use chancery_schsm::{Algorithm, Fid, InitializeOptions, KekShare, KeyDomainStatus, KeyId, PkaStatus};
use zeroize::Zeroizing;

use crate::applet::{self, AppletInfo, Firmware};
use crate::challenge::{PendingChallenge, QuorumError};
use crate::error::{Error, Failed};
use crate::initialize::Initialize;
use crate::key::{GeneratedKey, KeyAttributes, KeySpec};
use crate::link::{Limits, Link};
use crate::object::ObjectList;
use crate::pin::PinStatus;
use crate::pka::{CustodianSlot, RegistrationError};
use crate::registration::PkaRegistration;
use crate::secret::{Pin, SoPin};
use crate::session::{Session, sealed::HasSession};

/// A token that can be reached; nothing is known of it yet.
pub struct Card<T> {
    link: Link<T>,
}

/// A token whose applet is selected and which is not unlocked.
pub struct Selected<T> {
    session: Session<T>,
}

/// What the answer to SELECT told of a token.
#[derive(Clone, Copy, Debug)]
pub struct Selection(AppletInfo);

/// A token unlocked by PIN or quorum. A reset takes that back without notice: commands then fail with
/// [`Error::NotAuthenticated`].
pub struct Authenticated<T> {
    session: Session<T>,
}

impl<T: Transport> Card<T> {
    /// Takes a transport with the limits that suit most cards and readers.
    pub fn new(transport: T) -> Self {
        Self::with_limits(transport, Limits::default())
    }

    /// Takes a transport with limits of its own.
    pub fn with_limits(transport: T, limits: Limits) -> Self {
        Self {
            link: Link::new(transport, limits),
        }
    }

    /// Selects the SmartCard-HSM application. Whatever was authenticated before is not any more.
    ///
    /// # Errors
    /// The link failed, or this is no SmartCard-HSM.
    pub fn select(mut self) -> Result<Selected<T>, Failed<Self>> {
        match applet::select(&mut self.link) {
            Ok(info) => Ok(Selected {
                session: Session::new(self.link, info),
            }),
            Err(error) => Err(Failed { card: self, error }),
        }
    }

    /// Goes on with a token whose application was selected before, in the same session and by the same way, and on which nothing was
    /// done since. No command is sent.
    pub fn resume(self, selection: Selection) -> Selected<T> {
        Selected {
            session: Session::new(self.link, selection.0),
        }
    }

    /// Power cycle of the card.
    ///
    /// # Errors
    /// The link failed.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.link.reset()
    }

    /// Gives the transport back.
    pub fn into_transport(self) -> T {
        self.link.into_transport()
    }
}

/// What can be done in either state.
macro_rules! operations_in_either_state {
    ($state:ident) => {
        impl<T: Transport> $state<T> {
            /// Version of the applet.
            pub const fn firmware(&self) -> Firmware {
                self.session.info.firmware
            }

            /// Option word, where the card tells it (from version 2 on).
            pub const fn options(&self) -> Option<InitializeOptions> {
                self.session.info.options
            }

            /// Reads a file whole; `None` when it does not exist.
            ///
            /// # Errors
            /// A command failed, the file is private and the token locked, or it is over the limit.
            pub fn read_file(&mut self, fid: Fid) -> Result<Option<Vec<u8>>, Error> {
                self.session.read_file(fid)
            }

            /// The certificates of the device key and its issuer, from EF.C_DevAut; not verified.
            ///
            /// # Errors
            /// A command failed, or the file is missing or malformed.
            pub fn device_chain(&mut self) -> Result<DeviceChain, Error> {
                self.session.device_chain()
            }

            /// Who this token is, proven down to one of `anchors`.
            ///
            /// # Errors
            /// As [`Self::device_chain`]; [`Error::Chain`] when the chain is not accepted.
            pub fn device_identity(&mut self, anchors: &TrustAnchors) -> Result<DeviceIdentity, Error> {
                self.session.device_identity(anchors)
            }

            /// Keys and files on the token.
            ///
            /// # Errors
            /// A command failed.
            pub fn enumerate(&mut self) -> Result<ObjectList, Error> {
                self.session.enumerate()
            }

            /// What SELECT tells of a key; `None` when there is no such key.
            ///
            /// # Errors
            /// A command failed.
            pub fn key_attributes(&mut self, id: KeyId) -> Result<Option<KeyAttributes>, Error> {
                self.session.key_attributes(id)
            }

            /// State of the user PIN.
            ///
            /// # Errors
            /// A command failed.
            pub fn pin_status(&mut self) -> Result<PinStatus, Error> {
                self.session.pin_status()
            }

            /// State of the quorum; `None` when the token was not initialised with one.
            ///
            /// # Errors
            /// A command failed.
            pub fn pka_status(&mut self) -> Result<Option<PkaStatus>, Error> {
                self.session.pka_status()
            }

            /// Every place for a custodian key; empty when the token has no quorum.
            ///
            /// # Errors
            /// A command failed.
            pub fn custodians(&mut self) -> Result<Vec<CustodianSlot>, Error> {
                self.session.custodians()
            }

            /// State of key domain `domain`; `None` when there is no such domain.
            ///
            /// # Errors
            /// A command failed.
            pub fn key_domain(&mut self, domain: u8) -> Result<Option<KeyDomainStatus>, Error> {
                self.session.key_domain(domain)
            }

            /// Every key domain with its number.
            ///
            /// # Errors
            /// A command failed.
            pub fn key_domains(&mut self) -> Result<Vec<(u8, KeyDomainStatus)>, Error> {
                self.session.key_domains()
            }

            /// Imports one share of a domain's DKEK.
            ///
            /// # Errors
            /// A command failed, or the domain takes no share (any more).
            pub fn import_share(&mut self, domain: u8, share: &KekShare) -> Result<KeyDomainStatus, Error> {
                self.session.import_share(domain, share)
            }

            /// Random bytes from the token, 1 to 1024. A pending challenge is gone afterwards.
            ///
            /// # Errors
            /// A command failed.
            pub fn random(&mut self, length: u16) -> Result<Zeroizing<Vec<u8>>, Error> {
                self.session.random(length)
            }

            pub(crate) fn into_session(self) -> Session<T> {
                self.session
            }

            pub(crate) const fn from_session(session: Session<T>) -> Self {
                Self { session }
            }

            /// Back to a token of which nothing is known; its state on the card stays until the next SELECT.
            pub fn disconnect(self) -> Card<T> {
                Card {
                    link: self.session.link,
                }
            }
        }

        impl<T: Transport> HasSession for $state<T> {
            type Transport = T;

            fn session(&mut self) -> &mut Session<T> {
                &mut self.session
            }
        }
    };
}

operations_in_either_state!(Selected);
operations_in_either_state!(Authenticated);

impl<T: Transport> Selected<T> {
    /// What SELECT told, to go on with later ([`Card::resume`]).
    pub const fn selection(&self) -> Selection {
        Selection(self.session.info)
    }

    /// Erases the token and sets it up anew.
    ///
    /// # Errors
    /// The set-up breaks a rule, or the token refuses it.
    pub fn initialize(&mut self, setup: &Initialize) -> Result<(), Error> {
        self.session.initialize(setup)
    }

    /// Registers a custodian key: makes the chain of its token known to the HSM, then the key.
    ///
    /// Verify the registration before ([`PkaRegistration::verify`]): the HSM checks it against its own roots only.
    ///
    /// # Errors
    /// [`RegistrationError`] says why the key was not registered.
    pub fn register_custodian(
        &mut self,
        registration: &PkaRegistration,
    ) -> Result<PkaStatus, RegistrationError> {
        self.session.register_custodian(registration)
    }

    /// Draws a challenge for one custodian key. The borrow keeps every other command out until it is answered.
    ///
    /// # Errors
    /// Not a custodian of this HSM, or a command failed.
    pub fn challenge(&mut self, custodian: &Reference) -> Result<PendingChallenge<'_, T>, QuorumError> {
        self.session.challenge(custodian)
    }

    /// Unlocks the token by its user PIN.
    ///
    /// # Errors
    /// [`Error::WrongPin`], [`Error::PinBlocked`] and others; [`Error::NotAuthenticated`] when the token wants its
    /// quorum as well, which is then to be completed before [`Self::into_authenticated_by_quorum`].
    pub fn verify_pin(mut self, pin: &Pin) -> Result<Authenticated<T>, Failed<Self>> {
        let verified = self.session.verify_pin(pin).and_then(|()| {
            if self
                .options()
                .is_some_and(|options| options.contains(InitializeOptions::PIN_AND_PUBLIC_KEYS))
            {
                self.session.require_answers()
            } else {
                Ok(())
            }
        });
        match verified {
            Ok(()) => Ok(Authenticated {
                session: self.session,
            }),
            Err(error) => Err(Failed { card: self, error }),
        }
    }

    /// Goes on once enough custodians have answered.
    ///
    /// # Errors
    /// [`QuorumError::Open`] with the count, [`QuorumError::PinMissing`] when the user PIN is needed as well.
    pub fn into_authenticated_by_quorum(mut self) -> Result<Authenticated<T>, Failed<Self, QuorumError>> {
        match self.session.require_quorum() {
            Ok(()) => Ok(Authenticated {
                session: self.session,
            }),
            Err(error) => Err(Failed { card: self, error }),
        }
    }

    /// Replaces the user PIN, or the transport PIN.
    ///
    /// # Errors
    /// As for [`Self::verify_pin`].
    pub fn change_pin(&mut self, old: &Pin, new: &Pin) -> Result<(), Error> {
        self.session.change_pin(old, new)
    }

    /// Resets the tries of the user PIN with the SO-PIN and, with `new`, sets another user PIN.
    ///
    /// # Errors
    /// [`Error::WrongSoPin`]; the token's options may not permit it.
    pub fn unblock_pin(&mut self, so_pin: &SoPin, new: Option<&Pin>) -> Result<(), Error> {
        self.session.unblock_pin(so_pin, new)
    }
}

impl<T: Transport> Authenticated<T> {
    /// Generates a key pair; the id must be free. Attest the answer before the key is used.
    ///
    /// # Errors
    /// [`Error::KeyExists`], or a command failed.
    pub fn generate(&mut self, spec: &KeySpec) -> Result<GeneratedKey, Error> {
        self.session.generate(spec)
    }

    /// One signature, one APDU. ECDSA signatures come as DER.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`], [`Error::UseNotPermitted`], [`Error::UseCounterSpent`] and others.
    pub fn sign(&mut self, id: KeyId, algorithm: Algorithm, input: &[u8]) -> Result<Vec<u8>, Error> {
        self.session.sign(id, algorithm, input)
    }

    /// Whether the key under `id` is the one of this public key: it is used once and the result checked. `false` when there
    /// is none.
    ///
    /// # Errors
    /// The key permits no use that could prove it, or a command failed.
    pub fn proves(&mut self, id: KeyId, expected: &PublicKey) -> Result<bool, Error> {
        match self.session.key_attributes(id)? {
            Some(attributes) => self.session.prove_key(id, &attributes, expected),
            None => Ok(false),
        }
    }

    /// Raw RSA decryption: cryptogram of the modulus' length to the complete block.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn decipher(&mut self, id: KeyId, cryptogram: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.session.decipher(id, Algorithm::RsaDecrypt, cryptogram)
    }

    /// ECDH with the uncompressed point `peer` (04 | x | y): the x coordinate of the shared point.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn ecdh(&mut self, id: KeyId, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.session.ecdh(id, peer)
    }

    /// The key as a blob under the KEK of its domain.
    ///
    /// # Errors
    /// The key may not be wrapped, or a command failed.
    pub fn wrap(&mut self, id: KeyId) -> Result<Vec<u8>, Error> {
        self.session.wrap(id)
    }

    /// Puts a wrapped key under a free id. The card stores the key alone: description and certificate are separate.
    ///
    /// # Errors
    /// [`Error::KeyExists`], [`Error::WrongKek`] and others.
    pub fn unwrap(&mut self, id: KeyId, blob: &[u8]) -> Result<(), Error> {
        self.session.unwrap_key(id, blob)
    }

    /// Makes a file hold exactly `content`; nothing is written when it does already.
    ///
    /// # Errors
    /// A command failed; the file may then be missing or half written.
    pub fn write_file(&mut self, fid: Fid, content: &[u8]) -> Result<(), Error> {
        self.session.replace_file(fid, content)
    }

    /// Deletes a file or, as CCxx, a key for ever; `false` when there was none.
    ///
    /// # Errors
    /// A command failed.
    pub fn delete_file(&mut self, fid: Fid) -> Result<bool, Error> {
        self.session.delete_file(fid)
    }

    /// Locks the token by selecting its application again.
    ///
    /// # Errors
    /// The link failed; the token must then be taken as still unlocked until it is reset.
    pub fn logout(self) -> Result<Selected<T>, Failed<Card<T>>> {
        self.disconnect().select()
    }
}
