//! `token keys list`.

use chancery_driver::KeyCertificate;
use chancery_tokens::{
    catalogue::{Catalogue, Description, Hold, ListedKey},
    explore::names,
    key::{KeyDetails, described},
    reach::Intent,
};
use clap::Args;
use serde::Serialize;
use serde_json::json;

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

/// Shows the keys of a token.
#[derive(Args)]
#[command(after_help = "Example: chancery token keys list DENK0404144 --long\n\
No PIN is asked. Without --long one command is sent for the list and one for each description; --long asks each key as well \
what it may be used for, and reads its certificate or request.")]
pub(crate) struct List {
    #[command(flatten)]
    token: TokenArgs,
    /// Show key domain, uses left, permitted algorithms, and what kind of certificate there is
    #[arg(long, short)]
    long: bool,
}

/// A key as it is shown.
#[derive(Serialize)]
struct KeyView {
    id: u8,
    label: Option<String>,
    cka_id: Option<String>,
    algorithm: String,
    /// `yes`, `no` or `unknown`; with `--long` what it is.
    certificate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    #[serde(flatten)]
    more: Option<More>,
}

/// What `--long` adds.
#[derive(Serialize)]
struct More {
    key_domain: Option<u8>,
    use_counter: Option<u32>,
    permitted: Vec<String>,
}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let (chosen, mut token) = select(context, self.token.token.as_deref(), Intent::Read)?;
        let called = chosen.to_string();
        let failed = |error: chancery_driver::Error| card(&called, &error);
        let listing = Catalogue::new().look(&mut token, Hold::Lost).map_err(failed)?;
        let mut views = Vec::new();
        for key in &listing.keys {
            let mut view = KeyView::from(key);
            if self.long
                && let Some(details) =
                    KeyDetails::beside(&mut token, key.id, key.description.clone()).map_err(failed)?
            {
                view.add(&details);
            }
            views.push(view);
        }
        let orphans: Vec<String> = listing.orphans.iter().map(ToString::to_string).collect();
        let text = text(&views, &orphans, self.long);
        Report::new(
            &json!({ "token": chosen.device(), "keys": views, "orphans": orphans }),
            text,
        )
    }
}

impl From<&ListedKey> for KeyView {
    fn from(key: &ListedKey) -> Self {
        let known = key.description.known();
        Self {
            id: key.id.0,
            label: known.map(|description| description.label.clone()),
            cka_id: known.map(|description| hex::encode(&description.id)),
            algorithm: known.map_or_else(
                || "unknown".to_owned(),
                |description| described(description.key_type, description.key_size),
            ),
            certificate: match key.has_certificate {
                Some(true) => "yes",
                Some(false) => "no",
                None => "unknown",
            }
            .to_owned(),
            remark: match &key.description {
                Description::Known(_) => None,
                Description::Missing => Some("no description".to_owned()),
                Description::Odd { why } => Some(format!("odd description: {why}")),
            },
            more: None,
        }
    }
}

impl KeyView {
    fn add(&mut self, details: &KeyDetails) {
        self.algorithm = details.algorithm();
        self.certificate = certificate_word(details.certificate.as_ref()).to_owned();
        self.more = Some(More {
            key_domain: details.attributes.key_domain,
            use_counter: details.attributes.use_counter,
            permitted: names(&details.attributes),
        });
    }
}

/// One word for what CExx holds.
pub(super) fn certificate_word(certificate: Option<&KeyCertificate>) -> &'static str {
    match certificate {
        None => "none",
        Some(KeyCertificate::Request(_)) => "request",
        Some(KeyCertificate::X509(_)) => "X.509 certificate",
        Some(KeyCertificate::Cvc(_)) => "card verifiable certificate",
        Some(_) => "unknown",
    }
}

fn text(views: &[KeyView], orphans: &[String], long: bool) -> String {
    let mut header = vec!["KEY", "LABEL", "ID", "ALGORITHM", "CERTIFICATE"];
    if long {
        header.extend(["DOMAIN", "USES LEFT", "PERMITTED"]);
    }
    let dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".to_owned());
    let rows = views
        .iter()
        .map(|view| {
            let mut row = vec![
                view.id.to_string(),
                match (&view.label, &view.remark) {
                    (Some(label), _) => label.clone(),
                    (None, remark) => format!("({})", dash(remark.as_ref())),
                },
                dash(view.cka_id.as_ref()),
                view.algorithm.clone(),
                view.certificate.clone(),
            ];
            if let (true, Some(more)) = (long, &view.more) {
                row.push(
                    more.key_domain
                        .map_or_else(|| "-".to_owned(), |domain| domain.to_string()),
                );
                row.push(
                    more.use_counter
                        .map_or_else(|| "-".to_owned(), |uses| uses.to_string()),
                );
                row.push(if more.permitted.is_empty() {
                    "everything".to_owned()
                } else {
                    list(&more.permitted)
                });
            }
            row
        })
        .collect();
    let mut text = table(
        &header,
        rows,
        "no keys on this token; chancery token keys generate TOKEN ALGORITHM makes one",
    );
    if !orphans.is_empty() {
        text.push_str(&format!(
            "left over from keys that are gone: {}; chancery token explore shows them\n",
            list(orphans)
        ));
    }
    text
}
