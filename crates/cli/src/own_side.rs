//! A custodian's own side: which token, what was accepted, where the audit log was seen. It is in the data directory here, and knows of
//! the installation what the custodian accepted, or it is that of the installation itself.

use std::path::{Path, PathBuf};

use chancery_agent::{Accepted, AgentError, OwnToken, Seat, SeenLog, UnlockedToken};
use chancery_api::{FailureKind, InstallationId};
use chancery_audit::NoteVerifier;
use chancery_cvc::TrustAnchors;
use chancery_driver::PinStatus;
use chancery_node::AuditKey;
use chancery_tokens::reach::{Intent, Reached};

use crate::{
    commands::token::{
        failure::card,
        pins::{UserPinArgs, refuse_hopeless, user_pin},
        reaching::{Chosen, anchors, reach},
    },
    context::Context,
    error::{CliError, chain},
};

/// What a custodian of this name accepted on this machine; `None` when nothing was. Of several installations the one whose node is called
/// is meant.
pub(crate) fn seat_of(context: &Context, person: &str, node: Option<&str>) -> Result<Option<Seat>, CliError> {
    let Some(data) = context.data_if_any()? else {
        return Ok(None);
    };
    // In the data directory of the installation itself, and at its own node, nothing was ever accepted from afar.
    if node.is_none() && data.installation_file().try_exists().unwrap_or(false) {
        return Ok(None);
    }
    let mut seats = Seat::all(&Context::accepted_directory(&data))?;
    seats.retain(|seat| seat.membership().person() == person);
    let called = |seat: &Seat| {
        let known = seat.membership().node().map(|node| node.url.as_str());
        node.is_some() && known == node
    };
    if seats.iter().filter(|seat| called(seat)).count() == 1 {
        seats.retain(called);
    }
    match seats.len() {
        0 | 1 => Ok(seats.pop()),
        _ => {
            let known: Vec<_> = seats
                .iter()
                .map(|seat| {
                    let membership = seat.membership();
                    let node = membership.node().map_or("no address", |node| node.url.as_str());
                    format!(
                        "{} ({})",
                        membership.installation(),
                        chancery_agent::one_line(node)
                    )
                })
                .collect();
            Err(CliError::with_remedy(
                FailureKind::Conflict,
                format!(
                    "{person} is a custodian of several installations here: {}",
                    known.join(", ")
                ),
                "name the node: --node https://HOST:PORT",
            ))
        }
    }
}

/// A custodian's side.
pub(crate) struct OwnSide {
    /// The custodian's name.
    pub(crate) person: String,
    /// The installation that is answered.
    pub(crate) installation: InstallationId,
    /// The HSMs that are answered.
    pub(crate) accepted: Accepted,
    /// The roots under which they count.
    pub(crate) anchors: TrustAnchors,
    kept: Kept,
    token: String,
    device: String,
}

/// Where the place of the audit log is kept.
enum Kept {
    /// Beside the installation's own data.
    Here {
        directory: PathBuf,
        key: Option<NoteVerifier>,
    },
    /// With what was accepted from afar.
    Seat(Seat),
}

impl OwnSide {
    /// The side of a custodian with a seat, or of one of the installation here. `here` says whether its own node is called, which is
    /// then asked whose token is whose.
    pub(crate) fn new(
        context: &Context,
        seat: Option<Seat>,
        here: bool,
        person: &str,
        token: Option<&str>,
    ) -> Result<Self, CliError> {
        match seat {
            Some(seat) => Self::from_afar(seat, token),
            None => Self::of_installation(context, here, person, token),
        }
    }

    fn from_afar(seat: Seat, token: Option<&str>) -> Result<Self, CliError> {
        let membership = seat.membership();
        Ok(Self {
            person: membership.person().to_owned(),
            installation: membership.installation(),
            accepted: seat.accepted()?,
            anchors: membership.anchors()?,
            device: membership.device().to_owned(),
            token: token.map_or_else(|| format!("device:{}", membership.device()), str::to_owned),
            kept: Kept::Seat(seat),
        })
    }

    fn of_installation(
        context: &Context,
        here: bool,
        person: &str,
        token: Option<&str>,
    ) -> Result<Self, CliError> {
        let data = match context.data_if_any()? {
            Some(data) if data.installation_file().try_exists().unwrap_or(false) => data,
            _ => {
                return Err(CliError::with_remedy(
                    FailureKind::NotFound,
                    format!("{person} has accepted no installation on this machine"),
                    format!(
                        "chancery custodian accept INVITATION --as {person}, with the file the administrator made by chancery custodian \
                         invitation; docs/custodians.md shows all steps"
                    ),
                ));
            }
        };
        let tokens = context.tokens()?;
        let device = match token {
            None if here => context.person(person)?.device,
            // A node elsewhere is not asked whose token is whose.
            named => token_device(context, named.unwrap_or(person))?,
        };
        let directory = Context::accepted_directory(&data);
        let key = AuditKey::verifier(&data)
            .map_err(|error| CliError::new(FailureKind::Unavailable, chain(&error)))?;
        Ok(Self {
            person: person.to_owned(),
            installation: data.installation()?.id,
            accepted: Accepted::load(&directory, &device)?,
            anchors: tokens.anchors().clone(),
            kept: Kept::Here { directory, key },
            token: token.map_or_else(|| format!("device:{device}"), str::to_owned),
            device,
        })
    }

    /// Opens the own token, which must be the one that belongs here, and presents its PIN. It is held until what this gives is dropped.
    pub(crate) fn unlock(
        &self,
        context: &Context,
        pin_file: Option<&Path>,
    ) -> Result<UnlockedToken, CliError> {
        if matches!(self.kept, Kept::Here { .. }) {
            match context.tokens()?.by_device(&self.device) {
                Ok(token) => return context.present_pin(token, pin_file),
                Err(AgentError::NoToken { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (chosen, token) = reached(context, &self.token, Some(&self.device))?;
        present_pin(context, &chosen, token, pin_file)
    }

    /// Where the audit log was seen last.
    pub(crate) fn log(&self) -> Result<SeenLog, CliError> {
        match &self.kept {
            Kept::Seat(seat) => Ok(seat.log()?),
            Kept::Here { directory, key } => {
                let mut log = SeenLog::load(directory, &self.device)?;
                if let Some(key) = key {
                    log.pin(self.installation, key.clone())?;
                }
                Ok(log)
            }
        }
    }
}

/// CHR of the device certificate of a token that somebody names.
fn token_device(context: &Context, named: &str) -> Result<String, CliError> {
    let tokens = context.tokens()?;
    match tokens.open(named) {
        Ok(mut token) => Ok(token.device(tokens.anchors())?),
        Err(AgentError::NoToken { .. }) => {
            let (_, mut token) = reached(context, named, None)?;
            Ok(token.device(&anchors(context)?)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reaches a token of this machine, wherever it is plugged in, and makes sure that it is the one with this device certificate.
pub(crate) fn reached(
    context: &Context,
    wanted: &str,
    device: Option<&str>,
) -> Result<(Chosen, OwnToken), CliError> {
    taken(context, reach(context, Some(wanted), Intent::Change)?, device)
}

/// The token called so, or the only one there is.
pub(crate) fn reached_or_only(
    context: &Context,
    wanted: Option<&str>,
) -> Result<(Chosen, OwnToken), CliError> {
    taken(context, reach(context, wanted, Intent::Read)?, None)
}

fn taken(context: &Context, reached: Reached, device: Option<&str>) -> Result<(Chosen, OwnToken), CliError> {
    let chosen = Chosen::of(&reached);
    let called = chosen.to_string();
    let mut token = OwnToken::select(&called, Box::new(reached.into_transport()))?;
    if let Some(device) = device {
        let found = token.device(&anchors(context)?)?;
        if found != device {
            return Err(AgentError::OtherToken {
                name: called,
                label: device.to_owned(),
                device: found,
            }
            .into());
        }
    }
    Ok((chosen, token))
}

/// Asks for the PIN of a token that was reached, at this machine, and presents it. The tries left are known before.
pub(crate) fn present_pin(
    context: &Context,
    chosen: &Chosen,
    mut token: OwnToken,
    pin_file: Option<&Path>,
) -> Result<UnlockedToken, CliError> {
    let called = chosen.to_string();
    let status = token.card().pin_status().map_err(|error| card(&called, &error))?;
    if status == PinStatus::QuorumOpen {
        return Err(CliError::with_remedy(
            FailureKind::Blocked,
            format!("{called} is opened by custodians, not by a PIN: it is no person's token"),
            "name your own token with --token; chancery token list shows those here",
        ));
    }
    refuse_hopeless(&called, status)?;
    let source = UserPinArgs {
        pin_file: pin_file.map(Path::to_owned),
    };
    let pin = user_pin(context, chosen, &source, status)?;
    Ok(token.unlock_with(&pin)?)
}
