//! Section `[[node]]` of the configuration.

use std::{path::PathBuf, time::Duration};

use chancery_api::Mechanism;
use chancery_client::{Identity, NodeClient, Settings, SettingsError, Timeouts, Trust};
use serde::Deserialize;

/// A node whose signers are slots.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub struct NodeConfig {
    /// `https://HOST:PORT` of its API.
    pub url: String,
    /// Whom to trust.
    pub trust: TrustFile,
    /// The client's certificate, PEM or DER.
    pub client_cert: PathBuf,
    /// The client's private key, PEM; the certificate's file when it holds both.
    pub client_key: PathBuf,
    /// Signers that are shown; all when empty.
    pub signers: Vec<String>,
    /// What a slot stands for.
    pub slots: SlotsOf,
    /// Label of the slot that stands for all signers.
    pub label: Option<String>,
    /// Which call waits for custodians.
    pub wait: Wait,
    /// How long custodians are waited for.
    pub wait_for: Duration,
    /// How long a lease lasts, from the request, in seconds.
    pub lease_seconds: u64,
    /// Distinct digests a request asks for, the one at hand included.
    pub count: u64,
    /// What happens to a digest beyond that.
    pub beyond: Beyond,
    /// What for; "NAME of USER@HOST" of the program when absent.
    pub purpose: Option<String>,
    /// With `wait = "login"`: how RSA keys will sign.
    pub mechanism: Mechanism,
    /// Whether HSMs that are open already are locked first.
    pub strict: bool,
    /// Whether programs may hand in digests they made themselves; otherwise the module does all the hashing.
    pub prehashed: bool,
    /// How long to wait for a connection.
    pub connect: Duration,
}

/// What proves that it is the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustFile {
    /// Its own certificate.
    Node(PathBuf),
    /// Certification authorities.
    Authorities(PathBuf),
}

/// What a slot stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotsOf {
    /// One signer each, labelled with its name.
    Signers,
    /// All signers of the node.
    Center,
}

/// Which call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// `C_Sign` and `C_SignFinal`: custodians see the digest.
    Sign,
    /// `C_Login`: custodians see a number.
    Login,
}

/// What happens to a digest that the leases of this process leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// Custodians are asked again.
    Ask,
    /// It is refused.
    Refuse,
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    url: String,
    node_cert: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    client_cert: PathBuf,
    client_key: Option<PathBuf>,
    #[serde(default)]
    signers: Vec<String>,
    slots: Option<SlotsOf>,
    label: Option<String>,
    wait: Option<Wait>,
    wait_seconds: Option<u64>,
    lease_seconds: Option<u64>,
    count: Option<u64>,
    beyond: Option<Beyond>,
    purpose: Option<String>,
    mechanism: Option<Mechanism>,
    #[serde(default)]
    strict: bool,
    prehashed: Option<bool>,
    connect_seconds: Option<u64>,
}

const WAIT_SECONDS: u64 = 15 * 60;
const MOST_WAIT_SECONDS: u64 = 24 * 3600;
const LEASE_SECONDS: u64 = 3600;
const MOST_LEASE_SECONDS: u64 = 31 * 24 * 3600;
const CONNECT_SECONDS: u64 = 5;

impl TryFrom<Text> for NodeConfig {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, Self::Error> {
        let trust = match (text.node_cert, text.ca_file) {
            (Some(file), None) => TrustFile::Node(file),
            (None, Some(file)) => TrustFile::Authorities(file),
            _ => return Err("node: name either node_cert or ca_file".to_owned()),
        };
        let within = |name: &str, value: Option<u64>, or: u64, most: u64| match value.unwrap_or(or) {
            value if (1..=most).contains(&value) => Ok(value),
            value => Err(format!("node: {name} is 1 to {most}, not {value}")),
        };
        let count = within("count", text.count, 1, u64::from(u32::MAX))?;
        if text.mechanism == Some(Mechanism::Ecdsa) {
            return Err(
                "node: mechanism is \"rsa-pkcs1\" or \"rsa-pss\"; other keys sign in one way".to_owned(),
            );
        }
        if text.slots != Some(SlotsOf::Center) && text.label.is_some() {
            return Err("node: label goes with slots = \"center\"; others have the signer's name".to_owned());
        }
        if text.slots == Some(SlotsOf::Center) && text.wait == Some(Wait::Login) && text.signers.len() != 1 {
            return Err(
                "node: wait = \"login\" with slots = \"center\" needs the one signer it is for in signers"
                    .to_owned(),
            );
        }
        Ok(Self {
            url: text.url,
            trust,
            client_key: text.client_key.unwrap_or_else(|| text.client_cert.clone()),
            client_cert: text.client_cert,
            signers: text.signers,
            slots: text.slots.unwrap_or(SlotsOf::Signers),
            label: text.label,
            wait: text.wait.unwrap_or(Wait::Sign),
            wait_for: Duration::from_secs(within(
                "wait_seconds",
                text.wait_seconds,
                WAIT_SECONDS,
                MOST_WAIT_SECONDS,
            )?),
            lease_seconds: within(
                "lease_seconds",
                text.lease_seconds,
                LEASE_SECONDS,
                MOST_LEASE_SECONDS,
            )?,
            count,
            // A number that somebody wrote down is a limit; without one every digest is asked for by itself.
            beyond: text
                .beyond
                .unwrap_or(if count == 1 { Beyond::Ask } else { Beyond::Refuse }),
            purpose: text.purpose,
            mechanism: text.mechanism.unwrap_or(Mechanism::RsaPkcs1),
            strict: text.strict,
            prehashed: text.prehashed.unwrap_or(true),
            connect: Duration::from_secs(within(
                "connect_seconds",
                text.connect_seconds,
                CONNECT_SECONDS,
                MOST_WAIT_SECONDS,
            )?),
        })
    }
}

impl NodeConfig {
    /// A client of the node. Nothing is sent yet.
    pub(super) fn client(&self) -> Result<NodeClient, SettingsError> {
        let trust = match &self.trust {
            TrustFile::Node(file) => Trust::pinned(file)?,
            TrustFile::Authorities(file) => Trust::authorities(file)?,
        };
        NodeClient::new(&Settings {
            url: self.url.clone(),
            trust,
            identity: Some(Identity::from_files(&self.client_key, &self.client_cert)?),
            timeouts: Timeouts {
                connect: self.connect,
                ..Timeouts::default()
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const LEAST: &str = "[[node]]\nurl = \"https://n:1\"\nnode_cert = \"/n.pem\"\nclient_cert = \"/c.pem\"\n";

    fn node(more: &str) -> Result<NodeConfig, String> {
        let config: Config = format!("{LEAST}{more}").parse()?;
        config.node.into_iter().next().ok_or_else(|| "none".to_owned())
    }

    #[test]
    fn what_is_not_said_has_a_value() {
        let node = node("").unwrap();
        assert_eq!(node.trust, TrustFile::Node("/n.pem".into()));
        assert_eq!(node.client_key, node.client_cert);
        assert_eq!((node.wait, node.wait_for), (Wait::Sign, Duration::from_secs(900)));
        assert_eq!((node.count, node.beyond), (1, Beyond::Ask));
        assert_eq!((node.lease_seconds, node.slots), (3600, SlotsOf::Signers));
        assert!(node.prehashed && !node.strict);
    }

    #[test]
    fn a_count_is_a_limit_unless_it_is_said_otherwise() {
        assert_eq!(node("count = 2\n").unwrap().beyond, Beyond::Refuse);
        assert_eq!(node("count = 2\nbeyond = \"ask\"\n").unwrap().beyond, Beyond::Ask);
        assert_eq!(node("beyond = \"refuse\"\n").unwrap().beyond, Beyond::Refuse);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            "ca_file = \"/ca.pem\"\n",
            "wait = \"sometimes\"\n",
            "wait_seconds = 0\n",
            "lease_seconds = 99999999\n",
            "mechanism = \"ecdsa\"\n",
            "label = \"x\"\n",
            "slots = \"center\"\nwait = \"login\"\n",
            "pin = \"1234\"\n",
        ] {
            assert!(node(wrong).is_err(), "{wrong}");
        }
        assert!(
            "[[node]]\nurl = \"https://n:1\"\nclient_cert = \"/c\"\n"
                .parse::<Config>()
                .is_err()
        );
    }
}
