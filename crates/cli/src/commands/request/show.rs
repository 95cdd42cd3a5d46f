//! `request list`, `request show`, `request why`, and how requests are shown after a decision.

use chancery_agent::one_line;
use chancery_api::{
    RequestDetail, RequestList, RequestNumber, RequestShow, RequestView, RequestWhy, Subject, WhyView,
};
use clap::Args;

use super::{line, request_number};
use crate::{
    context::Context,
    error::CliError,
    report::Report,
    table::{conditions, facts, list, table},
};

/// Shows requests.
#[derive(Args)]
#[command(after_help = "Example: chancery request list --state open")]
pub(crate) struct List {
    /// Only those in this state: open, approved, signing, done, rejected
    #[arg(long)]
    state: Option<String>,
    /// At most this many, up to 200
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Only those with a lower number
    #[arg(long, value_name = "NUMBER", value_parser = request_number)]
    before: Option<RequestNumber>,
}

impl List {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let page = context.call(&RequestList {
            state: self.state,
            before: self.before,
            limit: self.limit,
        })?;
        let rows = page
            .requests
            .iter()
            .map(|view| {
                vec![
                    view.request.to_string(),
                    view.kind.clone(),
                    view.state.clone(),
                    view.created.clone(),
                    view.title.clone(),
                ]
            })
            .collect();
        let mut text = table(&["NUMBER", "KIND", "STATE", "OPENED", "FOR"], rows, "no requests");
        if let Some(next) = &page.next {
            text.push_str(&format!("more: --before {next}\n"));
        }
        Report::new(&page, text)
    }
}

/// Shows a request.
#[derive(Args)]
#[command(after_help = "Example: chancery request show 7")]
pub(crate) struct Show {
    /// Number
    #[arg(value_parser = request_number)]
    number: RequestNumber,
}

impl Show {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let shown = context.call(&RequestShow { request: self.number })?;
        Report::new(&shown, detail(&shown))
    }
}

/// Explains a request.
#[derive(Args)]
#[command(after_help = "Example: chancery request why 7")]
pub(crate) struct Why {
    /// Number
    #[arg(value_parser = request_number)]
    number: RequestNumber,
}

impl Why {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let why = context.call(&RequestWhy { request: self.number })?;
        Report::new(&why, explain(&why))
    }
}

/// A request that was opened.
pub(crate) fn opened(view: &RequestView) -> Result<Report, CliError> {
    Report::new(
        view,
        format!("{}\nnext: chancery request why {}\n", line(view), view.request),
    )
}

/// Requests after a decision.
pub(crate) fn decided(requests: &[RequestDetail]) -> Result<Report, CliError> {
    let mut text = String::new();
    for detail in requests {
        text.push_str(&line(&detail.request));
        text.push('\n');
        if let Some(certificate) = &detail.certificate {
            text.push_str(&format!(
                "  certificate {} is {}\n",
                one_line(&certificate.serial),
                certificate.state
            ));
        }
        text.push_str(&conditions(&detail.unmet));
    }
    Report::new(requests, text)
}

/// A request in full.
pub(crate) fn detail(detail: &RequestDetail) -> String {
    let view = &detail.request;
    let mut lines = vec![
        ("request", view.request.to_string()),
        ("for", view.title.clone()),
        ("state", view.state.clone()),
        ("opened", view.created.clone()),
    ];
    subject_lines(&detail.subject, &mut lines);
    for decision in &detail.decisions {
        let reason = decision
            .reason
            .as_ref()
            .map(|reason| format!(", because: {reason}"))
            .unwrap_or_default();
        lines.push((
            "decision",
            format!(
                "{} by {} at {}{reason}",
                decision.decision, decision.person, decision.time
            ),
        ));
    }
    if let Some(certificate) = &detail.certificate {
        lines.push((
            "certificate",
            format!("{} ({})", certificate.serial, certificate.state),
        ));
    }
    let mut text = facts(&lines);
    if !detail.unmet.is_empty() {
        text.push_str("what is missing, in order:\n");
        text.push_str(&conditions(&detail.unmet));
    }
    text
}

fn subject_lines(subject: &Subject, lines: &mut Vec<(&'static str, String)>) {
    match subject {
        Subject::Certificate(document) => {
            lines.push(("CA", document.ca.clone()));
            lines.push(("profile", document.profile.clone()));
            lines.push(("subject", document.subject.clone()));
            lines.push(("names", list(&document.names)));
            lines.push(("CSR SHA-256", document.csr.to_string()));
            lines.push(("key SHA-256", document.key.to_string()));
            lines.extend(document.ignored.iter().map(|part| ("ignored", part.clone())));
        }
        Subject::Person(person) => {
            let roles: Vec<_> = person.roles.iter().map(|role| role.title()).collect();
            lines.push(("person", person.name.clone()));
            lines.push(("roles", list(&roles)));
            lines.push(("token", person.device.clone()));
            lines.push(("key SHA-256", person.key.to_string()));
        }
        Subject::Ca(ca) => {
            lines.push(("CA", ca.name.clone()));
            lines.push(("subject", ca.subject.clone()));
            lines.push(("key", format!("{} in HSM {}", ca.algorithm, ca.hsm.name)));
            lines.push(("profile", ca.profile.clone()));
        }
        Subject::Signer(signer) => {
            lines.push(("signer", signer.name.clone()));
            lines.push(("key", format!("{} in HSM {}", signer.algorithm, signer.hsm.name)));
        }
        Subject::Custodian(custodian) => {
            let names: Vec<_> = custodian.hsms.iter().map(|hsm| hsm.name.as_str()).collect();
            lines.push(("custodian", custodian.name.clone()));
            lines.push(("of HSMs", list(&names)));
            lines.push(("key", custodian.chr.clone()));
            lines.push(("token", custodian.device.clone()));
        }
    }
}

fn explain(why: &WhyView) -> String {
    let mut text = format!("{}\n", line(&why.request));
    match (&why.action, why.unmet.as_slice()) {
        (None, _) => text.push_str("it is at its end: nothing is missing\n"),
        (Some(action), []) => text.push_str(&format!("nothing stands in the way of: {action}\n")),
        (Some(action), unmet) => {
            text.push_str(&format!("{action} is not possible yet; in order:\n"));
            text.push_str(&conditions(unmet));
        }
    }
    if let Some(next) = &why.next {
        text.push_str(&format!("next: {}\n", one_line(next)));
    }
    text
}
