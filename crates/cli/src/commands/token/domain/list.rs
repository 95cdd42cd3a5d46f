//! `token domain list`.

use chancery_tokens::{
    domain::{DomainKey, DomainState, Overview, Place},
    reach::Intent,
};
use clap::Args;
use serde_json::{Value, json};

use super::desk::keys_json;
use crate::{
    commands::token::{
        failure::card,
        reaching::{TokenArgs, select},
    },
    context::Context,
    error::CliError,
    report::Report,
    table::{list, table},
};

/// Shows the key domains of a token.
#[derive(Args)]
#[command(after_help = "Example: chancery token domain list alice\n\
No PIN is asked. Tokens with the same key check value (KCV) have the same key encryption key: what one wraps the other unwraps. An \
exchange key domain is known by its group, x and y of the public key that signs for it.")]
pub(crate) struct List {
    #[command(flatten)]
    token: TokenArgs,
}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, self.token.token.as_deref(), Intent::Read)?;
        let overview = Overview::of(&mut token).map_err(|error| card(&chosen.to_string(), &error))?;
        Report::new(
            &json!({
                "token": chosen.device(),
                "domains": overview.places.iter().map(view).collect::<Vec<_>>(),
                "keys_in_no_domain": keys_json(&overview.outside),
            }),
            text(&overview),
        )
    }
}

fn text(overview: &Overview) -> String {
    let rows = overview
        .places
        .iter()
        .map(|place| {
            let (kind, shares) = match &place.state {
                DomainState::Free => ("free", "-".to_owned()),
                DomainState::Shares { shares: 0, .. } => ("random", "-".to_owned()),
                DomainState::Shares {
                    shares, outstanding, ..
                } => (
                    "shares",
                    format!("{} of {shares}", shares.saturating_sub(*outstanding)),
                ),
                DomainState::Exchange { .. } => ("exchange", "-".to_owned()),
            };
            let kcv = place.state.kcv();
            vec![
                place.number.to_string(),
                kind.to_owned(),
                shares,
                kcv.map_or_else(|| "-".to_owned(), |kcv| kcv.to_string()),
                list(&names(&place.keys)),
            ]
        })
        .collect();
    let mut text = table(
        &["DOMAIN", "KIND", "SHARES", "KCV", "KEYS"],
        rows,
        "no key domains: this token was set up without, and its keys never leave it",
    );
    for place in &overview.places {
        if let DomainState::Exchange { group, .. } = &place.state {
            text.push_str(&format!(
                "group of domain {}: {}\n",
                place.number,
                hex::encode_upper(group)
            ));
        }
    }
    if !overview.outside.is_empty() {
        text.push_str(&format!(
            "in no domain, never to leave the token: {}\n",
            list(&names(&overview.outside))
        ));
    }
    text
}

fn names(keys: &[DomainKey]) -> Vec<String> {
    keys.iter()
        .map(|key| match (key.label.as_str(), key.exchange) {
            ("", false) => key.id.to_string(),
            ("", true) => format!("{} (exchange key)", key.id),
            (label, _) => format!("{} {label:?}", key.id),
        })
        .collect()
}

fn view(place: &Place) -> Value {
    let mut view = json!({
        "domain": place.number,
        "kind": "free",
        "kcv": place.state.kcv().map(|kcv| kcv.to_string()),
        "keys": keys_json(&place.keys),
    });
    match &place.state {
        DomainState::Free => {}
        DomainState::Shares {
            shares, outstanding, ..
        } => {
            view["kind"] = json!("shares");
            view["shares"] = json!(shares);
            view["outstanding"] = json!(outstanding);
        }
        DomainState::Exchange { group, .. } => {
            view["kind"] = json!("exchange");
            view["group"] = json!(hex::encode_upper(group));
        }
    }
    view
}
