//! `vtoken`: virtual tokens. They need no node.

mod plug;
mod reader_conf;
mod telling;
mod unplug;

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal as _},
};

use chancery_agent::{LocalTokens, TokenPins, initialise};
use chancery_api::{FailureKind, SecretText};
use chancery_driver::{Pin, PinFormatError, SoPin};
use chancery_node::{DataDir, SystemClock};
use chancery_vtoken::{
    Firmware, Inventory, ManageError, TokenName, TokenSummary, UnreadableToken, destroy, inventory,
};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use self::{
    plug::Plug,
    unplug::{Unplug, plugged},
};
use crate::{
    commands::typed_line,
    context::Context,
    error::CliError,
    report::Report,
    secrets::{ask_so_pin, ask_user_pin, rehearsal_pins},
    table::table,
};

/// Virtual tokens.
#[derive(Subcommand)]
#[command(after_help = "Example: chancery vtoken create alice --init")]
pub(crate) enum VtokenCommand {
    /// Make virtual tokens, each with its own device certificate
    Create(Create),
    /// Show the tokens here
    List(List),
    /// Plug tokens into this machine's readers, where other programs find them
    Plug(Plug),
    /// Pull plugged tokens
    Unplug(Unplug),
    /// Destroy a token and its keys
    Destroy(Destroy),
}

impl VtokenCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        match self {
            Self::Create(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Plug(command) => command.run(context),
            Self::Unplug(command) => command.run(context),
            Self::Destroy(command) => command.run(context),
        }
    }
}

/// A token as it is shown.
#[derive(Serialize)]
struct TokenView {
    name: String,
    device: Option<String>,
    created: Option<String>,
    in_use_by: Option<u32>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl From<TokenSummary> for TokenView {
    fn from(token: TokenSummary) -> Self {
        Self {
            name: token.name.to_string(),
            device: Some(token.device_id),
            created: Some(token.created.to_string()),
            in_use_by: token.in_use_by,
            why: None,
        }
    }
}

impl From<UnreadableToken> for TokenView {
    fn from(token: UnreadableToken) -> Self {
        Self {
            name: token.name.to_string(),
            device: None,
            created: None,
            in_use_by: None,
            why: Some(token.why),
        }
    }
}

/// Makes tokens.
#[derive(Args)]
#[command(
    after_help = "Example: chancery vtoken create hsm-a hsm-b\n         chancery vtoken create alice bob --init\n\
A virtual token is software for development, rehearsal and low-assurance use; it never passes for a genuine device.\n\
A person's token needs --init; a token that becomes an HSM is initialised by chancery hsm init."
)]
pub(crate) struct Create {
    /// Names
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Give each a user PIN and an SO-PIN, asked for twice; a token that is there and has none is given them
    #[arg(long)]
    init: bool,
    /// Generate the PINs and keep them in rehearsal-pins.json
    #[arg(long, requires = "init")]
    rehearsal: bool,
    /// Behave like a device with this firmware: 2.6 or 4.1
    #[arg(long, value_name = "VERSION", default_value_t)]
    firmware: Firmware,
}

impl Create {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let names = self
            .names
            .iter()
            .map(|name| {
                TokenName::new(name).map_err(|error| CliError::new(FailureKind::Invalid, error.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let data = context.data_or_new()?;
        let rehearsal = self.rehearsal || context.is_rehearsal()?;
        let factory = context.factory(&data)?;
        let tokens = LocalTokens::new(&data.tokens(), data.at_rest(), Some(&factory))?;
        // The PINs of all first: when one is not to be had nothing is made.
        let mut wanted = Vec::new();
        for name in &names {
            let known = tokens.list()?.into_iter().find(|token| token.name == *name);
            // Made before and interrupted: what is missing is done now.
            if known.is_some() && (!self.init || has_pin(&tokens, name)?) {
                return Err(ManageError::NameTaken(name.clone()).into());
            }
            let pins = if self.init {
                Some(pins_for(&data, name, rehearsal)?)
            } else {
                None
            };
            wanted.push((name, known, pins));
        }
        let mut made = Vec::new();
        for (name, known, pins) in wanted {
            let summary = match known {
                Some(summary) => summary,
                None => factory.create_with(&data.tokens(), name, SystemClock.today(), self.firmware)?,
            };
            if let Some((user, so)) = pins {
                initialise(&mut tokens.open(name.as_str())?, user, so)?;
            }
            made.push(TokenView::from(summary));
        }
        let mut text = show(&made);
        if self.init && rehearsal {
            text.push_str(&format!(
                "for rehearsal: the PINs are in {}\n",
                Context::rehearsal_file(&data).display()
            ));
        }
        Report::new(&made, text)
    }
}

fn has_pin(tokens: &LocalTokens, name: &TokenName) -> Result<bool, CliError> {
    Ok(tokens.open(name.as_str())?.has_pin()?)
}

/// User PIN and SO-PIN of a token. In a rehearsal they are durable before the token knows them.
fn pins_for(data: &DataDir, name: &TokenName, rehearsal: bool) -> Result<(Pin, SoPin), CliError> {
    let pins = if rehearsal {
        rehearsal_pins(&Context::rehearsal_file(data), name.as_str(), true)?
    } else {
        if !can_ask() {
            return Err(CliError::with_remedy(
                FailureKind::Invalid,
                format!("no terminal to ask for the PINs of token {name} at: nothing was done"),
                format!(
                    "chancery vtoken create {name}, then chancery token init {name} --pin-file FILE --so-pin-file FILE --yes; or with \
                     --rehearsal"
                ),
            ));
        }
        TokenPins {
            user_pin: Some(ask_user_pin(name.as_str())?),
            so_pin: ask_so_pin(name.as_str())?,
        }
    };
    let invalid = |error: PinFormatError| {
        CliError::new(
            FailureKind::Invalid,
            format!("token {name}: {error}; nothing was done"),
        )
    };
    let user = pins
        .user_pin
        .as_ref()
        .map(SecretText::secret_text)
        .unwrap_or_default();
    let user = Pin::new(user).map_err(invalid)?;
    let so = SoPin::from_hex(pins.so_pin.secret_text()).map_err(invalid)?;
    Ok((user, so))
}

/// Whether there is a terminal to ask at.
fn can_ask() -> bool {
    OpenOptions::new().read(true).write(true).open("/dev/tty").is_ok()
}

/// Shows tokens.
#[derive(Args)]
#[command(after_help = "Example: chancery vtoken list --json")]
pub(crate) struct List {}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        // The directory alone: a list needs no factory, and nothing that is written.
        let found = match context.data_if_any()? {
            Some(data) => inventory(&data.tokens())?,
            None => Inventory::default(),
        };
        let whole = found.tokens.into_iter().map(TokenView::from);
        let views: Vec<_> = whole
            .chain(found.unreadable.into_iter().map(TokenView::from))
            .collect();
        let text = show(&views);
        Report::new(&views, text)
    }
}

/// Destroys a token.
#[derive(Args)]
#[command(
    after_help = "Example: chancery vtoken destroy hsm-old --yes\nIts keys are gone with it. A token in use is refused."
)]
pub(crate) struct Destroy {
    /// Name
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Destroy {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let name = TokenName::new(&self.name)
            .map_err(|error| CliError::new(FailureKind::Invalid, error.to_string()))?;
        let data = context.data()?;
        if !self.yes {
            if !io::stdin().is_terminal() {
                return Err(CliError::Usage(format!(
                    "nobody can be asked whether to destroy {name}: use --yes"
                )));
            }
            let line = typed_line(&format!(
                "Token {name} and its keys will be gone. Type its name to destroy it:\n"
            ))?;
            if line.trim() != name.as_str() {
                return Err(CliError::new(
                    FailureKind::Invalid,
                    "that is not its name: nothing was destroyed",
                ));
            }
        }
        destroy(&data.tokens(), &name).map_err(|error| match error {
            ManageError::InUse { name, pid } => {
                plugged(&data, &name).unwrap_or_else(|| ManageError::InUse { name, pid }.into())
            }
            error => error.into(),
        })?;
        Report::new(
            &json!({ "destroyed": name.as_str() }),
            format!("token {name} is destroyed"),
        )
    }
}

fn show(views: &[TokenView]) -> String {
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows = views
        .iter()
        .map(|view| {
            let used = match (view.in_use_by, &view.why) {
                (Some(pid), _) => format!("process {pid}"),
                (None, Some(why)) => format!("unusable: {why}"),
                (None, None) => "-".to_owned(),
            };
            vec![view.name.clone(), dash(&view.device), dash(&view.created), used]
        })
        .collect();
    table(
        &["TOKEN", "DEVICE", "CREATED", "IN USE BY"],
        rows,
        "no tokens here; chancery vtoken create NAME makes one",
    )
}
