//! The systemd unit that keeps tokens attached.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
};

use super::plan::{Plan, invalid};
use crate::{context::Context, error::CliError};

/// A unit that attaches what the plan says, for as long as the machine runs.
pub(super) fn unit(plan: &Plan, config: Option<&Path>, context: &Context) -> Result<String, CliError> {
    let program = env::current_exe().map_err(CliError::file("find", Path::new("this program")))?;
    let mut words = vec![program, "connect".into()];
    let mut with = |option: &str, path: &Path| -> Result<(), CliError> {
        words.push(option.into());
        words.push(absolute(path)?);
        Ok(())
    };
    match config {
        Some(path) => with("--config", path)?,
        None => {
            for (option, path) in [("--node-cert", &plan.node_cert), ("--ca-file", &plan.ca_file)] {
                if let Some(path) = path {
                    with(option, path)?;
                }
            }
        }
    }
    if let (None, [token]) = (config, plan.tokens.as_slice()) {
        words.push(plan.url.clone().into());
        words.extend(["--token".into(), token.token.clone().into()]);
        if let Some(path) = &token.ticket_file {
            words.extend(["--ticket-file".into(), absolute(path)?]);
        }
        for key in &token.allow_keys {
            words.extend(["--allow-key".into(), key.to_string().into()]);
        }
        if token.manage {
            words.push("--manage".into());
        }
    }
    words.push("--permanent".into());
    let mut places = String::new();
    if let Some(directory) = context.named_directory() {
        let directory = absolute(directory)?;
        words.extend(["--data-dir".into(), directory.clone()]);
        places = format!("ReadWritePaths={}\n", quoted(&directory)?);
    }
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect::<Result<_, _>>()?;
    let mut names = BTreeSet::new();
    let mut credentials = String::new();
    for path in plan.tokens.iter().filter_map(|token| token.ticket_file.as_ref()) {
        if path == Path::new("-") {
            return Err(invalid("a service has no standard input: name a file".to_owned()));
        }
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !names.insert(name.clone()) || name.contains([':', ' ', '%', '"', '\\']) {
            return Err(invalid(format!(
                "{}: the files of tickets need names of their own, of letters, digits and dots",
                path.display()
            )));
        }
        credentials.push_str(&format!("LoadCredential={name}:{}\n", plain(&absolute(path)?)?));
    }
    Ok(format!(
        "{HEAD}ExecStart={}\n{credentials}{places}{TAIL}",
        words.join(" ")
    ))
}

fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path).map_err(CliError::file("find", path))
}

/// A word as systemd reads it (systemd.service(5), "Command lines").
fn quoted(word: &Path) -> Result<String, CliError> {
    let text = text(word)?;
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    let simple = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    Ok(if !escaped.is_empty() && escaped.chars().all(simple) {
        escaped
    } else {
        format!("\"{escaped}\"")
    })
}

/// A path where systemd takes no quotes.
fn plain(path: &Path) -> Result<String, CliError> {
    Ok(text(path)?.replace('%', "%%"))
}

fn text(word: &Path) -> Result<&str, CliError> {
    word.to_str()
        .filter(|text| !text.chars().any(char::is_control))
        .ok_or_else(|| invalid(format!("{} cannot be written into a unit", word.display())))
}

const HEAD: &str = "\
# Keeps tokens attached to a node. As /etc/systemd/system/chancery-connect.service:
#   systemctl daemon-reload && systemctl enable --now chancery-connect
# For tokens in readers pcscd asks polkit. As /etc/polkit-1/rules.d/50-chancery-connect.rules:
#   polkit.addRule(function (action, subject) {
#     if (action.id.indexOf(\"org.debian.pcsc-lite.\") == 0 && subject.user == \"chancery-connect\") return polkit.Result.YES;
#   });
# For virtual tokens the data directory must belong to the user: set User= to its owner and take DynamicUser= out.
[Unit]
Description=Chancery agent: tokens for a remote node
Wants=network-online.target
After=network-online.target pcscd.socket

[Service]
Type=exec
";

const TAIL: &str = "\
Restart=on-failure
RestartSec=10
TimeoutStopSec=30
DynamicUser=yes
User=chancery-connect
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_systemd_reads_them() {
        let quote = |word: &str| quoted(Path::new(word)).unwrap();
        assert_eq!(quote("/etc/a-b.pem"), "/etc/a-b.pem");
        assert_eq!(quote("my token"), "\"my token\"");
        assert_eq!(quote("50%"), "50%%");
        assert_eq!(quote("a\"b\\c$d"), "\"a\\\"b\\\\c$$d\"");
        assert!(quoted(Path::new("a\nExecStart=/bin/sh")).is_err());
    }
}
