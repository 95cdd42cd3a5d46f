//! `token info`.

use chancery_driver::{PinStatus, SoPinStatus};
use chancery_node::SystemClock;
use chancery_schsm::Kcv;
use chancery_tokens::{
    info::{Info, Verdict, inspect, option_words, platform_words},
    reach::Intent,
};
use clap::Args;
use serde_json::{Value, json};

use super::{
    failure::card,
    reaching::{Chosen, TokenArgs, anchors, select},
};
use crate::{
    context::Context,
    error::CliError,
    report::Report,
    table::{counted, facts},
};

/// Shows one token.
#[derive(Args)]
#[command(after_help = "Example: chancery token info DENK0404144\n\
No PIN is asked and no try is spent. A virtual token is said to be one; it never passes for a genuine device.")]
pub(crate) struct InfoCommand {
    #[command(flatten)]
    token: TokenArgs,
}

impl InfoCommand {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let anchors = anchors(context)?;
        let (chosen, mut token) = select(context, self.token.token.as_deref(), Intent::Read)?;
        let info = inspect(&mut token, &anchors, Some(SystemClock.today()))
            .map_err(|error| card(&chosen.to_string(), &error))?;
        Report::new(&view(&chosen, &info), text(&chosen, &info))
    }
}

fn text(chosen: &Chosen, info: &Info) -> String {
    let mut lines: Vec<(&str, String)> = vec![
        (
            "device",
            info.device
                .clone()
                .unwrap_or_else(|| "it does not say".to_owned()),
        ),
        ("where", chosen.found().way.to_string()),
        ("label", info.label.clone().unwrap_or_else(|| "none".to_owned())),
        ("genuine", genuine(&info.genuine)),
        (
            "firmware",
            format!(
                "{}, platform: {}",
                info.firmware,
                platform_words(info.firmware.platform)
            ),
        ),
        ("options", options(info)),
        ("PIN", pin_words(info.pin)),
        ("SO-PIN", so_pin_words(info.so_pin)),
        ("custodians", quorum_words(info)),
    ];
    if info.domains.is_empty() {
        lines.push((
            "key domains",
            "none: keys cannot be wrapped, except under a random key that never leaves".to_owned(),
        ));
    }
    for (number, status) in &info.domains {
        let state = if status.uid.is_some() {
            match status.kcv {
                Kcv::NONE => "no key encryption key agreed yet".to_owned(),
                kcv => format!("KCV {kcv}, agreed with another token"),
            }
        } else if status.shares == 0 {
            "random key that never leaves".to_owned()
        } else if status.is_complete() {
            format!("KCV {}, from {}", status.kcv, counted(status.shares, "share"))
        } else {
            format!(
                "{} of {} missing",
                status.outstanding,
                counted(status.shares, "share")
            )
        };
        let kind = if status.uid.is_some() { " (exchange)" } else { "" };
        lines.push(("key domain", format!("{number}{kind}: {state}")));
    }
    lines.push((
        "keys",
        format!("{}, {} ids free", info.keys.len(), info.free_key_ids),
    ));
    lines.push(("files", info.files.to_string()));
    if let Some(bytes) = info.free_memory {
        lines.push(("free memory", format!("{bytes} bytes")));
    }
    let mut text = facts(&lines);
    if !info.bugs.is_empty() {
        text.push_str("known of this firmware\n");
        for bug in &info.bugs {
            text.push_str(&format!("  {}: {}\n    {}\n", bug.code, bug.what, bug.advice));
        }
    }
    for remark in &info.remarks {
        text.push_str(&format!("note: {}\n", chancery_agent::one_line(remark)));
    }
    text
}

fn genuine(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Proven { genuine, path, dates } => {
            let remarks: String = dates.iter().map(|remark| format!("; {remark}")).collect();
            format!("chain verified, {genuine}: {path}{remarks}")
        }
        Verdict::NotProven { why } => format!("NOT PROVEN: {why}"),
        Verdict::Unreadable { why } => format!("NOT PROVEN, no readable chain: {why}"),
        _ => "NOT PROVEN".to_owned(),
    }
}

fn options(info: &Info) -> String {
    match info.options {
        None => "not told by this version".to_owned(),
        Some(options) => {
            let words = option_words(options);
            if words.is_empty() {
                format!("{:04X}: none", options.0)
            } else {
                format!("{:04X}: {}", options.0, words.join("; "))
            }
        }
    }
}

/// State of the user PIN in words.
pub(super) fn pin_words(status: PinStatus) -> String {
    match status {
        PinStatus::Verified => "verified".to_owned(),
        PinStatus::NotVerified { tries_left: 1 } => "set, LAST TRY: a wrong one blocks it".to_owned(),
        PinStatus::NotVerified { tries_left } => format!("set, {tries_left} tries left"),
        PinStatus::Blocked => "BLOCKED: no tries left".to_owned(),
        PinStatus::TransportPin => "transport PIN, to be replaced before use".to_owned(),
        PinStatus::Absent => "none: not initialised, or set up without".to_owned(),
        PinStatus::QuorumOpen => "custodians open this token".to_owned(),
        _ => "of a kind not known here".to_owned(),
    }
}

/// State of the SO-PIN in words.
pub(super) fn so_pin_words(status: SoPinStatus) -> String {
    match status {
        SoPinStatus::Verified => "verified".to_owned(),
        SoPinStatus::NotVerified { tries_left } => format!("set, {tries_left} of 15 tries left"),
        SoPinStatus::Blocked => "BLOCKED: the token can be used but never initialised again".to_owned(),
        SoPinStatus::Absent => "not set: the first initialisation sets it".to_owned(),
        _ => "this firmware does not tell".to_owned(),
    }
}

fn quorum_words(info: &Info) -> String {
    match info.quorum {
        None => "none".to_owned(),
        Some(status) if status.missing > 0 => format!(
            "{} of {} are to open it; {} not registered yet, until then it is not in force",
            status.required, status.total, status.missing
        ),
        Some(status) => format!(
            "{} of {} open it; {} answered",
            status.required, status.total, status.authenticated
        ),
    }
}

/// JSON of the PIN state: `state` and, where it applies, `tries-left`.
pub(super) fn pin_json(status: PinStatus) -> Value {
    match status {
        PinStatus::Verified => json!({ "state": "verified" }),
        PinStatus::NotVerified { tries_left } => json!({ "state": "set", "tries_left": tries_left }),
        PinStatus::Blocked => json!({ "state": "blocked", "tries_left": 0 }),
        PinStatus::TransportPin => json!({ "state": "transport" }),
        PinStatus::Absent => json!({ "state": "absent" }),
        PinStatus::QuorumOpen => json!({ "state": "quorum" }),
        _ => json!({ "state": "unknown" }),
    }
}

/// JSON of the SO-PIN state.
pub(super) fn so_pin_json(status: SoPinStatus) -> Value {
    match status {
        SoPinStatus::Verified => json!({ "state": "verified" }),
        SoPinStatus::NotVerified { tries_left } => json!({ "state": "set", "tries_left": tries_left }),
        SoPinStatus::Blocked => json!({ "state": "blocked", "tries_left": 0 }),
        SoPinStatus::Absent => json!({ "state": "absent" }),
        _ => json!({ "state": "unknown" }),
    }
}

fn view(chosen: &Chosen, info: &Info) -> Value {
    let genuine = match &info.genuine {
        Verdict::Proven { genuine, path, dates } => json!({
            "verdict": "proven",
            "kind": genuine.to_string(),
            "production": info.genuine.is_production(),
            "path": path,
            "remarks": dates.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }),
        Verdict::NotProven { why } => json!({ "verdict": "not-proven", "production": false, "why": why }),
        Verdict::Unreadable { why } => json!({ "verdict": "unreadable", "production": false, "why": why }),
        _ => json!({ "verdict": "not-proven", "production": false }),
    };
    json!({
        "device": info.device,
        "name": info.name,
        "label": info.label,
        "transport": chosen.found().way.transport(),
        "reader": chosen.found().way.to_string(),
        "genuine": genuine,
        "firmware": {
            "version": info.firmware.to_string(),
            "platform": info.firmware.platform.map(|platform| format!("{platform:02X}")),
        },
        "options": info.options.map(|options| json!({
            "hex": format!("{:04X}", options.0),
            "words": option_words(options),
        })),
        "pin": pin_json(info.pin),
        "so_pin": so_pin_json(info.so_pin),
        "quorum": info.quorum.map(|status| json!({
            "required": status.required,
            "total": status.total,
            "missing": status.missing,
            "authenticated": status.authenticated,
        })),
        "domains": info.domains.iter().map(|(number, status)| json!({
            "domain": number,
            "shares": status.shares,
            "outstanding": status.outstanding,
            "kcv": (status.is_complete() && status.kcv != Kcv::NONE).then(|| status.kcv.to_string()),
            "exchange": status.uid.is_some(),
        })).collect::<Vec<_>>(),
        "keys": info.keys.iter().map(|id| id.0).collect::<Vec<_>>(),
        "free_key_ids": info.free_key_ids,
        "files": info.files,
        "free_memory": info.free_memory,
        "bugs": info.bugs.iter().map(|bug| json!({
            "code": bug.code,
            "what": bug.what,
            "advice": bug.advice,
        })).collect::<Vec<_>>(),
        "remarks": info.remarks,
    })
}
