//! A signer of a node, or all of them, as a slot.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chancery_api::{DigestValue, FailureKind, Hash32, LeaseId, Mechanism, SigningSign};
use chancery_client::ClientError;
use cryptoki_sys as ck;

use super::{
    Teller,
    config::{Beyond, NodeConfig, Wait},
    keys::{Key, Keys},
    objects, signing,
    wait::Asking,
    words,
};
use crate::{
    error::{Code, Error, Result},
    mechanism::Offer,
    public_key::PublicKey,
    slot::{
        Decipher, Manage, Object, ObjectId, Pin, SignInput, Slot, SlotDescription, TokenDescription, User,
        Wanted,
    },
    token::{Verdict, check},
};

/// See the module.
pub struct NodeSlot {
    keys: Arc<Keys>,
    config: Arc<NodeConfig>,
    teller: Arc<Teller>,
    /// The signer; all of them when there is none.
    signer: Option<String>,
    label: String,
    /// Whether this process has been given a lease.
    has_asked: AtomicBool,
    /// What custodians did not permit last.
    refused: Mutex<Option<Refused>>,
    closed: AtomicBool,
}

/// What was asked for and not given.
struct Refused {
    at: Instant,
    key: Hash32,
    mechanism: Mechanism,
    digest: DigestValue,
    error: Error,
}

/// Most bytes of a label.
const LONGEST_LABEL: usize = 32;
/// A program that tries another function with what was just refused gets the same answer, and custodians are not asked again.
const SAME_ATTEMPT: Duration = Duration::from_secs(10);
/// How often a signature is tried: HSMs may be lost between the custodians' answers and the signature.
const TRIES: usize = 5;

impl NodeSlot {
    pub(super) fn new(
        keys: Arc<Keys>,
        config: Arc<NodeConfig>,
        teller: Arc<Teller>,
        signer: Option<String>,
    ) -> Self {
        let label = signer.clone().or_else(|| config.label.clone());
        Self {
            label: label.unwrap_or_else(|| "chancery".to_owned()),
            keys,
            config,
            teller,
            signer,
            has_asked: AtomicBool::new(false),
            refused: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether a signer is shown here.
    fn shows(&self, key: &Key) -> bool {
        match &self.signer {
            Some(signer) => key.name == *signer,
            None => self.config.signers.is_empty() || self.config.signers.contains(&key.name),
        }
    }

    /// Of a signer it is made of its key, of a node of its address.
    fn serial(&self) -> String {
        let known = self.keys.known();
        let hash = match (&self.signer, known.iter().find(|key| self.shows(key))) {
            (Some(_), Some(key)) => key.hash,
            _ => Hash32::of(self.config.url.as_bytes()),
        };
        hash.to_string().chars().take(16).collect()
    }

    /// Asks custodians, and waits.
    fn ask(
        &self,
        signer: &str,
        mechanism: Mechanism,
        digests: Vec<DigestValue>,
        further: u64,
    ) -> Result<LeaseId> {
        let asking = Asking {
            calls: self.keys.calls(),
            teller: &self.teller,
            config: &self.config,
            signer,
            serial: &self.serial(),
            mechanism,
            digests,
            further,
            closed: &self.closed,
        };
        let lease = asking.lease()?;
        self.has_asked.store(true, Ordering::Release);
        Ok(lease)
    }

    /// Asks for one digest, and as many more as are configured.
    fn ask_for(&self, key: &Key, mechanism: Mechanism, digest: &DigestValue) -> Result<LeaseId> {
        let refused = || self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*refused()
            && last.at.elapsed() < SAME_ATTEMPT
            && (last.key, last.mechanism, &last.digest) == (key.hash, mechanism, digest)
        {
            return Err(last.error.clone());
        }
        let asked = self.ask(&key.name, mechanism, vec![digest.clone()], self.config.count - 1);
        if let Err(error) = &asked
            && error.code() == Code::FUNCTION_CANCELED
        {
            *refused() = Some(Refused {
                at: Instant::now(),
                key: key.hash,
                mechanism,
                digest: digest.clone(),
                error: error.clone(),
            });
        }
        asked
    }

    /// Whether custodians are asked for what the node does not sign for this reason.
    fn asks_for(&self, code: &str) -> bool {
        match (code, self.config.wait) {
            // They were asked before, and their HSMs were locked or lost since.
            ("quorum", _) => true,
            ("lease" | "lease-over", Wait::Sign) => true,
            // A number is a limit for the process that was given it, not for the next one.
            ("lease-manifest" | "lease-spent", Wait::Sign) => {
                let has_its_own = self.config.count == 1 || self.has_asked.load(Ordering::Acquire);
                self.config.beyond == Beyond::Ask || !has_its_own
            }
            _ => false,
        }
    }

    fn key(&self, id: ObjectId) -> Result<(Arc<[Key]>, usize)> {
        let known = self.keys.known();
        let at = known.iter().position(|key| self.shows(key) && key.is(id));
        at.map(|at| (known, at))
            .ok_or_else(|| Code::KEY_HANDLE_INVALID.into())
    }

    fn sign_digest(&self, key: &Key, mechanism: Mechanism, digest: &DigestValue) -> Result<Vec<u8>> {
        let mut lease = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let call = SigningSign {
                signer: key.name.clone(),
                mechanism,
                digests: vec![digest.clone()],
                lease,
                idempotency_key: None,
            };
            let error = match self.keys.calls().sign(&call) {
                Ok(signatures) => {
                    let made = signatures.into_iter().find(|made| made.digest == *digest);
                    let made = made.ok_or_else(|| {
                        Code::DEVICE_ERROR
                            .because(format!("{}: the node answered without a signature", key.name))
                    })?;
                    return Ok(made.signature.0);
                }
                Err(error) => error,
            };
            match error {
                ClientError::Failed(failure) if failure.kind == FailureKind::Blocked => {
                    let code = failure
                        .unmet
                        .first()
                        .map_or("", |condition| condition.code.as_str());
                    if tries < TRIES && self.asks_for(code) {
                        lease = Some(self.ask_for(key, mechanism, digest)?);
                        continue;
                    }
                    let mut reason = words::blocked(&key.name, &failure);
                    if let (Wait::Login, Mechanism::RsaPss) = (self.config.wait, mechanism)
                        && self.config.mechanism != mechanism
                    {
                        reason.push_str("; for RSASSA-PSS with wait = \"login\" set mechanism = \"rsa-pss\"");
                    }
                    self.teller.log(&reason);
                    return Err(match code {
                        "lease" | "lease-over" => Code::USER_NOT_LOGGED_IN.because(reason),
                        _ => Code::FUNCTION_CANCELED.because(reason),
                    });
                }
                // The same digest is signed once, however often it is asked for.
                error if error.is_passing() && tries < TRIES.min(2) => {}
                error => {
                    let reason = words::failed(&key.name, error);
                    self.teller.log(&reason);
                    return Err(Code::DEVICE_ERROR.because(reason));
                }
            }
        }
    }

    /// The signer a login is for.
    fn login_key(&self) -> Result<(String, Mechanism)> {
        let keys = self
            .keys
            .fresh()
            .map_err(|reason| Code::DEVICE_ERROR.because(reason))?;
        let key = keys.iter().find(|key| self.shows(key));
        let key = key.ok_or_else(|| {
            Code::TOKEN_NOT_PRESENT.because(format!("the node has no signer {} for this client", self.label))
        })?;
        Ok((key.name.clone(), key.mechanism(self.config.mechanism)))
    }
}

impl Slot for NodeSlot {
    fn description(&self) -> SlotDescription {
        let node = self.keys.calls().name();
        let what = match &self.signer {
            Some(signer) => format!("signer {signer} of {node}"),
            None => format!("signers of {node}"),
        };
        SlotDescription {
            description: cut(&what, 64),
            manufacturer: "Chancery".to_owned(),
            removable: true,
            hardware: false,
        }
    }

    fn is_present(&self) -> bool {
        self.keys.known().iter().any(|key| self.shows(key))
    }

    fn token(&self) -> Result<TokenDescription> {
        if !self.is_present() {
            return Err(Code::TOKEN_NOT_PRESENT.into());
        }
        Ok(TokenDescription {
            label: cut(&self.label, LONGEST_LABEL),
            manufacturer: "Chancery".to_owned(),
            model: "Quorum".to_owned(),
            serial: self.serial(),
            flags: ck::CKF_TOKEN_INITIALIZED
                | ck::CKF_USER_PIN_INITIALIZED
                | ck::CKF_LOGIN_REQUIRED
                | ck::CKF_PROTECTED_AUTHENTICATION_PATH
                | ck::CKF_WRITE_PROTECTED,
            pin_length: (0, 255),
            firmware: (0, 0),
        })
    }

    fn mechanisms(&self) -> Vec<Offer> {
        let known = self.keys.known();
        let keys = known.iter().filter(|key| self.shows(key)).map(|key| &key.public);
        objects::mechanisms(keys, self.config.prehashed)
    }

    /// Any PIN is ignored: custodians let a program sign, nobody else.
    fn login(&self, user: User, _pin: Option<&Pin>, _key: Option<ObjectId>) -> Result<()> {
        match (user, self.config.wait) {
            (User::SecurityOfficer, _) => Err(Code::USER_TYPE_INVALID.into()),
            (User::Context, _) | (User::User, Wait::Sign) => Ok(()),
            (User::User, Wait::Login) => {
                let (signer, mechanism) = self.login_key()?;
                self.ask(&signer, mechanism, Vec::new(), self.config.count)
                    .map(drop)
            }
        }
    }

    /// What lets a program sign is the lease, which outlives sessions and processes.
    fn logout(&self) {}

    fn objects(&self, wanted: &Wanted) -> Result<Vec<Arc<Object>>> {
        let keys = self
            .keys
            .fresh()
            .map_err(|reason| Code::DEVICE_ERROR.because(reason))?;
        let shown = keys
            .iter()
            .filter(|key| self.shows(key))
            .flat_map(|key| &key.objects);
        Ok(shown
            .filter(|object| wanted.private || !object.is_private())
            .filter(|object| wanted.only.is_none_or(|only| only == object.id))
            .filter(|object| wanted.class.is_none() || object.class() == wanted.class)
            .map(Arc::clone)
            .collect())
    }

    fn sign(&self, key: ObjectId, input: &SignInput<'_>) -> Result<Vec<u8>> {
        let (keys, at) = self.key(key)?;
        let key = keys.get(at).ok_or(Code::KEY_HANDLE_INVALID)?;
        let (mechanism, digest) = signing::digest(input)?;
        let fits = match &key.public {
            PublicKey::Rsa { .. } => mechanism != Mechanism::Ecdsa,
            PublicKey::Ec { .. } => mechanism == Mechanism::Ecdsa,
        };
        if !fits {
            return Err(Code::KEY_TYPE_INCONSISTENT.into());
        }
        let signature = self.sign_digest(key, mechanism, &digest)?;
        // A node that was tampered with must not have a program ship something that nobody can verify.
        if signature.len() != key.public.signature_length()
            || check(&key.public, input, &signature) == Verdict::Wrong
        {
            return Err(Code::DEVICE_ERROR.because(format!(
                "{}: the node gave a signature that is not of this key",
                key.name
            )));
        }
        Ok(signature)
    }

    /// Of this machine.
    fn random(&self, out: &mut [u8]) -> Result<()> {
        aws_lc_rs::rand::fill(out).map_err(|_| Code::GENERAL_ERROR.into())
    }

    fn decipher(&self) -> Option<&dyn Decipher> {
        None
    }

    fn manage(&self) -> Option<&dyn Manage> {
        None
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for NodeSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeSlot({})", self.label)
    }
}

/// At most so many bytes, whole characters.
fn cut(text: &str, longest: usize) -> String {
    let fits = |(at, c): &(usize, char)| at + c.len_utf8() <= longest;
    text.char_indices().take_while(fits).map(|(_, c)| c).collect()
}
