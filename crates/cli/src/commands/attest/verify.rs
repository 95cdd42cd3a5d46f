//! `attest verify`.

use std::path::PathBuf;

use chancery_agent::one_line;
use chancery_attest::{
    ChannelVerdict, ExtentVerdict, Held, Input, Known, LogVerdict, NamedInput, OriginVerdict, Outcome,
    Permit, Transcript, Verdict, Verification,
};
use chancery_audit::NoteVerifier;
use chancery_node::AuditKey;
use chancery_tokens::archive::Archive;
use clap::Args;

use super::{files, trust::TrustArgs};
use crate::{
    commands::lease::digests::read_list,
    context::Context,
    error::{CliError, chain},
    report::Report,
    table::table,
};

/// Examines evidence, offline.
#[derive(Args)]
#[command(
    after_help = "Example: chancery attest verify ef2f02.bin ce01.bin leaf.csr\n         \
chancery attest verify --trust production --at 2026-06-01 kept.json\n\
Files may be binary, hexadecimal or PEM: EF 2F02 (chain), an authenticated request, a wrapped key (.bin, .wky), a PKCS#10 \
request, an X.509 certificate, a public key, an attestation of chancery attest archive, a transcript of chancery attest \
generate, a receipt of chancery receipt show. All are examined together.\n\
A receipt shows who permitted one signature. What no signature in it covers (time, names, how many custodians are needed) the audit \
log's signed head covers: name the log's key with --log-key on another machine, as chancery audit verify shows it.\n\
Nothing signed covers the blob of a wrapped key, so one always ends with 12 or worse, also when its request is proven.\n\
The answers in a transcript can be made by whoever recorded it, so it shows something only to that party: here, when it is in \
the archive of this data directory, or with --held-channel. For everybody else it ends with 12.\n\
Exit codes: 0 every claim holds, 3 unreadable, 7 a signature is wrong, 11 out of date, 12 not proven, 13 unknown issuer, \
14 for another key; of several the one that is worst."
)]
pub(crate) struct Verify {
    /// Files; - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// A chain that is authentic and out of date is good enough: exit code 0
    #[arg(long)]
    allow_expired: bool,
    /// The key that signs heads of an audit log, NAME+ID+KEY, for receipts; may be repeated [default: that of the log here]
    #[arg(long, value_name = "KEY", value_parser = log_key)]
    log_key: Vec<NoteVerifier>,
    /// The list of digests a receipt's lease names, when it is too long to be in the receipt: as for chancery unlock request
    #[arg(long, value_name = "FILE")]
    digests: Option<PathBuf>,
    /// You recorded every transcript given here yourself, and nobody else could write to the files since: they count
    #[arg(long)]
    held_channel: bool,
}

impl Verify {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let anchors = self.trust.anchors(context)?;
        let inputs = files::read(&self.files)?;
        let own = own_transcripts(context, &inputs);
        let held = |transcript: &Transcript| {
            if self.held_channel {
                Some(Held::SaidByCaller)
            } else {
                own.contains(transcript).then_some(Held::OwnArchive)
            }
        };
        let mut known = Known {
            log_keys: self.log_key.clone(),
            digests: self.digests.as_deref().map_or(Ok(Vec::new()), read_list)?,
        };
        if inputs
            .iter()
            .any(|(_, input)| matches!(input, Ok(Input::Receipt(_))))
        {
            known.log_keys.extend(own_log_key(context));
        }
        let found = Verification::knowing(&inputs, &anchors, self.trust.day(), &known, held);
        let code = match found.outcome {
            Outcome::OutOfDate if self.allow_expired => 0,
            outcome => exit_code(outcome),
        };
        Ok(Report::new(&found, text(&found))?.with_code(code))
    }
}

/// Reads a log's key.
fn log_key(text: &str) -> Result<NoteVerifier, String> {
    NoteVerifier::parse_vkey(text).map_err(|error| error.to_string())
}

/// The key of the audit log here, if there is one. A problem is told, and the key is not known then.
fn own_log_key(context: &Context) -> Option<NoteVerifier> {
    let told = |why: String| context.tell(format!("(the key of the audit log here is not known: {why})"));
    match context.data_if_any() {
        Ok(Some(data)) => AuditKey::verifier(&data)
            .map_err(|error| told(chain(&error)))
            .ok()
            .flatten(),
        Ok(None) => None,
        Err(error) => {
            told(error.text().trim().to_owned());
            None
        }
    }
}

/// The transcripts among these that are in the archive here. A problem of the archive is told, and none counts then.
fn own_transcripts(context: &Context, inputs: &[NamedInput]) -> Vec<Transcript> {
    let given = inputs.iter().filter_map(|(_, input)| match input {
        Ok(Input::Transcript(transcript)) => Some(transcript.as_ref()),
        _ => None,
    });
    let mut own = Vec::new();
    for transcript in given {
        let kept = match context.data_if_any() {
            Ok(Some(data)) => Archive::below(data.path())
                .has_transcript(transcript)
                .map_err(CliError::from),
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        match kept {
            Ok(true) => own.push(transcript.clone()),
            Ok(false) => {}
            Err(error) => context.tell(format!(
                "(whether a transcript was recorded here is not known: {})",
                error.text().trim()
            )),
        }
    }
    own
}

/// The exit code that says how it came out.
pub(super) const fn exit_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Holds => 0,
        Outcome::Malformed => 3,
        Outcome::Refused => 7,
        Outcome::OutOfDate => 11,
        Outcome::NotProven => 12,
        Outcome::UnknownIssuer => 13,
        Outcome::Differs => 14,
    }
}

const fn sentence(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Holds => "every claim holds",
        Outcome::OutOfDate => "everything is authentic, and a certificate was out of date",
        Outcome::NotProven => "something is not proven",
        Outcome::UnknownIssuer => "a chain leads to no root that counts",
        Outcome::Differs => "something is for another key or device",
        Outcome::Refused => "DO NOT TRUST THIS: a signature is wrong, or something stands where it may not",
        Outcome::Malformed => "a file is no evidence, or damaged",
    }
}

fn text(found: &Verification) -> String {
    let rows = found
        .claims
        .iter()
        .map(|claim| {
            vec![
                claim.file.clone(),
                claim.verdict.claim().to_owned(),
                claim.text.to_owned(),
                claim.detail.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let mut text = table(&["FILE", "CLAIM", "RESULT", ""], rows, "nothing was claimed");
    text.push_str(&format!("on {}: {}\n", found.at, sentence(found.outcome)));
    let mut told: Vec<(&str, &str)> = Vec::new();
    for key in found.keys.iter().filter(|key| key.proven) {
        if told.contains(&(&key.fingerprint, &key.device)) {
            continue;
        }
        told.push((&key.fingerprint, &key.device));
        text.push_str(&format!(
            "key {} ({}) was generated in, or derived inside, {}; that says nothing about copies\n",
            short(&key.fingerprint),
            key.algorithm,
            key.device
        ));
    }
    for permit in &found.permits {
        text.push_str(&permitted(permit));
    }
    let claimed = |wanted: Verdict| found.claims.iter().any(|claim| claim.verdict == wanted);
    if claimed(Verdict::Origin(OriginVerdict::NoChain)) {
        text.push_str("give the device's chain (EF 2F02) as well; chancery attest archive TOKEN keeps it with the requests\n");
    }
    if claimed(Verdict::Channel(ChannelVerdict::Consistent)) {
        text.push_str("if you recorded the transcript yourself: --held-channel\n");
    }
    if claimed(Verdict::Extent(ExtentVerdict::NoList)) {
        text.push_str("give the list of digests the lease was asked for with: --digests FILE\n");
    }
    if claimed(Verdict::Log(LogVerdict::UnknownKey)) {
        text.push_str("name the key that signs the log: --log-key KEY, as chancery audit verify shows it\n");
    }
    if claimed(Verdict::Log(LogVerdict::NoProof)) {
        text.push_str("a signed head covers the receipt soon: fetch it again with chancery receipt show\n");
    }
    text
}

/// What a receipt says, for people; worth what its claims are worth.
fn permitted(permit: &Permit) -> String {
    let mut people: Vec<String> = permit
        .agreed
        .iter()
        .map(|agreed| {
            let kind = if agreed.hardware { "" } else { ", not hardware" };
            format!("{} with token {}{kind}", agreed.person, agreed.device)
        })
        .collect();
    people.dedup();
    let added: String = permit
        .widened
        .iter()
        .map(|widening| format!("; {} added the next {}", widening.by, widening.next))
        .collect();
    let line = format!(
        "{}: {} signed {} at {}, for \"{}\"{added}; agreed: {}",
        permit.file,
        permit.signer,
        permit.digest,
        permit.time,
        permit.purpose,
        if people.is_empty() {
            "nobody".to_owned()
        } else {
            people.join("; ")
        }
    );
    format!("{}\n", one_line(&line))
}

/// The first 16 digits of a fingerprint.
pub(super) fn short(fingerprint: &str) -> &str {
    fingerprint.get(..16).unwrap_or(fingerprint)
}
