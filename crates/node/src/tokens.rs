//! Where tokens are found, and whom a device certificate must come from.

use std::{fs, io, path::PathBuf, sync::Arc};

use chancery_center::TokenSource;
use chancery_cvc::{AnchorError, TrustAnchors};
use chancery_gateway::ram::Connectors;
use chancery_keys::{Connect, VirtualConnect};
use chancery_vtoken::{AtRest, Factory, ManageError, TokenName};
use thiserror::Error;
use time::Date;

use crate::layout::DataDir;

/// The virtual tokens of a data directory, found as `virtual:NAME`.
#[derive(Clone, Debug)]
pub struct VirtualTokens {
    directory: PathBuf,
    at_rest: AtRest,
}

/// What a locator of a virtual token starts with.
const VIRTUAL: &str = "virtual:";

impl VirtualTokens {
    /// The tokens of a data directory, their keys sealed as `at_rest` says.
    #[must_use]
    pub fn of(directory: &DataDir, at_rest: AtRest) -> Self {
        Self {
            directory: directory.tokens(),
            at_rest,
        }
    }
}

impl TokenSource for VirtualTokens {
    fn at(&self, locator: &str) -> Option<Arc<dyn Connect>> {
        let name = TokenName::new(locator.strip_prefix(VIRTUAL)?).ok()?;
        Some(Arc::new(VirtualConnect::new(
            self.directory.join(name.as_str()),
            self.at_rest.clone(),
        )))
    }
}

/// Tokens wherever they are: virtual ones here as `virtual:NAME`, those behind a connector as `connector:NAME`.
pub(crate) struct Tokens {
    pub(crate) here: VirtualTokens,
    pub(crate) connectors: Arc<Connectors>,
}

/// What a locator of a token behind a connector starts with.
const CONNECTOR: &str = "connector:";

impl TokenSource for Tokens {
    fn at(&self, locator: &str) -> Option<Arc<dyn Connect>> {
        match locator.strip_prefix(CONNECTOR) {
            Some("") => None,
            Some(name) => Some(Arc::new(self.connectors.way_to(name))),
            None => self.here.at(locator),
        }
    }
}

/// Why it cannot be said whom to trust.
#[derive(Debug, Error)]
pub enum AnchorsError {
    /// A root is not what it should be.
    #[error("a scheme root cannot be trusted")]
    Anchor(#[from] AnchorError),
    /// The factory of this installation cannot be opened.
    #[error("the factory of the virtual tokens cannot be opened")]
    Factory(#[from] ManageError),
    /// The disk.
    #[error("cannot look at {}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

/// The roots under which device certificates count here: that of production, and that of this installation's own virtual tokens
/// where it has some.
///
/// # Errors
/// When the factory was altered or does not open.
pub fn trust_anchors(
    directory: &DataDir,
    at_rest: &AtRest,
    today: Date,
) -> Result<TrustAnchors, AnchorsError> {
    let mut anchors = TrustAnchors::production()?;
    let factory = directory.factory();
    let made = match fs::read_dir(&factory) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(source) => {
            return Err(AnchorsError::Io {
                path: factory,
                source,
            });
        }
    };
    if made {
        // Opening it proves that the root is the one that was made here.
        anchors.add_bytes(Factory::open_or_create(&factory, at_rest, today)?.root_certificate())?;
    }
    Ok(anchors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_virtual_tokens_are_known_and_none_outside_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::create(&dir.path().join("data")).unwrap();
        let tokens = VirtualTokens::of(&data, data.at_rest());
        assert!(tokens.at("virtual:hsm-a").is_some());
        for other in [
            "hsm-a",
            "virtual:",
            "virtual:../hsm-a",
            "virtual:/etc",
            "pcsc:hsm-a",
            "VIRTUAL:hsm-a",
            "",
        ] {
            assert!(tokens.at(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_virtual_token_of_this_installation_is_reached_and_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataDir::create(&dir.path().join("data")).unwrap();
        let today = Date::from_calendar_date(2026, time::Month::March, 1).unwrap();
        let without = trust_anchors(&data, &data.at_rest(), today).unwrap();
        let factory = Factory::open_or_create(&data.factory(), &data.at_rest(), today).unwrap();
        let name = TokenName::new("hsm-a").unwrap();
        factory.create(&data.tokens(), &name, today).unwrap();
        let with = trust_anchors(&data, &data.at_rest(), today).unwrap();

        let connect = VirtualTokens::of(&data, data.at_rest())
            .at("virtual:hsm-a")
            .unwrap();
        let clock: Arc<dyn Fn() -> i64 + Send + Sync> = Arc::new(|| 0);
        let hsm = chancery_keys::Hsm::start("hsm-a", connect, Arc::new(with), Arc::clone(&clock)).unwrap();
        assert_eq!(hsm.identity().genuineness, chancery_cvc::Genuineness::Virtual);
        hsm.close("end of the test");
        drop(hsm);

        let connect = VirtualTokens::of(&data, data.at_rest())
            .at("virtual:hsm-a")
            .unwrap();
        assert!(chancery_keys::Hsm::start("hsm-a", connect, Arc::new(without), clock).is_err());
    }
}
