//! Virtual tokens of this machine.

use std::path::PathBuf;

use chancery_vtoken::{AtRest, OpenError, VirtualToken};

use crate::{Connect, ConnectError, Token};

/// Opens the virtual token in a directory.
#[derive(Clone, Debug)]
pub struct VirtualConnect {
    /// The token's directory.
    pub dir: PathBuf,
    /// What protects its keys on disk.
    pub at_rest: AtRest,
}

impl VirtualConnect {
    /// The token in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, at_rest: AtRest) -> Self {
        Self {
            dir: dir.into(),
            at_rest,
        }
    }
}

impl Connect for VirtualConnect {
    fn connect(&self) -> Result<Box<dyn Token>, ConnectError> {
        let what = || format!("virtual token {}", self.dir.display());
        match VirtualToken::open(&self.dir, &self.at_rest) {
            Ok(token) => Ok(Box::new(token)),
            Err(OpenError::NotFound(_)) => Err(ConnectError::NotFound { what: what() }),
            Err(OpenError::InUse { pid }) => Err(ConnectError::InUse { what: what(), pid }),
            Err(error) => Err(ConnectError::Failed {
                what: what(),
                source: Box::new(error),
            }),
        }
    }
}
