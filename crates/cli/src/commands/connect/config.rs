//! The configuration file: one server, several tokens.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use chancery_api::mistake;
use serde::Deserialize;

use super::plan::{self, Plan, invalid};
use crate::{commands::read_input, error::CliError};

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Config {
    node: String,
    node_cert: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    token: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Token {
    token: String,
    ticket_file: Option<PathBuf>,
    #[serde(default)]
    allow_keys: BTreeSet<u8>,
    #[serde(default)]
    manage: bool,
}

/// Longest configuration file.
const LONGEST: u64 = 1 << 20;

impl Config {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let content = read_input(path, LONGEST)?;
        let text =
            std::str::from_utf8(&content).map_err(|_| invalid(format!("{} is no text", path.display())))?;
        Self::parse(text).map_err(|why| invalid(format!("{}: {why}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self =
            toml::from_str(text).map_err(|error| mistake(text, error.span(), error.message(), &[]))?;
        if config.node_cert.is_some() && config.ca_file.is_some() {
            return Err("node-cert and ca-file exclude each other".to_owned());
        }
        if config.token.iter().any(|token| token.allow_keys.contains(&0)) {
            return Err("key 0 is the device's own and cannot be allowed".to_owned());
        }
        Ok(config)
    }

    /// What it means; files are looked for beside it.
    pub(super) fn plan(self, path: &Path) -> Result<Plan, CliError> {
        let beside = path.parent().unwrap_or_else(|| Path::new(""));
        let found = |file: Option<PathBuf>| file.map(|file| beside.join(file));
        let tokens = self.token.into_iter().map(|token| plan::Token {
            token: token.token,
            ticket_file: found(token.ticket_file),
            allow_keys: token.allow_keys.into_iter().collect(),
            manage: token.manage,
        });
        Ok(Plan {
            tokens: tokens.collect(),
            url: self.node,
            node_cert: found(self.node_cert),
            ca_file: found(self.ca_file),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_server_tokens_and_keys() {
        let text = "node = \"https://node\"\nnode-cert = \"node.pem\"\n[[token]]\ntoken = \"a\"\nticket-file = \"/run/a\"\n\
                    allow-keys = [2, 1]\n[[token]]\ntoken = \"b\"\nmanage = true\n";
        let plan = Config::parse(text)
            .unwrap()
            .plan(Path::new("/etc/chancery/connect.toml"))
            .unwrap();
        assert_eq!(plan.url, "https://node");
        assert_eq!(plan.node_cert.unwrap(), Path::new("/etc/chancery/node.pem"));
        let [a, b] = plan.tokens.as_slice() else {
            panic!("two tokens");
        };
        assert_eq!(
            (a.token.as_str(), &a.allow_keys[..], a.manage),
            ("a", &[1, 2][..], false)
        );
        assert_eq!(a.ticket_file.as_deref(), Some(Path::new("/run/a")));
        assert_eq!((b.token.as_str(), b.allow_keys.len(), b.manage), ("b", 0, true));
    }

    #[test]
    fn what_is_written_wrongly_is_refused() {
        for bad in [
            "",
            "node = 1",
            "node = \"x\"\nnode-crt = \"y\"",
            "node = \"x\"\nnode-cert = \"y\"\nca-file = \"z\"",
            "node = \"x\"\n[[token]]\ntoken = \"a\"\nallow-keys = [0]",
            "node = \"x\"\n[[token]]\ntoken = \"a\"\nallow-keys = [256]",
            "node = \"x\"\n[[token]]\ntoken = \"a\"\nticket = \"secret\"",
        ] {
            let error = Config::parse(bad).err().unwrap();
            assert!(!error.contains("secret"), "{bad}: {error}");
        }
        let error = Config::parse("node = \"x\"\n[[token]]\ntoken = \"a\"\nticket = \"secret\"").err();
        assert_eq!(error.unwrap(), "line 4, key ticket: there is no such key");
    }
}
