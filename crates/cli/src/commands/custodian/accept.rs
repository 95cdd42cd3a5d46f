//! `custodian accept`: from then on this machine answers the HSMs of the invitation, and no others.

use std::path::PathBuf;

use chancery_agent::{Invitation, InvitedNode, Membership, Seat};
use chancery_api::{FailureKind, check_name};
use clap::Args;
use serde_json::json;

use super::{
    MOST_BYTES,
    card::own_client_key,
    compare::Comparison,
    invitation::{shown, shown_json},
};
use crate::{
    commands::{read_input, token::reaching::anchors},
    context::Context,
    error::CliError,
    own_side::reached_or_only,
    report::Report,
};

/// Accepts an invitation.
#[derive(Args)]
#[command(after_help = "\
Example: chancery custodian accept center.invitation --as bob
Example: chancery custodian accept center.invitation --as bob --fingerprint \"3f2a 91bc ...\"    where nobody is at a terminal
Have the administrator read the fingerprint to you by telephone, and type it: it covers the HSMs and their keys, the audit log's key, and \
the node. A known name with another key is refused, whatever is typed; further HSMs are added by accepting another invitation.")]
pub(crate) struct Accept {
    /// The invitation; - for standard input
    invitation: PathBuf,
    /// Your name in the installation
    #[arg(long = "as", value_name = "NAME")]
    custodian: String,
    /// Your token: device id, label, or name of a virtual token [default: the only one there is]
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The fingerprint as you got it, instead of typing it
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// Key by which this machine calls the node [default: the one chancery custodian card made]
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// Address of the node, when the invitation has none or another one
    #[arg(long, value_name = "URL", requires = "node_cert")]
    node: Option<String>,
    /// The node's own certificate
    #[arg(long, value_name = "FILE", requires = "node")]
    node_cert: Option<PathBuf>,
}

impl Accept {
    /// Runs the command.
    pub(super) fn run(self, context: &Context) -> Result<Report, CliError> {
        // By the rule of the node: nobody has another name there, and what was accepted is never exchanged.
        check_name(&self.custodian)?;
        let invitation = Invitation::parse(&read_input(&self.invitation, MOST_BYTES)?)?;
        let (chosen, mut token) = reached_or_only(context, self.token.as_deref())?;
        let device = token.device(&anchors(context)?)?;
        drop(token);
        let mut membership = Membership::new(&invitation, &self.custodian, &device)?;
        if let (Some(url), Some(file)) = (&self.node, &self.node_cert) {
            membership = membership.with_node(InvitedNode {
                url: url.clone(),
                certificate: String::from_utf8(read_input(file, MOST_BYTES)?).map_err(|_| {
                    CliError::new(
                        FailureKind::Invalid,
                        format!("{} is no certificate in PEM form", file.display()),
                    )
                })?,
            });
        }
        if let Some(file) = self.client_key(context)? {
            membership = membership.with_client_key(file);
        }
        let directory = Context::accepted_directory(&context.data_or_new()?);
        // Not its fingerprint: who could copy it here would have compared nothing.
        context.tell(shown(&invitation, false)?.trim_end());
        let known = Seat::check(&directory, &invitation, &membership)?;
        if !known.is_empty() {
            let names: Vec<_> = known.iter().map(|name| chancery_agent::one_line(name)).collect();
            context.tell(format!(
                "accepted before, and still the same: {}",
                names.join(", ")
            ));
        }
        self.confirm(context, &invitation)?;
        let seat = Seat::accept(&directory, &invitation, membership)?;
        let mut value = shown_json(&invitation)?;
        value["custodian"] = json!(self.custodian);
        value["device"] = json!(device);
        value["client_key_file"] = json!(seat.membership().client_key());
        let names: Vec<_> = seat
            .accepted()?
            .hsms()
            .keys()
            .map(|name| chancery_agent::one_line(name))
            .collect();
        let text = format!(
            "{} answers, with token {chosen}, these HSMs and no others: {}\naccepted: {}\nnext: chancery approve --as {} --watch\n",
            self.custodian,
            names.join(", "),
            invitation.fingerprint()?,
            self.custodian
        );
        Report::new(&value, text)
    }

    fn client_key(&self, context: &Context) -> Result<Option<PathBuf>, CliError> {
        match &self.client_key {
            Some(path) => std::path::absolute(path)
                .map(Some)
                .map_err(CliError::file("find", path)),
            None => Ok(Some(own_client_key(context)?).filter(|path| path.is_file())),
        }
    }

    /// The fingerprint, from somebody who heard it.
    fn confirm(&self, context: &Context, invitation: &Invitation) -> Result<(), CliError> {
        let right = invitation.fingerprint()?;
        let comparison = Comparison {
            what: "invitation",
            of_it: "fingerprint",
            who: "the administrator",
            nothing: "nothing was accepted",
            file: &self.invitation,
            heard: self.fingerprint.as_deref(),
        };
        comparison.confirm(context, |heard| right.is(heard))
    }
}
