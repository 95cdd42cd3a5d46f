//! Key and certificate of one end of a connection: made here, or given as files.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use chancery_api::Hash32;
use openssl::{
    asn1::Asn1Time,
    bn::{BigNum, MsbOption},
    ec::{EcGroup, EcKey},
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509, X509Name,
        extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName},
    },
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why there is no key or certificate to use.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The disk.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Others may read the key.
    #[error("{0} can be read by others (mode {mode:04o}): chmod 600 {0}", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that holds something else.
    #[error("{} holds no {what}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The certificate made before does not name a host.
    #[error("certificate {} does not name {name}: clients that trust it as it is would have to be given another; remove it to have one made for the same key", .path.display())]
    Name {
        /// The certificate.
        path: PathBuf,
        /// The host.
        name: String,
    },
    /// Key and certificate do not belong together.
    #[error("key {} and certificate {} do not belong together", .key.display(), .certificate.display())]
    Pair {
        /// The key.
        key: PathBuf,
        /// The certificate.
        certificate: PathBuf,
    },
    /// The crypto library.
    #[error("cannot make a key and a certificate")]
    Make(#[from] ErrorStack),
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// The node.
    Node,
    /// A client of it.
    Client,
}

/// A key and a certificate that were just made, PEM.
pub struct Made {
    /// Private key, PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
    /// Certificate, self-signed.
    pub certificate: Vec<u8>,
}

impl Made {
    /// SHA-256 of its SubjectPublicKeyInfo (DER).
    ///
    /// # Errors
    /// [`IdentityError::Make`].
    pub fn hash(&self) -> Result<Hash32, IdentityError> {
        let spki = X509::from_pem(&self.certificate)?
            .public_key()?
            .public_key_to_der()?;
        Ok(Hash32::of(&spki))
    }
}

/// Days a certificate lasts that is made here. Both ends trust the key in it, or this very certificate; its end only says when
/// somebody should think about it again.
const DAYS: u32 = 20 * 365;

/// Makes a P-256 key and a self-signed certificate of it (X.509 version 3, ECDSA with SHA-256). The first of `names` is the
/// subject's common name; all of them are names of the host, addresses too.
///
/// # Errors
/// [`IdentityError::Make`].
pub fn make(usage: Usage, names: &[String]) -> Result<Made, IdentityError> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let certificate = certify(&key, usage, names)?;
    Ok(Made {
        key: Zeroizing::new(key.private_key_to_pem_pkcs8()?),
        certificate: certificate.to_pem()?,
    })
}

fn certify(key: &PKey<Private>, usage: Usage, names: &[String]) -> Result<X509, ErrorStack> {
    let mut subject = X509Name::builder()?;
    let common = names.first().map_or("chancery", String::as_str);
    // A common name has at most 64 characters (RFC 5280 appendix A.1).
    let common: String = common.chars().take(64).collect();
    subject.append_entry_by_nid(Nid::COMMONNAME, &common)?;
    let subject = subject.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(DAYS)?)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    let purpose = match usage {
        Usage::Node => ExtendedKeyUsage::new().server_auth().build()?,
        Usage::Client => ExtendedKeyUsage::new().client_auth().build()?,
    };
    builder.append_extension(purpose)?;
    if usage == Usage::Node && !names.is_empty() {
        let mut hosts = SubjectAlternativeName::new();
        for name in names {
            if name.parse::<IpAddr>().is_ok() {
                hosts.ip(name);
            } else {
                hosts.dns(name);
            }
        }
        let hosts = hosts.build(&builder.x509v3_context(None, None))?;
        builder.append_extension(hosts)?;
    }
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// What a node shows in a TLS handshake.
pub struct NodeIdentity {
    key: PrivateKeyDer<'static>,
    certificates: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeIdentity(..)")
    }
}

/// The node's own key in its directory.
const KEY: &str = "node.key";
/// The node's own certificate in its directory: clients are given it.
const CERTIFICATE: &str = "node.pem";

impl NodeIdentity {
    /// The identity in a directory of the node's: `node.key` (mode 0600) and `node.pem`, made for these host names when they are
    /// missing. `names` that `asked` does not hold are put into a new certificate, and an old one need not have them.
    ///
    /// # Errors
    /// [`IdentityError::Name`] when the certificate that is there lacks a name that is asked for; [`IdentityError`] otherwise
    /// when the files cannot be used.
    pub fn open_or_create(
        directory: &Path,
        names: &[String],
        asked: &[String],
    ) -> Result<Self, IdentityError> {
        let (key, certificate) = (directory.join(KEY), directory.join(CERTIFICATE));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(doing("make", directory))?;
        let (has_key, has_certificate) = (exists(&key)?, exists(&certificate)?);
        if has_key && has_certificate {
            refuse_exposed(&key)?;
            let text = fs::read(&certificate).map_err(doing("read", &certificate))?;
            let found = X509::from_pem(&text).map_err(|_| IdentityError::Content {
                path: certificate.clone(),
                what: "certificate",
            })?;
            for name in asked {
                if !names_host(&found, name) {
                    return Err(IdentityError::Name {
                        path: certificate,
                        name: name.clone(),
                    });
                }
            }
        } else if has_key {
            refuse_exposed(&key)?;
            let text = Zeroizing::new(fs::read(&key).map_err(doing("read", &key))?);
            let private = PKey::private_key_from_pem(&text).map_err(|_| IdentityError::Content {
                path: key.clone(),
                what: "private key",
            })?;
            let made = certify(&private, Usage::Node, &all(names, asked))?.to_pem()?;
            create(&certificate, &made, 0o644)?;
        } else {
            let made = make(Usage::Node, &all(names, asked))?;
            create(&key, &made.key, 0o600)?;
            create(&certificate, &made.certificate, 0o644)?;
        }
        Self::from_files(&certificate, &key)
    }

    /// A certificate, with its chain if it has one, and its key, PEM.
    ///
    /// # Errors
    /// When they cannot be read or do not belong together.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let content = |path: &Path, what| IdentityError::Content {
            path: path.to_owned(),
            what,
        };
        let text = fs::read(certificate).map_err(doing("read", certificate))?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|_| content(certificate, "certificate"))?;
        let first = certificates
            .first()
            .and_then(|first| X509::from_der(first).ok())
            .ok_or_else(|| content(certificate, "certificate"))?;
        let text = Zeroizing::new(fs::read(key).map_err(doing("read", key))?);
        let private = PKey::private_key_from_pem_callback(&text, |_| Ok(0))
            .map_err(|_| content(key, "private key without a passphrase"))?;
        if !first.public_key().is_ok_and(|public| public.public_eq(&private)) {
            return Err(IdentityError::Pair {
                key: key.to_owned(),
                certificate: certificate.to_owned(),
            });
        }
        let private = Zeroizing::new(private.private_key_to_pem_pkcs8()?);
        let key = PrivateKeyDer::from_pem_slice(&private).map_err(|_| content(key, "private key"))?;
        Ok(Self { key, certificates })
    }

    pub(crate) fn into_parts(self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.certificates, self.key)
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self {
            key: self.key.clone_key(),
            certificates: self.certificates.clone(),
        }
    }
}

fn all(names: &[String], asked: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in asked.iter().chain(names) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

fn names_host(certificate: &X509, name: &str) -> bool {
    let address = name.parse::<IpAddr>().map(|address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    });
    certificate.subject_alt_names().is_some_and(|names| {
        names.iter().any(|found| match &address {
            Ok(address) => found.ipaddress() == Some(address.as_slice()),
            Err(_) => found
                .dnsname()
                .is_some_and(|found| found.eq_ignore_ascii_case(name)),
        })
    })
}

/// Writes a new file, whole and durable before it has its name.
fn create(path: &Path, content: &[u8], mode: u32) -> Result<(), IdentityError> {
    let partial = path.with_extension("new");
    let written = || -> io::Result<()> {
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        if let Some(parent) = path.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    };
    written().map_err(doing("write", path))
}

fn exists(path: &Path) -> Result<bool, IdentityError> {
    path.try_exists().map_err(doing("look at", path))
}

fn refuse_exposed(path: &Path) -> Result<(), IdentityError> {
    let mode = fs::metadata(path).map_err(doing("look at", path))?.mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(IdentityError::Exposed {
        path: path.to_owned(),
        mode,
    })
}

fn doing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> IdentityError {
    move |source| IdentityError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let network = dir.path().join("network");
        let names = names(&["localhost", "127.0.0.1"]);
        let first = NodeIdentity::open_or_create(&network, &names, &[]).unwrap();
        let mode = fs::metadata(network.join(KEY)).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        let again = NodeIdentity::open_or_create(&network, &names, &names).unwrap();
        assert_eq!(first.certificates, again.certificates);
        fs::remove_file(network.join(CERTIFICATE)).unwrap();
        let other = NodeIdentity::open_or_create(&network, &names, &[]).unwrap();
        assert_ne!(first.certificates, other.certificates);
        assert_eq!(first.key.secret_der(), other.key.secret_der(), "the key stays");
    }

    #[test]
    fn a_certificate_that_lacks_a_name_is_not_replaced_silently() {
        let dir = tempfile::tempdir().unwrap();
        NodeIdentity::open_or_create(dir.path(), &names(&["localhost"]), &names(&["ca.example"])).unwrap();
        let asked = names(&["ca.example", "other.example"]);
        let error = NodeIdentity::open_or_create(dir.path(), &[], &asked).unwrap_err();
        assert!(
            matches!(&error, IdentityError::Name { name, .. } if name == "other.example"),
            "{error}"
        );
        assert!(NodeIdentity::open_or_create(dir.path(), &names(&["new-host"]), &[]).is_ok());
    }

    #[test]
    fn a_key_others_can_read_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        NodeIdentity::open_or_create(dir.path(), &[], &[]).unwrap();
        fs::set_permissions(dir.path().join(KEY), PermissionsExt::from_mode(0o640)).unwrap();
        let error = NodeIdentity::open_or_create(dir.path(), &[], &[]).unwrap_err();
        assert!(
            matches!(error, IdentityError::Exposed { mode: 0o640, .. }),
            "{error}"
        );
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (one, other) = (make(Usage::Node, &[]).unwrap(), make(Usage::Node, &[]).unwrap());
        fs::write(path("key"), &one.key).unwrap();
        fs::write(path("one"), &one.certificate).unwrap();
        fs::write(path("other"), &other.certificate).unwrap();
        assert!(NodeIdentity::from_files(&path("one"), &path("key")).is_ok());
        let refused = |certificate: &str, key: &str| {
            NodeIdentity::from_files(&path(certificate), &path(key)).unwrap_err()
        };
        assert!(matches!(refused("other", "key"), IdentityError::Pair { .. }));
        assert!(matches!(refused("key", "key"), IdentityError::Content { .. }));
        assert!(matches!(refused("one", "one"), IdentityError::Content { .. }));
        assert!(matches!(refused("none", "key"), IdentityError::Io { .. }));
    }
}
