//! The configuration file.

use std::path::{Path, PathBuf};

use chancery_api::mistake;
use serde::Deserialize;
use thiserror::Error;

use crate::node::NodeConfig;

/// The whole file. Keys that are not known are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Local tokens.
    pub tokens: Tokens,
    /// Nodes whose signers are slots.
    pub node: Vec<NodeConfig>,
    /// What people are told.
    pub notices: NoticesConfig,
}

/// Section `tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// `"all"`, `"none"`, or parts of the names of readers.
    pub readers: Readers,
    /// Sockets of plugged virtual tokens, or folders of such (`NAME.sock`). Without this key: those of the default data
    /// directory.
    pub sockets: Vec<PathBuf>,
    /// How long others who have a token are waited for, in seconds.
    pub wait_seconds: u32,
    /// Whether public files of tokens are remembered on disk.
    pub cache: bool,
}

/// Which readers are slots.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "ReadersText")]
pub enum Readers {
    /// Every reader with a SmartCard-HSM.
    All,
    /// None.
    None,
    /// Those whose names contain one of these, whatever is in them.
    Named(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ReadersText {
    Word(String),
    Names(Vec<String>),
}

/// Section `notices`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoticesConfig {
    /// Whether standard error is left alone.
    pub quiet: bool,
    /// Whether requests to custodians and their outcomes go to the system's log.
    pub syslog: bool,
    /// Whether there are status files, `chancery/pkcs11/SERIAL.json` in `XDG_RUNTIME_DIR`.
    pub status: bool,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The file says something that is not known.
    #[error("the configuration {} is wrong: {reason}", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        reason: String,
    },
}

/// Names the configuration file.
pub const VARIABLE: &str = "CHANCERY_PKCS11_CONFIG";
const SYSTEM_FILE: &str = "/etc/chancery/pkcs11.toml";
const DEFAULT_WAIT: u32 = 60;

/// The variables of the environment that matter here.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `CHANCERY_PKCS11_CONFIG`
    pub config: Option<PathBuf>,
    /// `CHANCERY_DATA_DIR`
    pub data_dir: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`
    pub config_home: Option<PathBuf>,
    /// `XDG_DATA_HOME`
    pub data_home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`
    pub cache_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`
    pub runtime: Option<PathBuf>,
    /// `HOME`
    pub home: Option<PathBuf>,
}

impl Environment {
    /// Of this process. Relative paths are left out, but for the one that names the file. A program that runs with more rights than
    /// its user has (set-uid, set-gid) takes nothing from its environment.
    #[must_use]
    pub fn of_process() -> Self {
        use rustix::process::{getegid, geteuid, getgid, getuid};
        if getuid() != geteuid() || getgid() != getegid() {
            return Self::default();
        }
        let path = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let absolute = |name: &str| path(name).filter(|path| path.is_absolute());
        Self {
            config: path(VARIABLE),
            data_dir: path("CHANCERY_DATA_DIR"),
            config_home: absolute("XDG_CONFIG_HOME"),
            data_home: absolute("XDG_DATA_HOME"),
            cache_home: absolute("XDG_CACHE_HOME"),
            runtime: absolute("XDG_RUNTIME_DIR"),
            home: absolute("HOME"),
        }
    }

    /// Where this user's cache is.
    #[must_use]
    pub fn cache_folder(&self) -> Option<PathBuf> {
        let below = |home: &PathBuf| home.join(".cache");
        let cache = self
            .cache_home
            .clone()
            .or_else(|| self.home.as_ref().map(below))?;
        Some(cache.join("chancery").join("pkcs11"))
    }

    /// Where it is written how requests stand.
    #[must_use]
    pub fn status_folder(&self) -> Option<PathBuf> {
        Some(self.runtime.as_ref()?.join("chancery").join("pkcs11"))
    }

    /// Where virtual tokens of this user are plugged in by default.
    #[must_use]
    pub fn readers_folder(&self) -> Option<PathBuf> {
        let below = |home: &PathBuf| home.join(".local").join("share");
        let data = self
            .data_home
            .clone()
            .or_else(|| self.home.as_ref().map(below))
            .map(|share| share.join("chancery"));
        Some(self.data_dir.clone().or(data)?.join("readers"))
    }

    fn files(&self) -> Vec<PathBuf> {
        let below = |home: &PathBuf| home.join(".config");
        let own = self
            .config_home
            .clone()
            .or_else(|| self.home.as_ref().map(below))
            .map(|config| config.join("chancery").join("pkcs11.toml"));
        own.into_iter().chain([PathBuf::from(SYSTEM_FILE)]).collect()
    }
}

impl Config {
    /// From the file the environment names; else the user's own; else the system's; else what goes without a file.
    ///
    /// # Errors
    /// [`ConfigError`] of a file that is there, or that was named.
    pub fn load(environment: &Environment) -> Result<Self, ConfigError> {
        let mut config = match &environment.config {
            Some(path) => Self::read(path)?,
            None => {
                let there = environment.files().into_iter().find(|path| path.exists());
                there
                    .map(|path| Self::read(&path))
                    .transpose()?
                    .unwrap_or_default()
            }
        };
        if config.tokens.sockets.is_empty()
            && let Some(folder) = environment.readers_folder()
        {
            config.tokens.sockets.push(folder);
        }
        Ok(config)
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        text.parse().map_err(|reason| ConfigError::Wrong {
            path: path.to_owned(),
            reason,
        })
    }
}

/// How our own messages of what is wrong begin; none repeats what was written.
const OURS: &[&str] = &["node: ", "readers is "];

impl std::str::FromStr for Config {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        toml::from_str(text)
            .map_err(|error: toml::de::Error| mistake(text, error.span(), error.message(), OURS))
    }
}

impl Default for NoticesConfig {
    fn default() -> Self {
        Self {
            quiet: false,
            syslog: true,
            status: true,
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            readers: Readers::All,
            sockets: Vec::new(),
            wait_seconds: DEFAULT_WAIT,
            cache: true,
        }
    }
}

impl TryFrom<ReadersText> for Readers {
    type Error = String;

    fn try_from(text: ReadersText) -> Result<Self, Self::Error> {
        match text {
            ReadersText::Word(word) if word == "all" => Ok(Self::All),
            ReadersText::Word(word) if word == "none" => Ok(Self::None),
            ReadersText::Word(_) => Err("readers is \"all\", \"none\" or a list of names".to_owned()),
            ReadersText::Names(names) => Ok(Self::Named(names)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_and_no_other() {
        let config: Config =
            "[tokens]\nreaders = [\"Nitrokey\"]\nsockets = [\"/a.sock\"]\nwait_seconds = 5\ncache = false\n\
                              [notices]\nquiet = true\n"
                .parse()
                .unwrap();
        assert_eq!(config.tokens.readers, Readers::Named(vec!["Nitrokey".to_owned()]));
        assert_eq!(config.tokens.sockets, [PathBuf::from("/a.sock")]);
        assert_eq!((config.tokens.wait_seconds, config.tokens.cache), (5, false));
        assert!(config.notices.quiet);
        assert_eq!("".parse(), Ok(Config::default()));
        for wrong in [
            "[tokens]\nreader = 1\n",
            "[token]\n",
            "[tokens]\nreaders = \"some\"\n",
        ] {
            assert!(wrong.parse::<Config>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_what_stands_there() {
        for (wrong, told) in [
            (
                "[tokens]\npin = \"648219\"\n",
                "line 2, key pin: there is no such key",
            ),
            (
                "[tokens]\nwait_seconds = \"648219\"\n",
                "line 2, key wait_seconds: ",
            ),
            ("[tokens]\nreaders = \"648219\"\n", "readers is \"all\""),
            ("[tokens]\ncache = 648219\n", "line 2, key cache: "),
            ("[notices]\n648219\n", "line 2"),
            ("pin = \"648219\n", "line 1"),
            (
                "[[node]]\nurl = \"https://a:648219@n:1\"\nclient_cert = \"/c\"\n",
                "node_cert",
            ),
            (
                "[[node]]\nurl = \"https://a:648219@n:1\"\nwait = \"648219\"\n",
                "line ",
            ),
            ("a = 1\na = 648219\n", "line 2"),
        ] {
            let error = wrong.parse::<Config>().unwrap_err();
            assert!(
                error.contains(told) && !error.contains("648219"),
                "{wrong}: {error}"
            );
        }
    }

    #[test]
    fn without_a_file_the_users_own_tokens_are_slots() {
        let environment = Environment {
            home: Some("/nowhere".into()),
            ..Environment::default()
        };
        let config = Config::load(&environment).unwrap();
        assert_eq!(
            config.tokens.sockets,
            [PathBuf::from("/nowhere/.local/share/chancery/readers")]
        );
        assert_eq!(
            environment.cache_folder(),
            Some("/nowhere/.cache/chancery/pkcs11".into())
        );
        let named = Environment {
            config: Some("/nowhere/x.toml".into()),
            ..environment
        };
        let error = Config::load(&named).unwrap_err();
        assert!(error.to_string().contains("/nowhere/x.toml"), "{error}");
    }
}
