//! Virtual tokens that another process has plugged in and shares.

use std::path::Path;
use std::time::Duration;

use chancery_reader::socket::{SocketError, SocketToken};

use super::Presence;
use super::probe::{Probed, probe};

/// How long a look waits for another process to let go.
const PATIENCE_TO_LOOK: Duration = Duration::from_secs(2);

/// How long work waits for that.
const PATIENCE_TO_HOLD: Duration = Duration::from_secs(15);

/// Looks at the token behind a socket; `None` when nobody serves it there.
pub(super) fn look(socket: &Path) -> Option<(Option<Probed>, Presence)> {
    let mut token = match SocketToken::connect(socket) {
        Ok(token) => token,
        Err(SocketError::NotServed { .. } | SocketError::Path(_)) => return None,
        Err(error) => {
            return Some((
                None,
                Presence::Unusable {
                    why: error.to_string(),
                },
            ));
        }
    };
    match token.begin(PATIENCE_TO_LOOK) {
        Ok(_) => {}
        // It stands in a reader of pcscd: there it is found.
        Err(SocketError::Elsewhere { .. }) => return None,
        Err(SocketError::Busy { pid }) => {
            return Some((
                None,
                Presence::InUse {
                    pid: Some(pid).filter(|pid| *pid != 0),
                },
            ));
        }
        Err(error) => {
            return Some((
                None,
                Presence::Unusable {
                    why: error.to_string(),
                },
            ));
        }
    }
    Some(match probe(&mut token) {
        Ok(probed) => (Some(probed), Presence::Ready),
        Err(error) => (
            None,
            Presence::Unusable {
                why: error.to_string(),
            },
        ),
    })
}

/// Holds the token behind a socket until it is dropped.
pub(super) fn hold(socket: &Path) -> Result<SocketToken, SocketError> {
    let mut token = SocketToken::connect(socket)?;
    token.begin(PATIENCE_TO_HOLD)?;
    Ok(token)
}
