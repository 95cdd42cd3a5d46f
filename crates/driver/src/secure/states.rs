//! Tokens that are reached through a channel.

use chancery_cvc::{AttestedKey, DeviceIdentity};
use chancery_iso7816::Transport;

use super::channel::SecureChannel;
use super::error::ChannelError;
use super::record::ChannelRecord;
use crate::attest::{self, AttestError};
use crate::card::{Authenticated, Selected};
use crate::error::Failed;
use crate::key::{GeneratedKey, KeySpec};
use crate::link::{Limits, Link};
use crate::session::{Session, sealed::HasSession};

/// What protection adds to a command at most: padding, the headers of the cryptogram, Le, authentication code, and the
/// extended length fields.
pub(crate) const OVERHEAD: usize = 16 + 5 + 4 + 10 + 5;

macro_rules! secured {
    ($state:ident) => {
        impl<T: Transport> $state<T> {
            /// Goes on through a secure channel. Who the token is must have been verified before, and the token shows
            /// now that it has the private key.
            ///
            /// # Errors
            /// [`ChannelError`], and the token back.
            pub fn secured(
                self,
                device: &DeviceIdentity,
            ) -> Result<$state<SecureChannel<T>>, Failed<Self, ChannelError>> {
                through(self.into_session(), |transport| {
                    SecureChannel::open(transport, device)
                })
                .map($state::from_session)
                .map_err(|failed| Failed {
                    card: Self::from_session(failed.card),
                    error: failed.error,
                })
            }
        }

        impl<T: Transport> $state<SecureChannel<T>> {
            /// The channel: whether it was lost, and how.
            pub fn channel(&mut self) -> &mut SecureChannel<T> {
                self.session().link.transport()
            }

            /// Goes on without the channel. A token may end with it a login by PIN that was made through it; its next
            /// command is then refused.
            #[must_use]
            pub fn unsecured(self) -> $state<T> {
                let (session, ()) = without(self.into_session(), |_| ());
                $state::from_session(session)
            }
        }
    };
}

secured!(Selected);
secured!(Authenticated);

/// A key that was generated through a channel, with the record of it.
#[derive(Debug)]
pub struct RecordedKey {
    /// The key.
    pub key: GeneratedKey,
    /// Its origin.
    pub attested: AttestedKey,
    /// What passed through the channel: the generation, and what the token then said of the key and its domain.
    pub record: ChannelRecord,
}

/// A key that was not generated through a channel, or is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There was no channel; nothing was generated.
    #[error("no secure channel")]
    Channel(#[from] ChannelError),
    /// Generating or attesting failed.
    #[error(transparent)]
    Attest(#[from] AttestError),
}

impl<T: Transport> Authenticated<T> {
    /// Generates a key as the first command of a secure channel, attests it, and has the token say through the channel
    /// what it knows of the key and of its key domain. The channel is closed afterwards.
    ///
    /// The record shows to who held the channel, this process, with which attributes the key was asked for: algorithm
    /// list, key domain, use counter.
    ///
    /// # Errors
    /// [`RecordError`], and the token back. A key that was generated and is not attested is deleted again, unless the
    /// channel or the link was lost.
    pub fn generate_recorded(
        self,
        spec: &KeySpec,
        device: &DeviceIdentity,
    ) -> Result<(Self, RecordedKey), Failed<Self, RecordError>> {
        let secured = through(self.into_session(), |transport| {
            SecureChannel::open_recorded(transport, device)
        });
        let mut session = match secured {
            Ok(session) => session,
            Err(failed) => {
                return Err(Failed {
                    card: Self::from_session(failed.card),
                    error: failed.error.into(),
                });
            }
        };
        let generated = generate(&mut session, spec, device);
        let (session, record) = without(session, SecureChannel::take_record);
        let card = Self::from_session(session);
        match (generated, record) {
            (Ok((key, attested)), Some(record)) => Ok((
                card,
                RecordedKey {
                    key,
                    attested,
                    record,
                },
            )),
            (Err(error), _) => Err(Failed {
                card,
                error: error.into(),
            }),
            (Ok(_), None) => Err(Failed {
                card,
                error: ChannelError::Answer.into(),
            }),
        }
    }
}

fn generate<T: Transport>(
    session: &mut Session<SecureChannel<T>>,
    spec: &KeySpec,
    device: &DeviceIdentity,
) -> Result<(GeneratedKey, AttestedKey), AttestError> {
    let generated = session.generate(spec)?;
    let attested = match attest::verify(&generated, spec, device) {
        Ok(attested) => attested,
        Err(error) => {
            session.delete_file(chancery_schsm::fid::key(spec.id))?;
            session.delete_file(chancery_schsm::fid::certificate(spec.id))?;
            return Err(error);
        }
    };
    let attributes = session.key_attributes(spec.id)?.unwrap_or_default();
    session.key_domain(attributes.key_domain.or(spec.key_domain).unwrap_or(0))?;
    Ok((generated, attested))
}

/// The same session over another transport, with room for what protection adds.
fn through<T: Transport, E>(
    session: Session<T>,
    open: impl FnOnce(T) -> Result<SecureChannel<T>, Failed<T, E>>,
) -> Result<Session<SecureChannel<T>>, Failed<Session<T>, E>> {
    let (limits, info, registered) = (session.link.limits(), session.info, session.registered);
    match open(session.link.into_transport()) {
        Ok(channel) => Ok(Session {
            link: Link::new(channel, limits.within_channel()),
            info,
            registered,
        }),
        Err(failed) => Err(Failed {
            card: Session {
                link: Link::new(failed.card, limits),
                info,
                registered,
            },
            error: failed.error,
        }),
    }
}

fn without<T: Transport, R>(
    session: Session<SecureChannel<T>>,
    last: impl FnOnce(&mut SecureChannel<T>) -> R,
) -> (Session<T>, R) {
    let limits = session.link.limits();
    let wider = Limits {
        max_command: limits.max_command.saturating_add(OVERHEAD),
        ..limits
    };
    let mut channel = session.link.into_transport();
    let result = last(&mut channel);
    let session = Session {
        link: Link::new(channel.into_inner(), wider),
        info: session.info,
        registered: session.registered,
    };
    (session, result)
}
