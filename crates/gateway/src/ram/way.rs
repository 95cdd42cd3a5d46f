//! How an HSM's thread comes by the token of a connector.

use std::fmt;
use std::sync::Arc;

use chancery_keys::{Connect, ConnectError, Token};

use super::{Connectors, RemoteToken};

/// The way to the token of one connector, whichever session it has.
#[derive(Clone)]
pub struct ConnectorWay {
    connectors: Arc<Connectors>,
    name: String,
}

impl ConnectorWay {
    pub(super) fn new(connectors: Arc<Connectors>, name: String) -> Self {
        Self { connectors, name }
    }
}

impl Connect for ConnectorWay {
    fn connect(&self) -> Result<Box<dyn Token>, ConnectError> {
        let what = format!("connector {}", self.name);
        let Some(live) = self.connectors.current(&self.name) else {
            return Err(ConnectError::NotFound { what });
        };
        match RemoteToken::take(&live) {
            Some(token) => Ok(Box::new(token)),
            None => Err(ConnectError::Failed {
                what,
                source: "another part of this node has it".into(),
            }),
        }
    }
}

impl fmt::Debug for ConnectorWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectorWay({})", self.name)
    }
}
