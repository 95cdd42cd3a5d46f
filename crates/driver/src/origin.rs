//! What a token has to show for the origin of one key: the request in CExx and the chain in EF 2F02.

use chancery_schsm::{KeyDomainStatus, KeyId, PrivateKeyDescription, fid};

use crate::applet::Firmware;
use crate::certificate::KeyCertificate;
use crate::error::Error;
use crate::exchange::places;
use crate::key::KeyAttributes;
use crate::session::AppletAccess;

/// The proof of a key's origin as it stands on a token, and what the token says beside it. Nothing is verified.
#[derive(Clone, Debug)]
pub struct OriginProof {
    /// What stands in CExx; storing a certificate takes the place of the key's request.
    pub certificate: Option<KeyCertificate>,
    /// Content of EF 2F02, empty when the token has none.
    pub chain: Vec<u8>,
    /// What SELECT of the key tells; `None` when there is no such key (its files may be left).
    pub attributes: Option<KeyAttributes>,
    /// State of the key domain the key names; when it names none, of the one of a token with a single place.
    pub domain: Option<KeyDomainStatus>,
    /// Version of the applet.
    pub firmware: Firmware,
    /// PKCS#15 description; `None` when there is none or it cannot be read.
    pub description: Option<PrivateKeyDescription>,
}

impl OriginProof {
    /// The key's authenticated request, `67 {..}`, if it is still there.
    #[must_use]
    pub fn request(&self) -> Option<&[u8]> {
        match &self.certificate {
            Some(KeyCertificate::Request(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

/// Reads what there is about key `id`, whether or not the key itself is there. Needs no PIN.
///
/// # Errors
/// A command failed.
pub fn read(card: &mut impl AppletAccess, id: KeyId) -> Result<OriginProof, Error> {
    let attributes = card.session().key_attributes(id)?;
    let domain = match attributes.as_ref().map(|attributes| attributes.key_domain) {
        Some(Some(named)) => card.session().key_domain(named)?,
        // Where there are several places, such a key is in none.
        Some(None) => match places(card)?.as_slice() {
            [only] => only.clone(),
            _ => None,
        },
        None => None,
    };
    let session = card.session();
    let certificate = session
        .read_object(fid::certificate(id))?
        .map(KeyCertificate::recognise);
    let description = session.read_object(fid::prkd(id))?;
    Ok(OriginProof {
        certificate,
        chain: session.read_file(fid::DEVICE_CERTIFICATES)?.unwrap_or_default(),
        attributes,
        domain,
        firmware: session.info.firmware,
        description: description.and_then(|content| PrivateKeyDescription::parse(&content).ok()),
    })
}
