//! What a custodian's machine keeps of an installation, and how that comes about.
//!
//! | file below the directory | content |
//! |---|---|
//! | `INSTALLATION/DEVICE.custodian.json` | [`Membership`] |
//! | `INSTALLATION/DEVICE.json` | the accepted HSMs, see [`Accepted`] |
//! | `INSTALLATION/DEVICE.log.json` | the place of the audit log that was seen last, see [`SeenLog`] |

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use chancery_api::{Base64, InstallationId};
use chancery_audit::NoteVerifier;
use chancery_cvc::TrustAnchors;
use serde::{Deserialize, Serialize};

use super::{Invitation, InvitedNode, invitation};
use crate::{
    Accepted, AgentError, SeenLog,
    kept::{Turn, load_private, write_private},
    one_line,
};

const SUFFIX: &str = ".custodian.json";

/// An installation, as a custodian accepted it. Stored; fields are never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    v: u32,
    /// The custodian's name there.
    person: String,
    /// CHR of the device certificate of the custodian's token.
    device: String,
    installation: InstallationId,
    /// What people call it.
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<Base64>,
    log_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<InvitedNode>,
    /// File with key and certificate by which the node is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_key: Option<PathBuf>,
}

/// A custodian's place in an installation: what was accepted, and where it is kept.
#[derive(Debug)]
pub struct Seat {
    membership: Membership,
    directory: PathBuf,
}

impl Membership {
    /// What accepting this invitation comes to.
    ///
    /// # Errors
    /// [`AgentError::Letter`].
    pub fn new(invitation: &Invitation, person: &str, device: &str) -> Result<Self, AgentError> {
        Ok(Self {
            v: 1,
            person: person.to_owned(),
            device: device.to_owned(),
            installation: invitation.installation(),
            name: invitation.name().to_owned(),
            root: invitation.root().map(|root| Base64(root.to_vec())),
            log_key: invitation.log_key()?.to_vkey(),
            node: invitation.node().cloned(),
            client_key: None,
        })
    }

    /// With another address of the node than the invitation's, or one where it has none.
    #[must_use]
    pub fn with_node(mut self, node: InvitedNode) -> Self {
        self.node = Some(node);
        self
    }

    /// With the file of key and certificate by which the node is called.
    #[must_use]
    pub fn with_client_key(mut self, file: PathBuf) -> Self {
        self.client_key = Some(file);
        self
    }

    /// The custodian's name in the installation.
    #[must_use]
    pub fn person(&self) -> &str {
        &self.person
    }

    /// CHR of the device certificate of the custodian's token.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The installation.
    #[must_use]
    pub const fn installation(&self) -> InstallationId {
        self.installation
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the node is.
    #[must_use]
    pub const fn node(&self) -> Option<&InvitedNode> {
        self.node.as_ref()
    }

    /// File with key and certificate by which the node is called.
    #[must_use]
    pub fn client_key(&self) -> Option<&Path> {
        self.client_key.as_deref()
    }

    /// The roots under which the installation's HSMs count.
    ///
    /// # Errors
    /// [`AgentError::Letter`] when the stored root is none.
    pub fn anchors(&self) -> Result<TrustAnchors, AgentError> {
        invitation::anchors(self.root.as_ref().map(|root| root.0.as_slice()))
    }

    /// Whose signature the heads of the audit log have.
    ///
    /// # Errors
    /// [`AgentError::Log`].
    pub fn log_key(&self) -> Result<NoteVerifier, AgentError> {
        NoteVerifier::parse_vkey(&self.log_key).map_err(|error| {
            AgentError::Log(format!(
                "the key that was accepted for it cannot be read: {error}"
            ))
        })
    }

    /// Why this may not take the place of what was accepted before: roots and keys are never exchanged.
    /// `path` is the file of what was accepted before.
    fn follows(&self, known: &Self, path: &Path) -> Result<(), AgentError> {
        if known.log_key != self.log_key {
            return Err(AgentError::Log(format!(
                "ANOTHER KEY SIGNS IT: {} instead of {}",
                one_line(&self.log_key),
                one_line(&known.log_key)
            )));
        }
        let (changed, way_back) = if known.root.is_some() && self.root.is_some() && known.root != self.root {
            ("the root of its virtual tokens is another one", String::new())
        } else if known.person != self.person {
            // That file alone: the HSMs, and where the audit log was seen last, stay as they were accepted.
            let way_back = format!(
                ". If {} was a wrong name, and the administrator agrees, remove {} and accept the invitation again",
                one_line(&known.person),
                path.display()
            );
            ("this token answers for another person there", way_back)
        } else {
            return Ok(());
        };
        Err(AgentError::Letter {
            what: "the invitation",
            why: format!(
                "{changed}: what {} accepted before is never exchanged. Ask the administrator, by telephone{way_back}",
                one_line(&known.person)
            ),
        })
    }
}

impl Seat {
    /// Whether this invitation can be accepted, before anybody is asked; which HSMs are known already.
    ///
    /// # Errors
    /// [`AgentError::Chain`] for an HSM whose certificates do not hold, [`AgentError::NotAccepted`] for a known name with another device or
    /// key, [`AgentError::Log`] for another key of the audit log.
    pub fn check(
        directory: &Path,
        invitation: &Invitation,
        membership: &Membership,
    ) -> Result<BTreeSet<String>, AgentError> {
        let (place, path) = paths(directory, membership);
        if let Some(known) = load_private::<Membership>(&path)? {
            membership.follows(&known, &path)?;
        }
        let accepted = Accepted::load(&place, &membership.device)?;
        let mut known = BTreeSet::new();
        for hsm in invitation.hsms()? {
            if let Err(why) = hsm.genuineness {
                return Err(AgentError::Chain {
                    what: format!("HSM {}", one_line(&hsm.name)),
                    why,
                });
            }
            if accepted.hsms().contains_key(&hsm.name) {
                accepted.check(&hsm.name, &hsm.hsm)?;
                known.insert(hsm.name);
            }
        }
        Ok(known)
    }

    /// Accepts an invitation: durable when this returns. What was accepted before stays; more HSMs come to it.
    ///
    /// # Errors
    /// As [`Seat::check`]: nothing is accepted then.
    pub fn accept(
        directory: &Path,
        invitation: &Invitation,
        mut membership: Membership,
    ) -> Result<Self, AgentError> {
        let (place, path) = paths(directory, &membership);
        let _turn = Turn::wait(&path)?;
        Self::check(directory, invitation, &membership)?;
        if let Some(known) = load_private::<Membership>(&path)? {
            membership.root = membership.root.or(known.root);
            membership.node = membership.node.or(known.node);
            membership.client_key = membership.client_key.or(known.client_key);
        }
        let text = serde_json::to_vec_pretty(&membership).map_err(|error| AgentError::BadFile {
            path: path.clone(),
            why: error.to_string(),
        })?;
        write_private(&path, &text)?;
        let mut accepted = Accepted::load(&place, &membership.device)?;
        for hsm in invitation.hsms()? {
            accepted.accept(&hsm.name, hsm.hsm)?;
        }
        Ok(Self {
            membership,
            directory: place,
        })
    }

    /// All places that custodians of this machine have.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be read.
    pub fn all(directory: &Path) -> Result<Vec<Self>, AgentError> {
        let mut seats = Vec::new();
        for place in entries(directory)?.into_iter().filter(|path| path.is_dir()) {
            for path in entries(&place)? {
                let named = path.file_name().is_some_and(|name| {
                    name.to_str()
                        .is_some_and(|name| name.ends_with(SUFFIX) && !name.starts_with('.'))
                });
                if named && let Some(membership) = load_private::<Membership>(&path)? {
                    let installation = membership.installation.to_string();
                    if place.file_name() != Some(installation.as_ref()) || membership.v != 1 {
                        return Err(AgentError::BadFile {
                            path,
                            why: "it is of another installation, or of a later version".to_owned(),
                        });
                    }
                    seats.push(Self {
                        membership,
                        directory: place.clone(),
                    });
                }
            }
        }
        seats.sort_by(|a, b| a.directory.cmp(&b.directory));
        Ok(seats)
    }

    /// What was accepted of the installation.
    #[must_use]
    pub const fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The HSMs that were accepted.
    ///
    /// # Errors
    /// As [`Accepted::load`].
    pub fn accepted(&self) -> Result<Accepted, AgentError> {
        Accepted::load(&self.directory, &self.membership.device)
    }

    /// Where the audit log was seen last; its heads must have the signature of the key that was accepted, from the start.
    ///
    /// # Errors
    /// As [`SeenLog::load`] and [`SeenLog::require`].
    pub fn log(&self) -> Result<SeenLog, AgentError> {
        let mut log = SeenLog::load(&self.directory, &self.membership.device)?;
        log.require(self.membership.installation, self.membership.log_key()?)?;
        Ok(log)
    }
}

/// Directory of the installation, and the file of the membership.
fn paths(directory: &Path, membership: &Membership) -> (PathBuf, PathBuf) {
    let place = directory.join(membership.installation.to_string());
    let path = place.join(format!("{}{SUFFIX}", membership.device));
    (place, path)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, AgentError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(AgentError::file(directory)(error)),
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(AgentError::file(directory))
}
