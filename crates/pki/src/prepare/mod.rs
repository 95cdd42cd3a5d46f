//! From profile, request and issuer to the bytes to sign.

mod error;

use der::asn1::{AnyRef, Ia5String, OctetString, UintRef};
use der::{Decode, Encode, Sequence};
use spki::AlgorithmIdentifierRef;
use time::{Duration, OffsetDateTime};
use x509_cert::Version;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints,
    CrlDistributionPoints, ExtendedKeyUsage, SubjectAltName,
};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::time::Validity;

use crate::algorithm::SignatureAlgorithm;
use crate::altname::AltName;
use crate::issuer::Issuer;
use crate::key::PublicKey;
use crate::name::DistinguishedName;
use crate::profile::{Kind, Profile, key_usage_bits};
use crate::request::CertificationRequest;
use crate::serial::SerialNumber;
use crate::tbs::ToBeSigned;
use crate::{instant, oid};

pub use error::PrepareError;

/// Everything that decides a certificate's content, serial number and time aside.
#[derive(Clone, Copy, Debug)]
pub enum Inputs<'a> {
    /// A self-signed root.
    Root {
        /// A profile of kind root.
        profile: &'a Profile,
        /// Name of the CA.
        subject: &'a DistinguishedName,
        /// Key of the CA.
        key: &'a PublicKey,
    },
    /// A certificate somebody asked for.
    Request {
        /// A profile of kind leaf or subordinate.
        profile: &'a Profile,
        /// The request: subject, key and names are taken from it.
        request: &'a CertificationRequest,
        /// The CA.
        issuer: &'a Issuer,
    },
    /// A certificate for a key the caller knows to be its own, such as the audit key.
    Key {
        /// A profile of kind leaf or subordinate.
        profile: &'a Profile,
        /// Subject, perhaps empty.
        subject: &'a DistinguishedName,
        /// Subject alternative names.
        names: &'a [AltName],
        /// The key to certify.
        key: &'a PublicKey,
        /// The CA.
        issuer: &'a Issuer,
    },
}

/// A self-signed root certificate: [`Inputs::prepare`] of [`Inputs::Root`].
///
/// # Errors
/// [`PrepareError`] says what does not fit.
pub fn prepare_root(
    profile: &Profile,
    subject: &DistinguishedName,
    key: &PublicKey,
    serial: SerialNumber,
    now: OffsetDateTime,
) -> Result<ToBeSigned, PrepareError> {
    Inputs::Root {
        profile,
        subject,
        key,
    }
    .prepare(serial, now)
}

/// A certificate for a request: [`Inputs::prepare`] of [`Inputs::Request`].
///
/// # Errors
/// [`PrepareError`] says what does not fit.
pub fn prepare_leaf(
    profile: &Profile,
    request: &CertificationRequest,
    issuer: &Issuer,
    serial: SerialNumber,
    now: OffsetDateTime,
) -> Result<ToBeSigned, PrepareError> {
    Inputs::Request {
        profile,
        request,
        issuer,
    }
    .prepare(serial, now)
}

/// A certificate for a key of our own: [`Inputs::prepare`] of [`Inputs::Key`] without alternative names.
///
/// # Errors
/// [`PrepareError`] says what does not fit.
pub fn prepare_for_key(
    profile: &Profile,
    subject: &DistinguishedName,
    key: &PublicKey,
    issuer: &Issuer,
    serial: SerialNumber,
    now: OffsetDateTime,
) -> Result<ToBeSigned, PrepareError> {
    Inputs::Key {
        profile,
        subject,
        names: &[],
        key,
        issuer,
    }
    .prepare(serial, now)
}

impl<'a> Inputs<'a> {
    /// The profile in force.
    #[must_use]
    pub fn profile(&self) -> &'a Profile {
        match self {
            Self::Root { profile, .. } | Self::Request { profile, .. } | Self::Key { profile, .. } => profile,
        }
    }

    /// The CA; nothing for a root, which issues itself.
    #[must_use]
    pub fn issuer(&self) -> Option<&'a Issuer> {
        match self {
            Self::Root { .. } => None,
            Self::Request { issuer, .. } | Self::Key { issuer, .. } => Some(issuer),
        }
    }

    /// Builds the to-be-signed bytes. The same inputs, serial number and second give the same bytes.
    ///
    /// The validity begins the profile's backdating before `now` and has the profile's length, backdating
    /// included, with both ends counting (RFC 5280 4.1.2.5); it is cut at the end of the issuer's.
    ///
    /// # Errors
    /// [`PrepareError`] says what does not fit.
    pub fn prepare(&self, serial: SerialNumber, now: OffsetDateTime) -> Result<ToBeSigned, PrepareError> {
        let none: &[AltName] = &[];
        let (subject, names, key) = match *self {
            Self::Root { subject, key, .. } => (subject, none, key),
            Self::Request { request, .. } => (request.subject(), request.names(), request.key()),
            Self::Key {
                subject, names, key, ..
            } => (subject, names, key),
        };
        let draft = Draft {
            profile: self.profile(),
            issuer: self.issuer(),
            subject,
            names,
            key,
        };
        draft.check(now)?;
        draft.build(serial, now)
    }
}

struct Draft<'a> {
    profile: &'a Profile,
    issuer: Option<&'a Issuer>,
    subject: &'a DistinguishedName,
    names: &'a [AltName],
    key: &'a PublicKey,
}

/// `TBSCertificate` (RFC 5280 4.1). Parts that exist already keep their exact bytes.
#[derive(Sequence)]
struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: Version,
    serial: UintRef<'a>,
    signature: AlgorithmIdentifierRef<'a>,
    issuer: AnyRef<'a>,
    validity: Validity,
    subject: AnyRef<'a>,
    public_key: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

impl Draft<'_> {
    fn check(&self, now: OffsetDateTime) -> Result<(), PrepareError> {
        let profile = self.profile;
        let name = || profile.name.clone();
        if (profile.kind == Kind::Root) != self.issuer.is_none() {
            return Err(PrepareError::ProfileKind {
                profile: name(),
                kind: profile.kind,
            });
        }
        if !profile.allows_key(self.key.kind()) {
            let allowed = profile.allowed_keys_text();
            return Err(PrepareError::KeyNotAllowed {
                profile: name(),
                key: self.key.kind(),
                allowed,
            });
        }
        self.check_subject()?;
        self.check_names()?;
        let Some(issuer) = self.issuer else { return Ok(()) };
        if profile.kind.is_ca() && !path_length_allows(issuer.path_length(), profile.path_length) {
            return Err(PrepareError::PathLength);
        }
        let (not_before, not_after) = (issuer.not_before(), issuer.not_after());
        if now < not_before || now > not_after {
            return Err(PrepareError::IssuerNotValid {
                not_before,
                not_after,
            });
        }
        Ok(())
    }

    fn check_subject(&self) -> Result<(), PrepareError> {
        let rule = &self.profile.subject;
        let profile = || self.profile.name.clone();
        if self.subject.is_empty() {
            return if rule.may_be_empty {
                Ok(())
            } else {
                Err(PrepareError::SubjectEmpty { profile: profile() })
            };
        }
        let attributes = self.subject.attributes();
        if let Some(attribute) = attributes.iter().find(|a| !rule.allowed.contains(&a.label)) {
            let (attribute, allowed) = (attribute.label.clone(), rule.allowed.join(", "));
            return Err(PrepareError::SubjectAttribute {
                profile: profile(),
                attribute,
                allowed,
            });
        }
        if let Some(label) = rule
            .required
            .iter()
            .find(|label| !attributes.iter().any(|a| a.label == **label))
        {
            return Err(PrepareError::SubjectIncomplete {
                profile: profile(),
                attribute: label.clone(),
            });
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), PrepareError> {
        let rule = &self.profile.names;
        let profile = || self.profile.name.clone();
        let count = self.names.len();
        if count == 0 && (rule.required || self.subject.is_empty()) {
            return Err(PrepareError::NamesRequired { profile: profile() });
        }
        if count > rule.max {
            return Err(PrepareError::TooManyNames {
                profile: profile(),
                count,
                limit: rule.max,
            });
        }
        if let Some(name) = self.names.iter().find(|name| !rule.kinds.contains(&name.kind())) {
            return Err(PrepareError::NameKind {
                profile: profile(),
                kind: name.kind(),
                name: name.to_string(),
            });
        }
        match self.names.iter().find(|name| name.is_wildcard()) {
            Some(name) if !rule.wildcards => Err(PrepareError::Wildcard {
                profile: profile(),
                name: name.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn build(&self, serial: SerialNumber, now: OffsetDateTime) -> Result<ToBeSigned, PrepareError> {
        let (not_before, not_after) = self.validity(now)?;
        let algorithm = self
            .issuer
            .map_or_else(|| SignatureAlgorithm::for_key(self.key.kind()), Issuer::algorithm);
        let encode = || -> der::Result<Vec<u8>> {
            TbsCertificate {
                version: Version::V3,
                serial: serial.as_uint()?,
                signature: algorithm.identifier(),
                issuer: AnyRef::from_der(self.issuer.map_or(self.subject.as_der(), Issuer::name_der))?,
                validity: Validity::new(instant::to_x509(not_before)?, instant::to_x509(not_after)?),
                subject: AnyRef::from_der(self.subject.as_der())?,
                public_key: AnyRef::from_der(self.key.spki())?,
                extensions: self.extensions()?,
            }
            .to_der()
        };
        let der = encode().map_err(PrepareError::Encode)?;
        let names = self.names.iter().map(ToString::to_string).collect();
        let validity = (not_before, not_after);
        Ok(ToBeSigned::built(
            der,
            serial,
            algorithm,
            self.subject.to_string(),
            names,
            validity,
        ))
    }

    fn validity(&self, now: OffsetDateTime) -> Result<(OffsetDateTime, OffsetDateTime), PrepareError> {
        let now = instant::whole_seconds(now).ok_or(PrepareError::Time)?;
        let backdate = Duration::seconds(i64::from(self.profile.backdate_seconds));
        let length = Duration::days(i64::from(self.profile.validity_days)) - Duration::SECOND;
        let not_before = now.checked_sub(backdate).ok_or(PrepareError::Time)?;
        let not_after = not_before.checked_add(length).ok_or(PrepareError::Time)?;
        if not_before.unix_timestamp() < 0 {
            return Err(PrepareError::Time);
        }
        let not_after = self
            .issuer
            .map_or(not_after, |issuer| not_after.min(issuer.not_after()));
        Ok((not_before, not_after))
    }

    /// The extensions in a fixed order (RFC 5280 4.2).
    fn extensions(&self) -> der::Result<Vec<Extension>> {
        let profile = self.profile;
        let subject_key_id = self.key.key_id();
        let authority_key_id = self.issuer.map_or(subject_key_id.as_slice(), Issuer::key_id);
        let constraints = BasicConstraints {
            ca: profile.kind.is_ca(),
            path_len_constraint: profile.path_length,
        };
        let mut extensions = vec![
            extension(oid::BASIC_CONSTRAINTS, true, &constraints)?,
            extension(oid::KEY_USAGE, true, &key_usage_bits(&profile.key_usage))?,
        ];
        if !profile.extended_key_usage.is_empty() {
            let usage = ExtendedKeyUsage(profile.extended_key_usage.clone());
            extensions.push(extension(oid::EXTENDED_KEY_USAGE, false, &usage)?);
        }
        extensions.push(extension(
            oid::SUBJECT_KEY_ID,
            false,
            &OctetString::new(subject_key_id)?,
        )?);
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(authority_key_id)?),
            ..AuthorityKeyIdentifier::default()
        };
        extensions.push(extension(oid::AUTHORITY_KEY_ID, false, &authority)?);
        if !self.names.is_empty() {
            let names = self
                .names
                .iter()
                .map(AltName::to_general_name)
                .collect::<der::Result<_>>()?;
            extensions.push(extension(
                oid::SUBJECT_ALT_NAME,
                self.subject.is_empty(),
                &SubjectAltName(names),
            )?);
        }
        let urls = |templates| uris(Profile::urls_for(templates, authority_key_id));
        let crl_urls = urls(&profile.urls.crl)?;
        if !crl_urls.is_empty() {
            let points = crl_urls.into_iter().map(distribution_point).collect();
            extensions.push(extension(
                oid::CRL_DISTRIBUTION_POINTS,
                false,
                &CrlDistributionPoints(points),
            )?);
        }
        let mut access = Vec::new();
        for (access_method, templates) in [
            (oid::OCSP, &profile.urls.ocsp),
            (oid::CA_ISSUERS, &profile.urls.ca_issuers),
        ] {
            access.extend(
                urls(templates)?
                    .into_iter()
                    .map(|access_location| AccessDescription {
                        access_method,
                        access_location,
                    }),
            );
        }
        if !access.is_empty() {
            extensions.push(extension(
                oid::AUTHORITY_INFO_ACCESS,
                false,
                &AuthorityInfoAccessSyntax(access),
            )?);
        }
        Ok(extensions)
    }
}

/// Whether a CA with this path length may stand above one with that (RFC 5280 4.2.1.9).
fn path_length_allows(issuer: Option<u8>, subordinate: Option<u8>) -> bool {
    match (issuer, subordinate) {
        (None, _) => true,
        (Some(limit), Some(below)) => below < limit,
        (Some(limit), None) => limit > 0,
    }
}

fn extension<T: Encode>(
    oid: der::asn1::ObjectIdentifier,
    critical: bool,
    value: &T,
) -> der::Result<Extension> {
    (oid, critical, value).to_extension(&x509_cert::name::Name::default(), &[])
}

fn uris(urls: Vec<String>) -> der::Result<Vec<GeneralName>> {
    urls.iter()
        .map(|url| Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?)))
        .collect()
}

/// One point for each address, so that clients that know only one per point find them all.
fn distribution_point(uri: GeneralName) -> DistributionPoint {
    DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![uri])),
        reasons: None,
        crl_issuer: None,
    }
}
