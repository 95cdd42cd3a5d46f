//! Everything on a token, decoded: what belongs together stands together, and what belongs to nothing is marked.

mod object;

use std::collections::BTreeSet;

use chancery_cvc::DeviceChain;
use chancery_driver::{AppletAccess, Error, KeyAttributes, KeyCertificate, ObjectList, keystore, reading};
use chancery_schsm::{Algorithm, CertificateDescription, DataDescription, Fid, KeyId, fid};
use serde::Serialize;

use crate::catalogue::{Description, read_description};
use crate::key::{bits_of, described, name_of, type_of};

pub use object::{CertificateView, Content, content};

/// In place of the names of algorithms, of a key without a list.
pub const EVERYTHING: &str = "everything";

/// Longest file looked at, in bytes; of a longer one the beginning is.
pub const MOST_BYTES: usize = 1024 * 1024;

/// A token's content.
#[derive(Clone, Debug, Serialize)]
pub struct Tree {
    /// Name in the device certificate, not verified; `None` when there is none.
    pub device: Option<String>,
    /// The certificates in EF 2F02, as many as there are.
    pub chain: Vec<CertificateView>,
    /// What is odd about EF 2F02.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain_remark: Option<String>,
    /// Label (EF 2F03).
    pub label: Option<String>,
    /// Version of the applet.
    pub firmware: Option<String>,
    /// Key domains.
    pub domains: Vec<DomainNode>,
    /// Keys, the device's own left out.
    pub keys: Vec<KeyNode>,
    /// CA certificates.
    pub certificates: Vec<FileNode>,
    /// Data objects.
    pub data: Vec<FileNode>,
    /// Files that belong to nothing: see [`FileNode::marks`].
    pub orphans: Vec<FileNode>,
    /// Other files.
    pub others: Vec<FileNode>,
}

/// A key domain.
#[derive(Clone, Debug, Serialize)]
pub struct DomainNode {
    /// Its number.
    pub number: u8,
    /// Shares its key encryption key is made of.
    pub shares: u8,
    /// Shares that are missing.
    pub outstanding: u8,
    /// Key check value; `None` while shares are missing.
    pub kcv: Option<String>,
    /// Whether it is an exchange key domain.
    pub exchange: bool,
}

/// A key with the files beside it.
#[derive(Clone, Debug, Serialize)]
pub struct KeyNode {
    /// Its id.
    pub id: u8,
    /// Label; `None` when it has no description.
    pub label: Option<String>,
    /// CKA_ID, hexadecimal.
    pub cka_id: Option<String>,
    /// Kind and size.
    pub algorithm: String,
    /// Uses left, where they are counted.
    pub use_counter: Option<u32>,
    /// What it may be used for, by name; `everything` alone when nothing is excluded, nothing when it cannot be told.
    pub permitted: Vec<String>,
    /// Key domain it names.
    pub key_domain: Option<u8>,
    /// What CExx holds.
    pub certificate: Option<CertificateView>,
    /// What is odd about it.
    pub marks: Vec<String>,
}

/// A file.
#[derive(Clone, Debug, Serialize)]
pub struct FileNode {
    /// Its file identifier.
    pub file: String,
    /// Label in the description that belongs to it.
    pub label: Option<String>,
    /// What it holds.
    pub content: Content,
    /// What is odd about it.
    pub marks: Vec<String>,
}

/// Reads everything that may be read: private data objects only when the token is unlocked.
///
/// # Errors
/// The list cannot be had, or the link is gone. What cannot be read is said where it stands.
pub fn explore(card: &mut impl AppletAccess) -> Result<Tree, Error> {
    let objects = reading::objects(card)?;
    let (device, chain, chain_remark) = chain(card)?;
    let label = tolerate(keystore::token_info(card))?
        .flatten()
        .map(|info| info.label);
    let domains = tolerate(reading::domains(card))?
        .unwrap_or_default()
        .into_iter()
        .map(|(number, status)| DomainNode {
            number,
            shares: status.shares,
            outstanding: status.outstanding,
            kcv: status.is_complete().then(|| status.kcv.to_string()),
            exchange: status.uid.is_some(),
        })
        .collect();
    let mut tree = Tree {
        device,
        chain,
        chain_remark,
        label,
        firmware: None,
        domains,
        keys: Vec::new(),
        certificates: Vec::new(),
        data: Vec::new(),
        orphans: Vec::new(),
        others: Vec::new(),
    };
    for id in objects.keys() {
        tree.keys.push(key(card, id)?);
    }
    let labels: Vec<String> = tree.keys.iter().filter_map(|key| key.label.clone()).collect();
    for key in &mut tree.keys {
        let same = labels
            .iter()
            .filter(|label| Some(*label) == key.label.as_ref())
            .count();
        if same > 1 {
            key.marks.push(format!("{same} keys have this label"));
        }
    }
    files(card, &objects, &mut tree)?;
    Ok(tree)
}

/// The chain as far as it can be read: one certificate, three, a request in place of the first.
#[expect(clippy::type_complexity, reason = "three parts of one struct, used once")]
fn chain(
    card: &mut impl AppletAccess,
) -> Result<(Option<String>, Vec<CertificateView>, Option<String>), Error> {
    let read = tolerate(reading::read(card, fid::DEVICE_CERTIFICATES, MOST_BYTES))?;
    let Some(Some(content)) = read else {
        let why = "there is no device certificate that can be read";
        return Ok((None, Vec::new(), Some(why.to_owned())));
    };
    match DeviceChain::parse(&content.bytes) {
        Ok(chain) => {
            let device = chain.device_name().map(ToString::to_string);
            let mut views: Vec<CertificateView> = chain
                .request()
                .map(CertificateView::of_request)
                .into_iter()
                .collect();
            views.extend(chain.certificates().iter().map(CertificateView::of_cvc));
            let remark = views
                .is_empty()
                .then(|| "the file of the device certificates is empty".to_owned());
            Ok((device, views, remark))
        }
        Err(error) => Ok((
            None,
            Vec::new(),
            Some(format!(
                "the device certificates cannot be read: {}",
                crate::text::causes(&error)
            )),
        )),
    }
}

fn key(card: &mut impl AppletAccess, id: KeyId) -> Result<KeyNode, Error> {
    let mut marks = Vec::new();
    let selected = match tolerate_why(reading::attributes(card, id))? {
        Ok(Some(attributes)) => Some(attributes),
        Ok(None) => {
            marks.push("it is listed, but cannot be selected".to_owned());
            None
        }
        Err(why) => {
            marks.push(format!("it cannot be selected: {why}"));
            None
        }
    };
    let description = read_description(card, id)?;
    match &description {
        Description::Known(_) => {}
        Description::Missing => {
            marks.push("key without description: other software does not show it".to_owned())
        }
        Description::Odd { why } => marks.push(format!("its description cannot be read: {why}")),
    }
    let certificate = match tolerate_why(reading::read(card, fid::certificate(id), MOST_BYTES))? {
        Ok(Some(content)) => match content.object() {
            Some(object) => Some(KeyCertificate::recognise(object.to_vec())),
            None if content.bytes.is_empty() => None,
            None => {
                marks.push(format!("{} holds no whole data object", fid::certificate(id)));
                None
            }
        },
        Ok(None) => None,
        Err(why) => {
            marks.push(format!("{} cannot be read: {why}", fid::certificate(id)));
            None
        }
    };
    let public_key = certificate.as_ref().and_then(KeyCertificate::public_key);
    if certificate.is_some() && public_key.is_none() {
        marks.push(format!("{} names no public key", fid::certificate(id)));
    }
    if let (Some(description), Some(key)) = (description.known(), &public_key) {
        if description.key_type != type_of(key) {
            marks.push("description and certificate are for different kinds of key".to_owned());
        } else if bits_of(key).is_some_and(|bits| {
            description.key_size != bits && description.key_size != bits.next_multiple_of(8)
        }) {
            marks.push("description and certificate are for keys of different sizes".to_owned());
        }
    }
    Ok(KeyNode {
        id: id.0,
        label: description.known().map(|description| description.label.clone()),
        cka_id: description
            .known()
            .map(|description| hex::encode(&description.id)),
        algorithm: match (&public_key, description.known()) {
            (Some(key), _) => name_of(key),
            (None, Some(description)) => described(description.key_type, description.key_size),
            (None, None) => "unknown".to_owned(),
        },
        use_counter: selected.as_ref().and_then(|attributes| attributes.use_counter),
        permitted: selected.as_ref().map(names).unwrap_or_default(),
        key_domain: selected.as_ref().and_then(|attributes| attributes.key_domain),
        certificate: certificate.as_ref().map(CertificateView::of),
        marks,
    })
}

/// What a key may be used for, by name; [`EVERYTHING`] alone when it has no list.
#[must_use]
pub fn names(attributes: &KeyAttributes) -> Vec<String> {
    if attributes.algorithms.is_unrestricted() {
        return vec![EVERYTHING.to_owned()];
    }
    attributes
        .algorithms
        .ids()
        .iter()
        .map(|id| Algorithm::from_id(*id).map_or_else(|| format!("{id:02X}"), |known| format!("{known:?}")))
        .collect()
}

/// CA certificates, data objects with their descriptions, leftovers, and the rest.
fn files(card: &mut impl AppletAccess, objects: &ObjectList, tree: &mut Tree) -> Result<(), Error> {
    use fid::prefix;
    let mut seen = BTreeSet::new();
    let mut listed: Vec<Fid> = objects.iter().filter(|file| !file.is_key()).collect();
    listed.sort_unstable();
    listed.retain(|file| seen.insert(*file));
    // Some firmwares list descriptions, and not what they describe.
    let mut described: Vec<(Fid, Option<String>, Option<String>)> = Vec::new();
    for file in &listed {
        if ![prefix::CD, prefix::DCOD].contains(&file.prefix()) {
            continue;
        }
        let bytes = match tolerate_why(reading::read(card, *file, MOST_BYTES))? {
            Ok(content) => content.map(|content| content.bytes).unwrap_or_default(),
            Err(why) => {
                tree.orphans.push(FileNode {
                    file: file.to_string(),
                    label: None,
                    content: Content::Unreadable { why: why.clone() },
                    marks: vec![format!("the description cannot be read: {why}")],
                });
                continue;
            }
        };
        let target = if file.prefix() == prefix::CD {
            CertificateDescription::parse(&bytes).map(|cd| (cd.file, cd.label))
        } else {
            DataDescription::parse(&bytes).map(|dcod| (dcod.file, dcod.label))
        };
        match target {
            Ok((target, label)) => described.push((target, Some(label), Some(file.to_string()))),
            Err(error) => tree.orphans.push(FileNode {
                file: file.to_string(),
                label: None,
                content: content(&bytes),
                marks: vec![format!(
                    "the description cannot be read: {}",
                    crate::text::causes(&error)
                )],
            }),
        }
    }
    for file in &listed {
        let holds_content =
            [prefix::CA_CERTIFICATE, prefix::PRIVATE_DATA, prefix::PUBLIC_DATA].contains(&file.prefix());
        if holds_content && !described.iter().any(|(target, ..)| target == file) {
            described.push((*file, None, None));
        }
    }
    for (target, label, description) in described {
        let mut marks = Vec::new();
        if description.is_none() {
            marks.push("without description: other software does not show it".to_owned());
        }
        let node = match tolerate_why(reading::read(card, target, MOST_BYTES))? {
            Ok(Some(read)) => {
                if read.cut.is_some() {
                    marks.push(format!("only the first {} bytes are known", read.bytes.len()));
                }
                FileNode {
                    file: target.to_string(),
                    label,
                    content: content(&read.bytes),
                    marks,
                }
            }
            Ok(None) => {
                marks.push(format!(
                    "description {} of a file that is not there",
                    description.unwrap_or_default()
                ));
                tree.orphans.push(FileNode {
                    file: target.to_string(),
                    label,
                    content: Content::Missing,
                    marks,
                });
                continue;
            }
            Err(why) => FileNode {
                file: target.to_string(),
                label,
                content: Content::Unreadable { why },
                marks,
            },
        };
        if target.prefix() == prefix::CA_CERTIFICATE {
            tree.certificates.push(node);
        } else {
            tree.data.push(node);
        }
    }
    for file in listed {
        let (mark, belongs) = match file.prefix() {
            prefix::PRKD => ("description without key", objects.has_key(KeyId(file.low()))),
            prefix::CERTIFICATE => (
                "certificate or request without key",
                objects.has_key(KeyId(file.low())),
            ),
            prefix::CD
            | prefix::DCOD
            | prefix::CA_CERTIFICATE
            | prefix::PRIVATE_DATA
            | prefix::PUBLIC_DATA => continue,
            _ => ("", false),
        };
        // 00 is the device's own key, whose description and request some firmwares show.
        if belongs || (file.low() == 0 && !mark.is_empty()) {
            continue;
        }
        let read = match tolerate_why(reading::read(card, file, MOST_BYTES))? {
            Ok(Some(read)) => content(&read.bytes),
            Ok(None) => Content::Missing,
            Err(why) => Content::Unreadable { why },
        };
        let label = match &read {
            Content::KeyDescription { label, .. } => Some(label.clone()),
            _ => None,
        };
        let mut node = FileNode {
            file: file.to_string(),
            label,
            content: read,
            marks: Vec::new(),
        };
        if mark.is_empty() {
            tree.others.push(node);
        } else {
            node.marks.push(mark.to_owned());
            tree.orphans.push(node);
        }
    }
    Ok(())
}

/// A refusal or nonsense concerns one object; a link that is gone, or a token that was reset, all of them.
fn tolerate<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    tolerate_why(result).map(Result::ok)
}

fn tolerate_why<T>(result: Result<T, Error>) -> Result<Result<T, String>, Error> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error @ (Error::Link { .. } | Error::NotSelected { .. })) => Err(error),
        Err(Error::NotAuthenticated { .. }) => Ok(Err("private: it is read with the PIN only".to_owned())),
        Err(error) => Ok(Err(crate::text::causes(&error))),
    }
}
