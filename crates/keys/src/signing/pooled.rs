//! A key with replicas on several HSMs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chancery_api::HsmId;

use super::{Checker, KeyError, SigningKey};
use crate::{Hsm, HsmError, Pool, SignatureAlgorithm, State};

/// A key wherever it has replicas: each signature goes to the unlocked HSM with the fewest requests outstanding, and
/// to the next one when that fails or does not get on. Every signature is verified in software before it is given out.
#[derive(Clone)]
pub struct PooledKey {
    pool: Arc<Pool>,
    spki: Vec<u8>,
    checker: Result<Arc<Checker>, String>,
    key_id: u8,
    on: Vec<Replica>,
}

/// An HSM with a replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replica {
    pub(crate) hsm: HsmId,
    /// The era ([`Status::era`](crate::Status::era)) of it that the key may be used in; any, if there is none.
    pub(crate) era: Option<u64>,
}

impl PooledKey {
    pub(crate) fn new(
        pool: Arc<Pool>,
        spki: Vec<u8>,
        checker: Result<Arc<Checker>, String>,
        key_id: u8,
        on: Vec<Replica>,
    ) -> Self {
        Self {
            pool,
            spki,
            checker,
            key_id,
            on,
        }
    }

    /// The HSM with the fewest requests outstanding, of those that are open in their era and have not been tried; one that gets
    /// on, if there is one.
    fn next(&self, tried: &[HsmId]) -> Option<(Replica, Hsm)> {
        self.on
            .iter()
            .filter(|replica| !tried.contains(&replica.hsm))
            .filter_map(|replica| Some((*replica, self.pool.get(replica.hsm)?)))
            .filter(|(replica, hsm)| hsm.is_open_in(replica.era))
            .min_by_key(|(_, hsm)| (hsm.is_stalled(), hsm.outstanding()))
    }

    /// The answer of the first HSM that gives one.
    async fn sign_anywhere(
        &self,
        algorithm: SignatureAlgorithm,
        input: &[u8],
    ) -> Result<(HsmId, Vec<u8>), KeyError> {
        let mut tried = Vec::new();
        let mut failure = None;
        while let Some((Replica { hsm: id, era }, hsm)) = self.next(&tried) {
            let elsewhere = || {
                let tried: Vec<_> = tried.iter().copied().chain([id]).collect();
                self.next(&tried).is_some_and(|(_, other)| !other.is_stalled())
            };
            match hsm
                .sign_here_or(self.key_id, algorithm, input.to_vec(), era, elsewhere)
                .await
            {
                Ok(answer) => return Ok((id, answer)),
                Err(error) if !error.is_of_this_hsm_alone() => {
                    return Err(KeyError::Unavailable { source: error });
                }
                Err(error) => {
                    tracing::warn!(hsm = hsm.name(), key = self.key_id, %error, "HSM did not sign, trying another");
                    tried.push(id);
                    failure = Some(error);
                }
            }
        }
        Err(self.nobody(failure))
    }

    fn wrong(&self, id: HsmId) -> KeyError {
        let hsm = self
            .pool
            .get(id)
            .map_or_else(|| id.to_string(), |hsm| hsm.name().to_owned());
        tracing::error!(hsm, key = self.key_id, "HSM gave a wrong signature");
        KeyError::WrongSignature { hsm }
    }

    /// Why there is no HSM to ask.
    fn nobody(&self, failure: Option<HsmError>) -> KeyError {
        let attached = self
            .on
            .iter()
            .filter_map(|replica| Some((replica.era, self.pool.get(replica.hsm)?)));
        let mut locked = Vec::new();
        let mut lost = None;
        for (era, hsm) in attached {
            match hsm.state() {
                State::Lost { because, .. } => {
                    lost = Some(HsmError::Lost {
                        hsm: hsm.name().to_owned(),
                        because,
                    });
                }
                State::Unlocked { .. } if hsm.is_open_in(era) => {}
                State::Unlocked { .. } => {
                    let name = hsm.name();
                    locked.push(format!(
                        "{name} was locked meanwhile, and opened again for something else"
                    ));
                }
                state => locked.push(format!("{} is {state}", hsm.name())),
            }
        }
        match failure {
            // What failed is open, or out of reach while no other could be opened.
            Some(source)
                if locked.is_empty()
                    || !matches!(
                        source,
                        HsmError::Locked { .. } | HsmError::OpenedAnew { .. } | HsmError::Lost { .. }
                    ) =>
            {
                KeyError::Unavailable { source }
            }
            _ if !locked.is_empty() => KeyError::Locked {
                what: locked.join(", "),
            },
            _ => match lost {
                Some(source) => KeyError::Unavailable { source },
                None => KeyError::NoReplica,
            },
        }
    }
}

#[async_trait]
impl SigningKey for PooledKey {
    fn public_key(&self) -> &[u8] {
        &self.spki
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let checker = self
            .checker
            .as_ref()
            .map_err(|what| KeyError::Internal { what: what.clone() })?;
        let mut job = Message::new(checker, message);
        let (algorithm, input) = job.prepare().await?;
        let (id, signature) = self.sign_anywhere(algorithm, &input).await?;
        match job.verify(signature).await? {
            Some(signature) => Ok(signature),
            None => Err(self.wrong(id)),
        }
    }
}

/// A message on its way through hashing and verification, on another thread when they take long.
struct Message<'a> {
    checker: &'a Arc<Checker>,
    message: &'a [u8],
    /// The message once more, for the other thread.
    shared: Option<Arc<[u8]>>,
}

impl<'a> Message<'a> {
    fn new(checker: &'a Arc<Checker>, message: &'a [u8]) -> Self {
        let shared = checker.is_slow(message).then(|| Arc::from(message));
        Self {
            checker,
            message,
            shared,
        }
    }

    async fn prepare(&mut self) -> Result<(SignatureAlgorithm, Vec<u8>), KeyError> {
        match &self.shared {
            None => Ok(self.checker.prepare(self.message)),
            Some(message) => {
                let (checker, message) = (Arc::clone(self.checker), Arc::clone(message));
                elsewhere(move || checker.prepare(&message)).await
            }
        }
    }

    /// The signature, if it is one.
    async fn verify(&mut self, signature: Vec<u8>) -> Result<Option<Vec<u8>>, KeyError> {
        match &self.shared {
            None => Ok(self.checker.verify(self.message, &signature).then_some(signature)),
            Some(message) => {
                let (checker, message) = (Arc::clone(self.checker), Arc::clone(message));
                elsewhere(move || checker.verify(&message, &signature).then_some(signature)).await
            }
        }
    }
}

async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, KeyError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| KeyError::Internal {
            what: format!("a computation was broken off: {error}"),
        })
}

impl fmt::Debug for PooledKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledKey")
            .field("key_id", &self.key_id)
            .field("on", &self.on)
            .finish_non_exhaustive()
    }
}
