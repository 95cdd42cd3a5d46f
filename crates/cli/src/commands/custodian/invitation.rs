//! `custodian invitation`: what custodians on machines of their own need to know of this installation.

use std::path::PathBuf;

use chancery_agent::{Invitation, InvitedHsm, InvitedNode, SeenHsm};
use chancery_api::{FailureKind, HsmIdentities, HsmIdentityView};
use chancery_cvc::{DeviceChain, TrustAnchors};
use chancery_node::AuditKey;
use clap::Args;
use serde_json::{Value, json};

use super::{nature, word};
use crate::{
    commands::{check_output, read_input, write_output},
    context::Context,
    error::{CliError, chain},
    report::Report,
    table::facts,
};

/// Largest certificate of a node, in bytes.
const MOST_CERTIFICATE: u64 = 64 * 1024;

/// Writes an invitation.
#[derive(Args)]
#[command(after_help = "\
Example: chancery custodian invitation --node https://node.example:8444 --out center.invitation
Example: chancery custodian invitation --hsm hsm-c --out more.invitation
The file is public and the same for all custodians. It counts on a custodian's machine once its fingerprint was compared: read it to each \
of them by telephone. When HSMs are added later, make another one and have it accepted as well.")]
pub(crate) struct Invite {
    /// New file for the invitation
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// HSMs, separated by commas [default: all]
    #[arg(long = "hsm", value_delimiter = ',', value_name = "NAME")]
    hsms: Vec<String>,
    /// Address of the node for clients, as custodians reach it; its own certificate goes with it
    #[arg(long, value_name = "URL")]
    node: Option<String>,
    /// What people call this trust center
    #[arg(long, value_name = "TEXT", default_value = "")]
    name: String,
}

impl Invite {
    /// Runs the command.
    pub(super) fn run(self, context: &Context) -> Result<Report, CliError> {
        check_output(&self.out)?;
        let data = context.data()?;
        let identities = self.identities(context)?;
        let installation = data.installation()?.id;
        let log_key = AuditKey::verifier(&data)
            .map_err(|error| CliError::new(FailureKind::Unavailable, chain(&error)))?
            .ok_or_else(|| {
                CliError::with_remedy(
                    FailureKind::Unavailable,
                    "the audit log has no key yet",
                    "start the node once: chancery status",
                )
            })?;
        let node = match &self.node {
            Some(url) => Some(InvitedNode {
                url: url.clone(),
                certificate: node_certificate(&data.network().join("node.pem"))?,
            }),
            None => None,
        };
        let root = if needs_root(&identities)? {
            Some(context.factory(&data)?.root_certificate().to_vec())
        } else {
            None
        };
        let hsms = identities
            .into_iter()
            .map(|identity| InvitedHsm {
                name: identity.hsm.name,
                device: identity.hsm.device,
                key: identity.hsm.key,
                chain: identity.chain,
            })
            .collect();
        let invitation = Invitation::new(installation, &self.name, hsms, root, &log_key, node)?;
        write_output(&self.out, &invitation.encode()?)?;
        let mut value = shown_json(&invitation)?;
        value["invitation_file"] = json!(self.out);
        let mut text = shown(&invitation, true)?;
        text.push_str(&format!(
            "next: give {} to the custodians, and read its fingerprint to each of them by telephone\n",
            self.out.display()
        ));
        Report::new(&value, text)
    }

    /// The HSMs that are named, or all.
    fn identities(&self, context: &Context) -> Result<Vec<HsmIdentityView>, CliError> {
        let mut all = context.call(&HsmIdentities {})?;
        for name in &self.hsms {
            if !all.iter().any(|identity| identity.hsm.name == *name) {
                return Err(CliError::with_remedy(
                    FailureKind::NotFound,
                    format!("there is no HSM named {name}"),
                    "chancery hsm list",
                ));
            }
        }
        if !self.hsms.is_empty() {
            all.retain(|identity| self.hsms.contains(&identity.hsm.name));
        }
        if all.is_empty() {
            return Err(CliError::with_remedy(
                FailureKind::NotFound,
                "there is no HSM that custodians could accept",
                "chancery hsm init --help",
            ));
        }
        Ok(all)
    }
}

/// Whether an HSM is known by the root of this installation's virtual tokens alone.
fn needs_root(identities: &[HsmIdentityView]) -> Result<bool, CliError> {
    let genuine =
        TrustAnchors::production().map_err(|error| CliError::new(FailureKind::Internal, chain(&error)))?;
    Ok(identities.iter().any(|identity| {
        DeviceChain::parse(&identity.chain.0)
            .ok()
            .and_then(|chain| chain.verify(&genuine, None).ok())
            .is_none()
    }))
}

fn node_certificate(path: &std::path::Path) -> Result<String, CliError> {
    let missing = || {
        CliError::with_remedy(
            FailureKind::NotFound,
            format!("the node has no certificate of its own ({})", path.display()),
            "start it so that clients reach it: chancery serve --api-listen ADDRESS",
        )
    };
    if !path.is_file() {
        return Err(missing());
    }
    String::from_utf8(read_input(path, MOST_CERTIFICATE)?).map_err(|_| missing())
}

/// An invitation for people. Its fingerprint is for who reads it out, not for who is about to hear it.
pub(super) fn shown(invitation: &Invitation, with_fingerprint: bool) -> Result<String, CliError> {
    let mut rows = vec![(
        "installation",
        if invitation.name().is_empty() {
            invitation.installation().to_string()
        } else {
            format!(
                "{}, which calls itself {}",
                invitation.installation(),
                chancery_agent::one_line(invitation.name())
            )
        },
    )];
    for hsm in invitation.hsms()? {
        rows.push(("HSM", hsm_line(&hsm)));
    }
    rows.push(("audit log's key", invitation.log_key()?.to_vkey()));
    if let Some(node) = invitation.node() {
        rows.push(("node", chancery_agent::one_line(&node.url)));
    }
    if with_fingerprint {
        rows.push(("FINGERPRINT", invitation.fingerprint()?.to_string()));
    }
    Ok(facts(&rows))
}

fn hsm_line(hsm: &SeenHsm) -> String {
    let nature = match &hsm.genuineness {
        Ok(genuineness) => nature(*genuineness).to_owned(),
        Err(why) => format!("UNKNOWN: {}", chancery_agent::one_line(why)),
    };
    format!(
        "{}: device {}, key SHA-256 {}: {nature}",
        chancery_agent::one_line(&hsm.name),
        chancery_agent::one_line(&hsm.hsm.device),
        hsm.hsm.key
    )
}

/// An invitation for programs.
pub(super) fn shown_json(invitation: &Invitation) -> Result<Value, CliError> {
    let hsms: Vec<_> = invitation
        .hsms()?
        .into_iter()
        .map(|hsm| {
            json!({
                "name": hsm.name, "device": hsm.hsm.device, "key": hsm.hsm.key,
                "genuineness": hsm.genuineness.map_or("unknown", word),
            })
        })
        .collect();
    Ok(json!({
        "installation": invitation.installation(), "name": invitation.name(),
        "fingerprint": invitation.fingerprint()?.to_string(), "hsms": hsms,
        "log_key": invitation.log_key()?.to_vkey(), "node": invitation.node().map(|node| &node.url),
    }))
}
