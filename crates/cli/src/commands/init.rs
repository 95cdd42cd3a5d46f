//! `init`: an installation comes into being with its first manager, whose key is pinned outside the database.

use std::path::PathBuf;

use chancery_agent::{act_key, one_line};
use chancery_api::{
    ActId, ActPayload, Base64, Decision, FailureKind, Hash32, Installation, InstallationId, PersonDocument,
    PersonId, Role,
};
use chancery_cvc::{AuthenticatedRequest, DeviceChain};
use chancery_node::{LayoutError, SystemClock};
use chancery_vtoken::TokenName;
use clap::Args;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::{context::Context, error::CliError, report::Report, secrets::random, table::facts};

/// Makes an installation.
#[derive(Args)]
#[command(
    after_help = "Example: chancery vtoken create alice --init\n         chancery init --manager alice --token alice\n\
All rights go back to this manager's key, which is pinned in installation.json. It is never replaced; a second init is refused."
)]
pub(crate) struct Init {
    /// Name of the first TrustCenter Manager
    #[arg(long, value_name = "NAME")]
    manager: String,
    /// The manager's token
    #[arg(long, value_name = "TOKEN")]
    token: String,
    /// Further roles of the first manager
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<Role>,
    /// An installation for rehearsal: PINs are generated and kept in a file
    #[arg(long)]
    rehearsal: bool,
    /// Take the PIN from the first line of a file that nobody else may read; - for standard input
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

impl Init {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let data = context.data_or_new()?;
        match data.installation() {
            Err(LayoutError::NotInitialised(_)) => {}
            Err(error @ (LayoutError::Io { .. } | LayoutError::InstallationMissing(_))) => {
                return Err(error.into());
            }
            Ok(_) | Err(_) => return Err(LayoutError::AlreadyInitialised(data.path().to_owned()).into()),
        }
        // Names of people have the form of names of tokens.
        TokenName::new(&self.manager).map_err(|_| {
            CliError::with_remedy(
                FailureKind::Invalid,
                format!("{:?} is no name", self.manager),
                "1 to 32 of a-z, 0-9 and -, not beginning with -",
            )
        })?;
        context.tell(format!(
            "{} becomes the first manager of a new installation in {}",
            self.manager,
            data.path().display()
        ));
        let anchors = context.tokens()?;
        let mut token = context.unlocked_token(&self.token, self.pin_file.as_deref())?;
        let evidence = act_key(&mut token, anchors.anchors())?;

        let refused =
            |why: String| CliError::new(FailureKind::Refused, format!("token {}: {why}", self.token));
        let identity = DeviceChain::parse(&evidence.chain)
            .map_err(|error| refused(error.to_string()))?
            .verify(anchors.anchors(), None)
            .map_err(|error| refused(error.to_string()))?;
        let request =
            AuthenticatedRequest::parse(&evidence.key_request).map_err(|error| refused(error.to_string()))?;
        let attested = request
            .verify(&identity)
            .map_err(|error| refused(error.to_string()))?;
        let key = attested
            .public_key()
            .to_spki_der()
            .map_err(|error| refused(error.to_string()))?;

        let mut roles = self.roles;
        roles.push(Role::TrustcenterManager);
        roles.sort_unstable();
        roles.dedup();
        let id = InstallationId::new(Uuid::new_v4());
        let person = PersonDocument {
            id: PersonId::new(Uuid::new_v4()),
            name: self.manager,
            roles,
            key: Hash32::of(&key),
            device: identity.name().to_string(),
        };
        let now = SystemClock
            .now()
            .replace_nanosecond(0)
            .unwrap_or_else(|_| SystemClock.now());
        let payload = ActPayload {
            v: 1,
            installation: id,
            act: ActId::new(Uuid::new_v4()),
            nonce: Hash32(random()?),
            time: now
                .format(&Rfc3339)
                .map_err(|error| CliError::new(FailureKind::Internal, error.to_string()))?,
            person: person.id,
            name: person.name.clone(),
            decision: Decision::Init {
                person: person.clone(),
            },
        };
        let installation = Installation {
            v: 1,
            id,
            rehearsal: self.rehearsal,
            first_manager: token.sign_first_act(&payload)?,
            first_manager_key: Base64(key),
            first_manager_chain: Base64(evidence.chain),
            first_manager_request: Base64(evidence.key_request),
        };
        data.save_installation(&installation)?;
        let titles: Vec<_> = person.roles.iter().map(|role| role.title()).collect();
        let text = facts(&[
            ("installation", id.to_string()),
            ("data directory", data.path().display().to_string()),
            ("first manager", one_line(&person.name)),
            ("roles", titles.join(", ")),
            ("token", person.device.clone()),
            ("pinned key", format!("SHA-256 {}", person.key)),
            (
                "for",
                if self.rehearsal {
                    "rehearsal: its PINs are in a file"
                } else {
                    "real use"
                }
                .to_owned(),
            ),
        ]);
        Report::new(&installation, text)
    }
}
