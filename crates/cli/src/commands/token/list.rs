//! `token list`.

use chancery_tokens::reach::{Found, Presence};
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::reaching::places;
use crate::{context::Context, error::CliError, report::Report, table::table};

/// Shows the tokens here.
#[derive(Args)]
#[command(after_help = "Example: chancery token list --json\n\
What a token says about itself is shown as it says it; chancery token info checks it.")]
pub(crate) struct List {}

/// A token as it is shown.
#[derive(Serialize)]
struct FoundView {
    device: Option<String>,
    label: Option<String>,
    name: Option<String>,
    transport: &'static str,
    reader: String,
    state: &'static str,
    in_use_by: Option<u32>,
    why: Option<String>,
}

impl From<&Found> for FoundView {
    fn from(found: &Found) -> Self {
        let (state, in_use_by, why) = match &found.presence {
            Presence::Ready => ("ready", None, None),
            Presence::InUse { pid } => ("in-use", *pid, None),
            Presence::Unusable { why } => ("unusable", None, Some(why.clone())),
        };
        Self {
            device: found.device.clone(),
            label: found.label.clone(),
            name: found.way.virtual_name().map(ToString::to_string),
            transport: found.way.transport(),
            reader: found.way.to_string(),
            state,
            in_use_by,
            why,
        }
    }
}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let survey = places(context)?.survey()?;
        for remark in &survey.remarks {
            context.tell(format!("({remark})"));
        }
        let views: Vec<_> = survey.tokens.iter().map(FoundView::from).collect();
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let rows = views
            .iter()
            .map(|view| {
                let state = match (view.in_use_by, &view.why) {
                    (Some(pid), _) => format!("in use by process {pid}"),
                    (None, Some(why)) => format!("unusable: {why}"),
                    (None, None) => view.state.replace('-', " "),
                };
                vec![dash(&view.device), dash(&view.label), view.reader.clone(), state]
            })
            .collect();
        let text = table(
            &["DEVICE", "LABEL", "WHERE", "STATE"],
            rows,
            "no tokens here; connect one, or make a virtual one: chancery vtoken create NAME",
        );
        Report::new(&json!({ "tokens": views, "remarks": survey.remarks }), text)
    }
}
