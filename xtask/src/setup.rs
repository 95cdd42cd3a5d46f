//! The shared first step: finds out what is missing and installs it, or says the one line to type.

use std::process::Command;

use crate::failure::Failure;
use crate::probe::{Need, Source};
use crate::run::{Workspace, run, succeeds};

/// What building and running the product needs.
pub(crate) const BUILD: &[Need] = &[
    Need::CCompiler,
    Need::PkgConfig,
    Need::OpenSsl,
    Need::OpenSslProgram,
];

/// What the benchmark needs.
pub(crate) const BENCH: &[Need] = &[
    Need::CCompiler,
    Need::PkgConfig,
    Need::OpenSsl,
    Need::OpenSslProgram,
    Need::Pcscd,
    Need::Vpcd,
    Need::OpenSc,
    Need::Unshare,
];

/// What the fuzz targets need.
pub(crate) const FUZZ: &[Need] = &[
    Need::CCompiler,
    Need::PkgConfig,
    Need::OpenSsl,
    Need::OpenSslProgram,
    Need::CxxCompiler,
];

/// What `cargo xtask test` needs.
pub(crate) const TEST: &[Need] = &[
    Need::CCompiler,
    Need::PkgConfig,
    Need::OpenSsl,
    Need::OpenSslProgram,
    Need::CxxCompiler,
    Need::Rustfmt,
    Need::Clippy,
    Need::Pcscd,
    Need::Vpcd,
    Need::OpenSc,
    Need::Pkcs11Engine,
    Need::P11tool,
    Need::Mkimage,
    Need::Sbsign,
    Need::Osslsigncode,
    Need::Jarsigner,
    Need::Nss,
    Need::Nginx,
    Need::Unshare,
];

/// Makes sure that the machine has `needs`. As root Debian packages are installed, otherwise the line to type is in
/// the error.
///
/// # Errors
/// [`Failure::Missing`] when something has to be installed by hand.
pub(crate) fn ensure(workspace: &Workspace, needs: &[Need]) -> Result<(), Failure> {
    let missing: Vec<_> = needs.iter().copied().filter(|need| need.is_missing()).collect();
    if missing.is_empty() {
        println!("nothing is missing");
        return Ok(());
    }
    for need in &missing {
        println!("missing: {}", need.description());
    }
    let plan = Plan::of(&missing, &Machine::look());
    for command in &plan.commands {
        run(workspace.command("sh").args(["-c", command])).or_else(|failure| {
            // Package lists that cannot be refreshed may still be good enough to install from.
            if command == REFRESH { Ok(()) } else { Err(failure) }
        })?;
    }
    let still: Vec<_> = missing.into_iter().filter(|need| need.is_missing()).collect();
    if still.is_empty() {
        return Ok(());
    }
    Err(Failure::Missing {
        what: still.iter().map(|need| need.description().to_owned()).collect(),
        remedy: Plan::of(&still, &Machine::look()).by_hand,
    })
}

/// What decides how something can be installed here.
#[derive(Debug, Clone, Copy)]
struct Machine {
    root: bool,
    apt: bool,
    sudo: bool,
    rustup: bool,
}

impl Machine {
    fn look() -> Self {
        let answers = |program: &str| succeeds(Command::new(program).arg("--version"));
        let id = Command::new("id").arg("-u").output();
        Self {
            root: id.is_ok_and(|output| output.stdout.trim_ascii() == b"0"),
            apt: answers("apt-get"),
            sudo: answers("sudo"),
            rustup: answers("rustup"),
        }
    }
}

/// How to get what is missing.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Shell commands this program may run itself.
    commands: Vec<String>,
    /// The one line a person types instead.
    by_hand: String,
}

impl Plan {
    fn of(missing: &[Need], machine: &Machine) -> Self {
        let mut packages = Vec::new();
        let mut components = Vec::new();
        for need in missing {
            match need.source() {
                Source::Debian(names) => packages.extend_from_slice(names),
                Source::Rustup(name) => components.push(name),
            }
        }
        let mut commands = Vec::new();
        let mut by_hand = Vec::new();
        if !packages.is_empty() {
            let packages = packages.join(" ");
            let install = format!("apt-get install -y --no-install-recommends {packages}");
            by_hand.push(match machine {
                Machine { apt: false, .. } => {
                    format!("# with this system's package manager, the equivalents of: {packages}")
                }
                Machine { root: true, .. } => format!("apt-get update && {install}"),
                Machine { sudo: true, .. } => format!("sudo apt-get update && sudo {install}"),
                _ => format!("su -c 'apt-get update && {install}'"),
            });
            if machine.root && machine.apt {
                commands.push(REFRESH.to_owned());
                commands.push(format!("DEBIAN_FRONTEND=noninteractive {install}"));
            }
        }
        if !components.is_empty() {
            let add = format!("rustup component add {}", components.join(" "));
            if machine.rustup {
                commands.push(add.clone());
            }
            by_hand.insert(0, add);
        }
        Self {
            commands,
            by_hand: by_hand.join(" && "),
        }
    }
}

const REFRESH: &str = "apt-get update";

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: Machine = Machine {
        root: true,
        apt: true,
        sudo: false,
        rustup: true,
    };
    const PAIR: &[Need] = &[Need::PkgConfig, Need::OpenSsl];

    #[test]
    fn root_installs_by_itself() {
        let plan = Plan::of(PAIR, &DEBIAN);
        let install =
            "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends pkg-config libssl-dev";
        assert_eq!(plan.commands, ["apt-get update", install]);
    }

    #[test]
    fn others_are_given_one_line_and_nothing_is_run() {
        let plan = Plan::of(
            PAIR,
            &Machine {
                root: false,
                sudo: true,
                ..DEBIAN
            },
        );
        assert_eq!(plan.commands, [""; 0]);
        let line =
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends pkg-config libssl-dev";
        assert_eq!(plan.by_hand, line);
        let without_sudo = Plan::of(
            PAIR,
            &Machine {
                root: false,
                ..DEBIAN
            },
        );
        assert!(
            without_sudo.by_hand.starts_with("su -c '"),
            "{}",
            without_sudo.by_hand
        );
    }

    #[test]
    fn another_system_is_told_the_packages() {
        let plan = Plan::of(PAIR, &Machine { apt: false, ..DEBIAN });
        assert_eq!(plan.commands, [""; 0]);
        assert!(
            plan.by_hand.ends_with("equivalents of: pkg-config libssl-dev"),
            "{}",
            plan.by_hand
        );
    }

    #[test]
    fn toolchain_components_need_no_root() {
        let user = Machine {
            root: false,
            ..DEBIAN
        };
        let plan = Plan::of(&[Need::Rustfmt, Need::CxxCompiler, Need::Clippy], &user);
        assert_eq!(plan.commands, ["rustup component add rustfmt clippy"]);
        let line = "rustup component add rustfmt clippy && \
                    su -c 'apt-get update && apt-get install -y --no-install-recommends g++'";
        assert_eq!(plan.by_hand, line);
    }
}
