//! What a program says of itself. Custodians read it as a claim.

use std::{fs, os::unix::fs::MetadataExt as _};

use chancery_api::Claims;

/// Longest claim, in characters.
const LONGEST: usize = 1000;
/// Longest purpose, in characters.
const LONGEST_PURPOSE: usize = 200;
/// What is in the names of options after which a secret stands.
const SECRET_OPTIONS: [&str; 3] = ["pin", "pass", "puk"];

/// Of this process.
pub(super) fn of_process() -> Claims {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let uid =
        || fs::metadata("/proc/self").map_or_else(|_| "?".to_owned(), |own| format!("uid {}", own.uid()));
    let host = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
    Claims {
        user: cut(
            variable("USER")
                .or_else(|| variable("LOGNAME"))
                .unwrap_or_else(uid),
            LONGEST,
        ),
        host: cut(host().unwrap_or_default().trim().to_owned(), LONGEST),
        command: cut(command(&arguments()), LONGEST),
    }
}

/// What for, when nothing is configured.
pub(super) fn purpose(claims: &Claims) -> String {
    let program = claims.command.split_whitespace().next().unwrap_or("a program");
    let program = program.rsplit('/').next().unwrap_or(program);
    let purpose = format!("{program} of {}@{}", claims.user, claims.host);
    cut(one_line(&purpose), LONGEST_PURPOSE)
}

fn arguments() -> Vec<String> {
    let raw = fs::read("/proc/self/cmdline").unwrap_or_default();
    let raw = raw.strip_suffix(&[0]).unwrap_or(&raw);
    raw.split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

/// A command line without what may be secret.
fn command(arguments: &[String]) -> String {
    let mut out: Vec<String> = Vec::with_capacity(arguments.len());
    let mut hide = false;
    for argument in arguments {
        if std::mem::take(&mut hide) {
            out.push("***".to_owned());
            continue;
        }
        let bare = argument.trim_start_matches('-');
        let (name, value) = bare
            .split_once(['=', ':'])
            .map_or((bare, None), |(name, value)| (name, Some(value)));
        let is_option = bare.len() < argument.len();
        let lower = name.to_ascii_lowercase();
        if is_option
            && bare.len() > 1
            && bare.starts_with('p')
            && bare.bytes().skip(1).all(|byte| byte.is_ascii_digit())
        {
            out.push("-p***".to_owned());
            continue;
        }
        if is_option && (lower == "p" || SECRET_OPTIONS.iter().any(|part| lower.contains(part))) {
            match value {
                Some(_) => {
                    let kept = argument.len() - bare.len() + name.len();
                    out.push(format!("{}=***", argument.get(..kept).unwrap_or_default()));
                }
                None => {
                    hide = true;
                    out.push(argument.clone());
                }
            }
            continue;
        }
        out.push(without_pin_value(argument));
    }
    one_line(&out.join(" "))
}

/// A PKCS#11 URI may carry PINs (RFC 7512 section 2.4).
fn without_pin_value(argument: &str) -> String {
    const NAME: &str = "pin-value=";
    let mut out = String::new();
    let mut rest = argument;
    // Lower case of ASCII has the same places.
    while let Some(at) = rest.to_ascii_lowercase().find(NAME) {
        let (before, after) = rest.split_at(at + NAME.len());
        let end = after.find(['&', ';', '?']).unwrap_or(after.len());
        out.push_str(before);
        out.push_str("***");
        rest = after.get(end..).unwrap_or_default();
    }
    out + rest
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

fn cut(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => text.get(..at).unwrap_or_default().to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_on_a_command_line_are_left_out() {
        let command = |line: &str| command(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(
            command("pkcs11-tool --sign --pin 648219 -m X"),
            "pkcs11-tool --sign --pin *** -m X"
        );
        assert_eq!(
            command("jarsigner -storepass:env PW a.jar"),
            "jarsigner -storepass=*** PW a.jar"
        );
        assert_eq!(command("t --pin=648219"), "t --pin=***");
        assert_eq!(
            command("openssl -inkey pkcs11:token=a?pin-value=648219&module-name=x"),
            "openssl -inkey pkcs11:token=a?pin-value=***&module-name=x"
        );
        assert_eq!(command("sbsign --key k.pem a.efi"), "sbsign --key k.pem a.efi");
    }

    #[test]
    fn the_purpose_names_program_and_user() {
        let claims = Claims {
            user: "build".to_owned(),
            host: "ci".to_owned(),
            command: "/usr/bin/mkimage -f a.its".to_owned(),
        };
        assert_eq!(purpose(&claims), "mkimage of build@ci");
        let long = Claims {
            user: "x".repeat(900),
            ..claims
        };
        assert_eq!(purpose(&long).chars().count(), LONGEST_PURPOSE);
        assert!(!of_process().command.is_empty());
    }
}
