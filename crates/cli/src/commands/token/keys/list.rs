//! `token keys list`.

use chancery_driver::KeyCertificate;
use chancery_tokens::{
    catalogue::{Catalogue, Description, Hold, ListedKey},
    explore::names,
    key::{KeyDetails, algorithm, read_certificate},
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
No PIN is asked. One command is sent for the list, and for each key one for its description and one for what stands beside it, a \
certificate or the request it was made with; --long asks each key as well what it may be used for.")]
pub(crate) struct List {
    #[command(flatten)]
    token: TokenArgs,
    /// Show key domain, uses left, and permitted algorithms, and mark custodians' keys
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
    /// What stands beside it, see [`certificate_word`].
    certificate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    #[serde(flatten)]
    more: Option<More>,
}

/// What `--long` adds.
#[derive(Serialize)]
struct More {
    custodian_key: bool,
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
            if self.long {
                if let Some(details) =
                    KeyDetails::beside(&mut token, key.id, key.description.clone()).map_err(failed)?
                {
                    view.show(key, details.certificate.as_ref());
                    view.add(&details);
                }
            } else if key.has_certificate != Some(false) {
                let certificate = read_certificate(&mut token, key.id).map_err(failed)?;
                view.show(key, certificate.as_ref());
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
            algorithm: algorithm(None, &key.description),
            certificate: certificate_word(None).to_owned(),
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
    /// What stands beside the key, and what it says of the key.
    fn show(&mut self, key: &ListedKey, certificate: Option<&KeyCertificate>) {
        let public_key = certificate.and_then(KeyCertificate::public_key);
        self.algorithm = algorithm(public_key.as_ref(), &key.description);
        self.certificate = certificate_word(certificate).to_owned();
    }

    fn add(&mut self, details: &KeyDetails) {
        self.more = Some(More {
            custodian_key: details.is_custodian_key(),
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
    let mut header = vec!["KEY", "LABEL", "ID", "ALGORITHM", "BESIDE IT"];
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
                let mark = if more.custodian_key {
                    " (custodian's key)"
                } else {
                    ""
                };
                row.push(format!("{}{mark}", list(&more.permitted)));
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
