//! A directory with a factory of virtual tokens.

use std::path::{Path, PathBuf};

use chancery_cvc::TrustAnchors;
use chancery_vtoken::{AtRest, Factory, TokenName};
use tempfile::TempDir;
use time::{Date, Month};

use crate::options::Options;

/// Where tokens of one measurement are made; gone when it is dropped.
pub(crate) struct Workshop {
    directory: TempDir,
    pub(crate) at_rest: AtRest,
    factory: Factory,
}

impl Workshop {
    pub(crate) fn new(options: &Options) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(&options.directory)?;
        let at_rest = AtRest::MachineSecret(directory.path().join("machine.secret"));
        let factory = Factory::open_or_create(&directory.path().join("factory"), &at_rest, today()?)?;
        Ok(Self {
            directory,
            at_rest,
            factory,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.directory.path().join("tokens")
    }

    pub(crate) const fn factory(&self) -> &Factory {
        &self.factory
    }

    /// Trusts this workshop's tokens.
    pub(crate) fn anchors(&self) -> anyhow::Result<TrustAnchors> {
        let mut anchors = TrustAnchors::production()?;
        anchors.add_bytes(self.factory.root_certificate())?;
        Ok(anchors)
    }

    /// Makes a token and returns its directory.
    pub(crate) fn make(&self, name: &str) -> anyhow::Result<PathBuf> {
        self.factory
            .create(&self.tokens(), &TokenName::new(name)?, today()?)?;
        Ok(self.tokens().join(name))
    }
}

/// Any day will do.
fn today() -> anyhow::Result<Date> {
    Ok(Date::from_calendar_date(2026, Month::November, 21)?)
}
