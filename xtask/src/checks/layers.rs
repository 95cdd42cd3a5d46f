//! Dependencies between our crates point down only, and heavy or outside-facing packages stay in their layer.

use std::collections::BTreeSet;

use crate::checks::manifest::{Manifest, crate_folders};
use crate::checks::rust_source;
use crate::failure::Failure;
use crate::run::Workspace;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let mut broken = Vec::new();
    for folder in crate_folders(workspace)? {
        broken.extend(broken_by(&Manifest::read(&folder)?));
    }
    for path in rust_source::files_below(&workspace.root().join("crates/vtoken/src"))? {
        // The host's command type would let an encoding error agree with itself; unit tests may use it as a judge.
        let code = rust_source::without_comments(&rust_source::read(&path)?);
        if code
            .split("#[cfg(test)]")
            .next()
            .is_some_and(|code| code.contains("CommandApdu"))
        {
            let path = path.strip_prefix(workspace.root()).unwrap_or(&path).display();
            broken.push(format!(
                "{path} uses CommandApdu: the card side reads commands with its own code"
            ));
        }
    }
    Ok(broken)
}

/// What one of our crates may depend on.
struct Layer {
    /// The crate, without the common prefix.
    name: &'static str,
    /// Our crates it may be built with; each stands further up in the table, that is, lower in the layers.
    uses: &'static [&'static str],
    /// Further crates its tests may use.
    tests_use: &'static [&'static str],
}

/// The layers, lowest first. `driver` and `vtoken` are two sides of one wire and never know each other.
const LAYERS: &[Layer] = &[
    // wire: pure
    Layer {
        name: "iso7816",
        uses: &[],
        tests_use: &[],
    },
    Layer {
        name: "cvc",
        uses: &["iso7816"],
        tests_use: &[],
    },
    Layer {
        name: "share-kdf",
        uses: &[],
        tests_use: &[],
    },
    Layer {
        name: "schsm",
        uses: &["iso7816", "cvc", "share-kdf"],
        tests_use: &[],
    },
    Layer {
        name: "ram",
        uses: &["iso7816"],
        tests_use: &[],
    },
    // pure engines and messages
    Layer {
        name: "pki",
        uses: &[],
        tests_use: &[],
    },
    Layer {
        name: "audit",
        uses: &[],
        tests_use: &[],
    },
    Layer {
        name: "api",
        uses: &[],
        tests_use: &[],
    },
    // tokens
    Layer {
        name: "vtoken",
        uses: &["iso7816", "cvc", "schsm"],
        tests_use: &[],
    },
    Layer {
        name: "driver",
        uses: &["iso7816", "cvc", "schsm"],
        tests_use: &["vtoken"],
    },
    // readers
    Layer {
        name: "pcsc",
        uses: &["iso7816"],
        tests_use: &[],
    },
    Layer {
        name: "reader",
        uses: &["iso7816"],
        tests_use: &["vtoken"],
    },
    // work on single tokens
    Layer {
        name: "dkek",
        uses: &["schsm"],
        tests_use: &[],
    },
    Layer {
        name: "attest",
        uses: &["iso7816", "cvc", "schsm", "audit", "api"],
        tests_use: &["vtoken", "driver"],
    },
    Layer {
        name: "tokens",
        uses: &[
            "iso7816", "cvc", "schsm", "vtoken", "driver", "pcsc", "reader", "dkek", "attest",
        ],
        tests_use: &[],
    },
    Layer {
        name: "connect",
        uses: &["iso7816", "schsm", "ram", "api", "tokens"],
        tests_use: &["vtoken", "cvc", "driver", "reader"],
    },
    // what unchanged programs load: no runtime, no OpenSSL
    Layer {
        name: "client",
        uses: &["api"],
        tests_use: &[],
    },
    Layer {
        name: "pkcs11",
        uses: &["iso7816", "schsm", "api", "pcsc", "reader", "client"],
        tests_use: &["vtoken", "cvc", "driver"],
    },
    Layer {
        name: "pkcs11-module",
        uses: &["pkcs11"],
        tests_use: &["iso7816", "vtoken", "reader"],
    },
    // engines
    Layer {
        name: "keys",
        uses: &["iso7816", "cvc", "schsm", "api", "vtoken", "driver"],
        tests_use: &[],
    },
    Layer {
        name: "gateway",
        uses: &["iso7816", "ram", "api", "keys"],
        tests_use: &["vtoken", "cvc", "schsm", "driver", "client", "connect", "tokens"],
    },
    Layer {
        name: "store",
        uses: &["api", "audit"],
        tests_use: &[],
    },
    Layer {
        name: "sqlite-replay",
        uses: &[],
        tests_use: &[],
    },
    Layer {
        name: "store-sqlite",
        uses: &["api", "audit", "store"],
        tests_use: &["sqlite-replay"],
    },
    Layer {
        name: "store-pg",
        uses: &["api", "audit", "store"],
        tests_use: &[],
    },
    // a person's side
    Layer {
        name: "agent",
        uses: &["iso7816", "cvc", "schsm", "audit", "api", "vtoken", "driver"],
        tests_use: &[],
    },
    // rules
    Layer {
        name: "center",
        uses: &[
            "iso7816", "cvc", "schsm", "pki", "audit", "api", "driver", "keys", "store",
        ],
        tests_use: &["vtoken", "store-sqlite", "agent"],
    },
    // edges
    Layer {
        name: "node",
        uses: &[
            "cvc",
            "schsm",
            "pki",
            "audit",
            "api",
            "vtoken",
            "driver",
            "keys",
            "store",
            "store-sqlite",
            "center",
            "ram",
            "gateway",
        ],
        tests_use: &["agent", "client", "connect"],
    },
    Layer {
        name: "cli",
        uses: &[
            "iso7816",
            "cvc",
            "schsm",
            "pcsc",
            "reader",
            "dkek",
            "attest",
            "tokens",
            "pki",
            "audit",
            "api",
            "vtoken",
            "driver",
            "store",
            "store-sqlite",
            "agent",
            "center",
            "node",
            "ram",
            "connect",
            "client",
            "gateway",
        ],
        tests_use: &["keys", "pkcs11-module"],
    },
    Layer {
        name: "bench",
        uses: &[
            "iso7816",
            "cvc",
            "schsm",
            "pki",
            "audit",
            "api",
            "vtoken",
            "driver",
            "reader",
            "keys",
            "store",
            "store-sqlite",
            "agent",
            "center",
            "ram",
            "connect",
            "client",
            "gateway",
        ],
        tests_use: &[],
    },
];

/// Packages of others that only some crates may be built with: input and output stay out of the pure crates, the
/// database behind one trait, the terminal in the program.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("sqlx", &["store-sqlite", "store-pg"]),
    ("libsqlite3-sys", &["sqlite-replay"]),
    (
        "tokio",
        // agent: signals that come while a PIN is typed.
        &[
            "keys",
            "store",
            "store-sqlite",
            "center",
            "node",
            "agent",
            "connect",
            "gateway",
            "cli",
            "bench",
        ],
    ),
    ("axum", &["gateway", "bench"]),
    ("hyper", &["gateway"]),
    ("reqwest", &["connect"]),
    ("ureq", &["client"]),
    ("clap", &["cli"]),
    ("comfy-table", &["cli"]),
    ("rpassword", &["cli", "agent"]),
    ("anyhow", &["node", "cli", "bench"]),
];

/// One line for each dependency of this crate that the tables do not allow.
fn broken_by(manifest: &Manifest) -> Vec<String> {
    let short = |package: &str| package.strip_prefix(PREFIX).map(str::to_owned);
    let Some(name) = short(&manifest.name) else {
        return vec![format!("{} is not called {PREFIX}…", manifest.name)];
    };
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
        return vec![format!("{name} has no place in the table of layers")];
    };
    let ours = |packages: &BTreeSet<String>| {
        packages
            .iter()
            .filter_map(|package| short(package))
            .collect::<Vec<_>>()
    };
    let mut broken = Vec::new();
    for other in ours(&manifest.dependencies) {
        if !layer.uses.contains(&other.as_str()) {
            broken.push(format!("{name} may not depend on {other}"));
        }
    }
    for other in ours(&manifest.dev_dependencies) {
        if !layer.uses.contains(&other.as_str()) && !layer.tests_use.contains(&other.as_str()) {
            broken.push(format!("tests of {name} may not depend on {other}"));
        }
    }
    for (package, homes) in KEPT_TO {
        if manifest.dependencies.contains(*package) && !homes.contains(&name.as_str()) {
            broken.push(format!("{name} may not depend on {package}"));
        }
    }
    broken
}

/// Our packages are named with it, their folders without.
const PREFIX: &str = "chancery-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_itself_points_down() {
        for (index, layer) in LAYERS.iter().enumerate() {
            let lower: Vec<_> = LAYERS.iter().take(index).map(|layer| layer.name).collect();
            for used in layer.uses {
                assert!(
                    lower.contains(used),
                    "{} uses {used}, which is not below it",
                    layer.name
                );
            }
        }
    }

    #[test]
    fn what_the_tables_do_not_allow_is_named() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let manifest = Manifest {
            name: "chancery-driver".into(),
            dependencies: set(&["chancery-cvc", "chancery-vtoken", "sqlx", "sha2"]),
            dev_dependencies: set(&["chancery-vtoken", "chancery-node", "tokio"]),
        };
        assert_eq!(
            broken_by(&manifest),
            [
                "driver may not depend on vtoken",
                "tests of driver may not depend on node",
                "driver may not depend on sqlx"
            ]
        );
        let unknown = Manifest {
            name: "chancery-portal".into(),
            ..Manifest::default()
        };
        assert_eq!(
            broken_by(&unknown),
            ["portal has no place in the table of layers"]
        );
    }
}
