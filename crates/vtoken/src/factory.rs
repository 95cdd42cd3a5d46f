//! The factory of an installation: makes virtual tokens and vouches for them.
//!
//! It has a scheme root and a device issuer of its own, named after a code of six characters that is drawn once.
//! What it certifies can never pass for a genuine device: a verifier takes a `UTCHR` root for such names only.
//!
//! | file | content |
//! |---|---|
//! | `key` | the data key, sealed, see [`crate::seal`] |
//! | `root.cvc`, `issuer.cvc` | the two certificates |
//! | `keys` | `"CHVTFAC" 01`, salt (16), then sealed and bound to all the rest: private scalars of root and issuer (32 each) |

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_cvc::{
    Certificate, CertificateBody, Curve as CvCurve, CvKey, DeviceIdentity, EcDomain, EcPublicKey, KeyError,
    PublicKey, Reference, ReferenceError, Validity, VirtualCode,
};
use sha2::{Digest, Sha256};
use time::{Date, Duration};
use zeroize::Zeroizing;

use crate::cipher::{RootKey, random};
use crate::crypto::{CryptoError, Curve, EcKey};
use crate::error::{ManageError, StoreFailure};
use crate::files::{Files, RealFiles};
use crate::firmware::Firmware;
use crate::inventory::{self, TokenSummary};
use crate::name::TokenName;
use crate::seal::AtRest;
use crate::secret::SecretBytes;
use crate::state::{DeviceRecord, State};
use crate::token_dir::{self, About, Publish, Staged};

/// Makes tokens. Root and issuer keys are in memory while this lives.
pub struct Factory {
    files: Arc<dyn Files>,
    at_rest: AtRest,
    code: VirtualCode,
    root: Certificate,
    issuer: Certificate,
    issuer_key: EcKey,
}

const KEY: &str = "key";
const KEYS: &str = "keys";
const ROOT: &str = "root.cvc";
const ISSUER: &str = "issuer.cvc";
const MAGIC: &[u8; 8] = b"CHVTFAC\x01";
const SALT: usize = 16;
const SCALAR: usize = 32;
/// No file of a factory is longer, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Validity of the root, the issuer and devices, in days: about 20, 15 and 10 years.
const ROOT_DAYS: i64 = 7305;
const ISSUER_DAYS: i64 = 5479;
const DEVICE_DAYS: i64 = 3653;

impl Factory {
    /// Opens the factory in a directory, or makes one there. `today` dates a new root and issuer.
    ///
    /// # Errors
    /// [`ManageError`]: wrong passphrase or missing machine secret, altered files, the disk.
    pub fn open_or_create(directory: &Path, at_rest: &AtRest, today: Date) -> Result<Self, ManageError> {
        Self::open_or_create_on(Arc::new(RealFiles), directory, at_rest, today)
    }

    /// As [`Factory::open_or_create`], on other files than the machine's.
    ///
    /// # Errors
    /// As there.
    pub fn open_or_create_on(
        files: Arc<dyn Files>,
        directory: &Path,
        at_rest: &AtRest,
        today: Date,
    ) -> Result<Self, ManageError> {
        if let Some(factory) = Self::open(&files, directory, at_rest)? {
            return Ok(factory);
        }
        let new = Issuers::generate(today)?;
        let parent = token_dir::parent_of(directory);
        token_dir::ensure_directory(files.as_ref(), parent)?;
        token_dir::sweep(files.as_ref(), parent);
        let staged = Staged::new(files.as_ref(), parent)?;
        let key = RootKey::random()?;
        staged.write(KEY, &at_rest.seal(&key)?)?;
        staged.write(ROOT, new.root.as_bytes())?;
        staged.write(ISSUER, new.issuer.as_bytes())?;
        staged.write(KEYS, &new.seal(&key)?)?;
        match staged.publish(directory) {
            Ok(()) => {}
            // Another process was faster; both go on with that one.
            Err(Publish::Taken) => {}
            Err(Publish::Store(failure)) => return Err(failure.into()),
        }
        Self::open(&files, directory, at_rest)?.ok_or_else(|| ManageError::Damaged {
            file: directory.to_owned(),
            reason: "the factory just made is not there".to_owned(),
        })
    }

    /// The six base-32 characters that tell this installation's virtual tokens from another's.
    #[must_use]
    pub fn code(&self) -> VirtualCode {
        self.code
    }

    /// Certificate of the scheme root, a whole `7F21` TLV: what a verifier needs to know of this installation.
    #[must_use]
    pub fn root_certificate(&self) -> &[u8] {
        self.root.as_bytes()
    }

    /// Certificate of the device issuer, a whole `7F21` TLV.
    #[must_use]
    pub fn issuer_certificate(&self) -> &[u8] {
        self.issuer.as_bytes()
    }

    /// Makes a token with the latest firmware: device key on brainpoolP256r1, device certificate dated `today`, keys at
    /// rest sealed as the factory's own. The token appears whole or not at all.
    ///
    /// # Errors
    /// [`ManageError::NameTaken`], and as [`Factory::open_or_create`].
    pub fn create(
        &self,
        tokens_dir: &Path,
        name: &TokenName,
        today: Date,
    ) -> Result<TokenSummary, ManageError> {
        self.create_with(tokens_dir, name, today, Firmware::default())
    }

    /// As [`Factory::create`], with this firmware.
    ///
    /// # Errors
    /// As there.
    pub fn create_with(
        &self,
        tokens_dir: &Path,
        name: &TokenName,
        today: Date,
        firmware: Firmware,
    ) -> Result<TokenSummary, ManageError> {
        let others = inventory::list_on(self.files.as_ref(), tokens_dir)?;
        if others.iter().any(|token| token.name == *name) {
            return Err(ManageError::NameTaken(name.clone()));
        }
        let chr = loop {
            let chr = named(VirtualCode::from_random(random()?).device_name())?;
            if others.iter().all(|token| token.device_id != chr.as_str()) {
                break chr;
            }
        };
        let refused = |source| refused(&chr, source);
        let key = EcKey::generate(Curve::Brainpool256).map_err(|error| refused(error.into()))?;
        let public = cv_key(&key).map_err(refused)?;
        let body = CertificateBody::device(
            self.issuer.body().chr(),
            &chr,
            &public,
            validity(today, DEVICE_DAYS)?,
        );
        let certificate = certify(body, &self.issuer_key).map_err(refused)?;
        let device = DeviceRecord {
            private_key: SecretBytes::new(key.scalar().map_err(|error| refused(error.into()))?),
            chr: chr.as_str().to_owned(),
            certificates: [certificate.as_bytes(), self.issuer.as_bytes()].concat(),
        };
        let about = About {
            device_id: chr.clone(),
            created: today,
        };
        let made = State {
            device,
            firmware,
            ..State::default()
        };
        token_dir::create(&self.files, tokens_dir, name, &self.at_rest, &made, &about)?;
        Ok(TokenSummary {
            name: name.clone(),
            device_id: chr.to_string(),
            created: today,
            in_use_by: None,
        })
    }

    /// Vouches for a virtual token that another factory made: a device certificate of its key by this factory's issuer, dated `today`,
    /// and the issuer's own, as EF 2F02 has them. The token itself is not touched, and its keys stay where they are. Whoever asks makes
    /// sure that the name is no other token's here.
    ///
    /// # Errors
    /// [`ManageError::Certificate`] when the name is not that of a virtual token.
    pub fn vouch_for(&self, device: &DeviceIdentity, today: Date) -> Result<Vec<u8>, ManageError> {
        let chr = device.name();
        if VirtualCode::of_device(chr).is_none() {
            return Err(refused(chr, IssueError::NotVirtual));
        }
        let body = CertificateBody::device(
            self.issuer.body().chr(),
            chr,
            device.key(),
            validity(today, DEVICE_DAYS)?,
        );
        let certificate = certify(body, &self.issuer_key).map_err(|source| refused(chr, source))?;
        Ok([certificate.as_bytes(), self.issuer.as_bytes()].concat())
    }

    fn open(files: &Arc<dyn Files>, directory: &Path, at_rest: &AtRest) -> Result<Option<Self>, ManageError> {
        let read = |name: &str| {
            let path = directory.join(name);
            files
                .read(&path, LIMIT)
                .map_err(StoreFailure::doing("read", &path))
        };
        match files.list(directory) {
            Ok(names) if names.is_empty() => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            listed => listed.map_err(StoreFailure::doing("list", directory))?,
        };
        // Whoever made it may have died before its name was durable.
        let parent = token_dir::parent_of(directory);
        files
            .sync_dir(parent)
            .map_err(StoreFailure::doing("sync", parent))?;
        let key = at_rest.unseal(&read(KEY)?)?;
        let (root, issuer) = (read(ROOT)?, read(ISSUER)?);
        let issuer_key = open_issuer_key(&key, &read(KEYS)?, &root, &issuer)
            .map_err(|reason| damaged(directory.join(KEYS), reason))?;
        let certificate = |name: &str, bytes: &[u8]| {
            Certificate::parse(bytes).map_err(|error| damaged(directory.join(name), error.to_string()))
        };
        let root = certificate(ROOT, &root)?;
        let code = VirtualCode::of_root(root.body().chr())
            .ok_or_else(|| damaged(directory.join(ROOT), "not the root of a factory"))?;
        Ok(Some(Self {
            files: Arc::clone(files),
            at_rest: at_rest.clone(),
            code,
            root,
            issuer: certificate(ISSUER, &issuer)?,
            issuer_key,
        }))
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Factory({})", self.code)
    }
}

/// A new root and issuer.
struct Issuers {
    root: Certificate,
    root_key: EcKey,
    issuer: Certificate,
    issuer_key: EcKey,
}

impl Issuers {
    fn generate(today: Date) -> Result<Self, ManageError> {
        let code = VirtualCode::from_random(random()?);
        let (root_name, issuer_name) = (named(code.root_name())?, named(code.issuer_name())?);
        let generate = |name: &Reference| {
            let key = EcKey::generate(Curve::Brainpool256).map_err(|error| refused(name, error.into()))?;
            let public = cv_key(&key).map_err(|error| refused(name, error))?;
            Ok::<_, ManageError>((key, public))
        };
        let (root_key, root_public) = generate(&root_name)?;
        let (issuer_key, issuer_public) = generate(&issuer_name)?;
        let root = CertificateBody::root(&root_name, root_public, validity(today, ROOT_DAYS)?)
            .map_err(IssueError::from)
            .and_then(|body| certify(body, &root_key))
            .map_err(|error| refused(&root_name, error))?;
        let body = CertificateBody::issuer(
            &root_name,
            &issuer_name,
            &issuer_public,
            validity(today, ISSUER_DAYS)?,
        );
        let issuer = certify(body, &root_key).map_err(|error| refused(&issuer_name, error))?;
        Ok(Self {
            root,
            root_key,
            issuer,
            issuer_key,
        })
    }

    fn seal(&self, key: &RootKey) -> Result<Vec<u8>, ManageError> {
        let salt: [u8; SALT] = random()?;
        let mut scalars = Zeroizing::new(Vec::with_capacity(2 * SCALAR));
        for (key, certificate) in [(&self.root_key, &self.root), (&self.issuer_key, &self.issuer)] {
            let scalar = key
                .scalar()
                .map_err(|error| refused(certificate.body().chr(), error.into()))?;
            scalars.extend_from_slice(&scalar);
        }
        let sealed = key.cipher(&salt, "factory keys")?.seal(
            &factory_binding(self.root.as_bytes(), self.issuer.as_bytes()),
            &scalars,
        )?;
        Ok([MAGIC.as_slice(), &salt, &sealed].concat())
    }
}

fn open_issuer_key(key: &RootKey, file: &[u8], root: &[u8], issuer: &[u8]) -> Result<EcKey, &'static str> {
    const ALTERED: &str = "it, or one of the certificates, was altered";
    let (magic, rest) = file.split_first_chunk::<8>().ok_or("it is too short")?;
    if magic != MAGIC {
        return Err("it is not the keys of a factory, or a later version's");
    }
    let (salt, sealed) = rest.split_first_chunk::<SALT>().ok_or("it is too short")?;
    let scalars = key
        .cipher(salt, "factory keys")
        .map_err(|_| "the cryptographic library failed")?
        .open(&factory_binding(root, issuer), sealed)
        .ok_or(ALTERED)?;
    let scalar = scalars.get(SCALAR..2 * SCALAR).ok_or("it is too short")?;
    EcKey::from_scalar(Curve::Brainpool256, scalar, None).map_err(|_| ALTERED)
}

fn factory_binding(root: &[u8], issuer: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), &Sha256::digest(root), &Sha256::digest(issuer)].concat()
}

/// Why a certificate could not be issued; shown as the source of [`ManageError::Certificate`].
#[derive(Debug, thiserror::Error)]
enum IssueError {
    #[error("only virtual tokens are vouched for")]
    NotVirtual,
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Build(#[from] chancery_cvc::BuildError<CryptoError>),
}

fn refused(subject: &Reference, source: IssueError) -> ManageError {
    ManageError::Certificate {
        subject: subject.to_string(),
        source: Box::new(source),
    }
}

fn named(name: Result<Reference, ReferenceError>) -> Result<Reference, ManageError> {
    name.map_err(|source| ManageError::Certificate {
        subject: "a virtual token".to_owned(),
        source: Box::new(source),
    })
}

fn cv_key(key: &EcKey) -> Result<CvKey, IssueError> {
    let domain = EcDomain::Named(CvCurve::BrainpoolP256r1);
    let public = EcPublicKey::new(domain, &key.public_point()?)?;
    Ok(CvKey::with_sha256(PublicKey::Ec(public)))
}

fn certify(body: CertificateBody, issuer: &EcKey) -> Result<Certificate, IssueError> {
    Ok(body.sign(|signed| issuer.sign_hash_plain(&Sha256::digest(signed)))?)
}

fn validity(today: Date, days: i64) -> Result<Validity, ManageError> {
    today
        .checked_add(Duration::days(days))
        .and_then(|end| Validity::new(today, end))
        .ok_or(ManageError::Date(today))
}

fn damaged(file: PathBuf, reason: impl Into<String>) -> ManageError {
    ManageError::Damaged {
        file,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests;
