//! `token explore` and `token dump`.

use std::path::PathBuf;

use chancery_agent::one_line;
use chancery_tokens::{
    dump::{self, dump},
    explore::{CertificateView, Content, FileNode, KeyNode, Tree, explore},
    reach::Intent,
};
use clap::Args;
use serde_json::json;

use super::{
    failure::card,
    opening::open,
    pins::UserPinArgs,
    reaching::{TokenArgs, select},
};
use crate::{
    context::Context,
    error::CliError,
    report::Report,
    table::{counted, table},
};

/// Shows everything on a token, decoded.
#[derive(Args)]
#[command(after_help = "Example: chancery token explore alice --login\n\
What belongs to nothing is marked: keys without description, descriptions and certificates without key. Private data objects \
are read with --login only.")]
pub(crate) struct Explore {
    #[command(flatten)]
    token: TokenArgs,
    /// Present the PIN, to read private data objects
    #[arg(long)]
    login: bool,
    #[command(flatten)]
    pin: UserPinArgs,
}

/// Writes every readable file of a token.
#[derive(Args)]
#[command(
    after_help = "Example: chancery token dump alice --out alice.files\n         chancery token dump alice --json > alice.json\n\
Keys are no files and never leave. Private data objects are read with --login only."
)]
pub(crate) struct Dump {
    #[command(flatten)]
    token: TokenArgs,
    /// A new directory for the files, FID.bin each
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Present the PIN, to read private data objects
    #[arg(long)]
    login: bool,
    #[command(flatten)]
    pin: UserPinArgs,
}

impl Explore {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let wanted = self.token.token.as_deref();
        let (called, tree) = if self.login || self.pin.pin_file.is_some() {
            let (chosen, mut token) = open(context, wanted, &self.pin)?;
            let firmware = token.firmware().to_string();
            (
                chosen.to_string(),
                explore(&mut token).map(|tree| Tree {
                    firmware: Some(firmware),
                    ..tree
                }),
            )
        } else {
            let (chosen, mut token) = select(context, wanted, Intent::Read)?;
            let firmware = token.firmware().to_string();
            (
                chosen.to_string(),
                explore(&mut token).map(|tree| Tree {
                    firmware: Some(firmware),
                    ..tree
                }),
            )
        };
        let tree = tree.map_err(|error| card(&called, &error))?;
        Report::new(&tree, text(&called, &tree))
    }
}

impl Dump {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let wanted = self.token.token.as_deref();
        let (chosen, files) = if self.login || self.pin.pin_file.is_some() {
            let (chosen, mut token) = open(context, wanted, &self.pin)?;
            (chosen, dump(&mut token))
        } else {
            let (chosen, mut token) = select(context, wanted, Intent::Read)?;
            (chosen, dump(&mut token))
        };
        let files = files.map_err(|error| card(&chosen.to_string(), &error))?;
        if let Some(directory) = &self.out {
            dump::write(&files, directory).map_err(|(path, error)| CliError::file("write", &path)(error))?;
        }
        let rows = files
            .iter()
            .map(|file| {
                vec![
                    file.file.clone(),
                    match &file.unreadable {
                        Some(_) => "-".to_owned(),
                        None => file.length.to_string(),
                    },
                    match (&file.unreadable, file.cut) {
                        (Some(why), _) => format!("not read: {why}"),
                        (None, Some(cut)) => format!("{} ({cut})", file.sha256),
                        (None, None) => file.sha256.clone(),
                    },
                ]
            })
            .collect();
        let mut text = table(&["FILE", "BYTES", "SHA-256"], rows, "no files on this token");
        match &self.out {
            Some(directory) => text.push_str(&format!("they are in {}\n", directory.display())),
            None => text.push_str("--out DIR writes them to files, --json prints them\n"),
        }
        Report::new(&json!({ "token": chosen.device(), "files": files }), text)
    }
}

/// The tree for people.
fn text(called: &str, tree: &Tree) -> String {
    let mut lines = Lines::default();
    lines.add(0, called);
    lines.add(
        1,
        &format!("firmware {}", tree.firmware.as_deref().unwrap_or("unknown")),
    );
    lines.add(
        1,
        &format!(
            "device certificates (2F02): {}",
            tree.device.as_deref().unwrap_or("no name in them")
        ),
    );
    for view in &tree.chain {
        lines.add(2, &certificate(view));
    }
    if let Some(remark) = &tree.chain_remark {
        lines.mark(2, remark);
    }
    for domain in &tree.domains {
        let kind = if domain.exchange {
            "exchange key domain"
        } else {
            "key domain"
        };
        lines.add(
            1,
            &match &domain.kcv {
                Some(kcv) => format!(
                    "{kind} {}: KCV {kcv}, {}",
                    domain.number,
                    counted(domain.shares, "share")
                ),
                None => format!(
                    "{kind} {}: {} of {} missing",
                    domain.number,
                    domain.outstanding,
                    counted(domain.shares, "share")
                ),
            },
        );
    }
    for key in &tree.keys {
        key_lines(&mut lines, key);
    }
    for (title, files) in [
        ("CA certificates", &tree.certificates),
        ("data objects", &tree.data),
        ("other files", &tree.others),
        ("belonging to nothing", &tree.orphans),
    ] {
        if files.is_empty() {
            continue;
        }
        lines.add(1, title);
        for file in files {
            lines.add(2, &file_line(file));
            for mark in &file.marks {
                lines.mark(3, mark);
            }
        }
    }
    lines.0
}

fn key_lines(lines: &mut Lines, key: &KeyNode) {
    let label = key
        .label
        .as_ref()
        .map_or_else(String::new, |label| format!(" {label:?}"));
    lines.add(1, &format!("key {}{label}: {}", key.id, key.algorithm));
    if let Some(id) = &key.cka_id {
        lines.add(2, &format!("id {id}"));
    }
    if !key.permitted.is_empty() {
        lines.add(2, &format!("permitted: {}", key.permitted.join(", ")));
    }
    if let Some(uses) = key.use_counter {
        lines.add(2, &format!("uses left: {uses}"));
    }
    if let Some(domain) = key.key_domain {
        lines.add(2, &format!("key domain {domain}"));
    }
    match &key.certificate {
        Some(view) => lines.add(2, &certificate(view)),
        None => lines.add(2, "no certificate or request"),
    }
    for mark in &key.marks {
        lines.mark(2, mark);
    }
}

fn certificate(view: &CertificateView) -> String {
    let kind = match view.kind {
        "request" => "request",
        "x509" => "X.509 certificate",
        "cvc" => "card verifiable certificate",
        _ => return format!("{} bytes of an unknown kind", view.length),
    };
    let until = view
        .not_after
        .as_ref()
        .map_or_else(String::new, |until| format!(", until {until}"));
    let algorithm = view
        .algorithm
        .as_ref()
        .map_or_else(String::new, |algorithm| format!(", {algorithm}"));
    format!("{kind}: {}, by {}{algorithm}{until}", view.subject, view.issuer)
}

fn file_line(file: &FileNode) -> String {
    let label = file
        .label
        .as_ref()
        .map_or_else(String::new, |label| format!(" {label:?}"));
    let holds = match &file.content {
        Content::Certificate(view) => certificate(view),
        Content::KeyDescription {
            algorithm, cka_id, ..
        } => format!("description of a key: {algorithm}, id {cka_id}"),
        Content::Tlv { tags, length } => format!("{length} bytes, data objects {}", tags.join(" ")),
        Content::Text { text, length } => format!("{length} bytes of text: {text:?}"),
        Content::Bytes { length } => format!("{length} bytes"),
        Content::Empty => "empty".to_owned(),
        Content::Missing => "not there".to_owned(),
        Content::Unreadable { why } => format!("not read: {why}"),
        _ => "something".to_owned(),
    };
    format!("{}{label}: {holds}", file.file)
}

/// Lines with indentation; what comes from a token stays on one line.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, depth: usize, line: &str) {
        self.0.push_str(&"  ".repeat(depth));
        self.0.push_str(&one_line(line));
        self.0.push('\n');
    }

    fn mark(&mut self, depth: usize, line: &str) {
        self.add(depth, &format!("! {line}"));
    }
}
