//! Where tokens are, and how they are reached.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chancery_iso7816::Transport;
use chancery_pcsc::{Context, PcscError, PcscToken, Sharing};
use chancery_reader::socket::{SocketError, SocketToken};

use crate::{
    error::{Code, Error, Result},
    slot::SlotDescription,
};

/// A place where a token may be.
pub trait Place: Send + Sync {
    /// What is said of it.
    fn description(&self) -> SlotDescription;

    /// Whether a token is there, as far as a glance tells.
    fn is_present(&self) -> bool;

    /// Which device it is, as far as the place tells.
    fn identity(&self) -> Identity;

    /// Reaches the token, which others may be using.
    ///
    /// # Errors
    /// `CKR_TOKEN_NOT_PRESENT`, `CKR_DEVICE_ERROR`.
    fn connect(&self) -> Result<Box<dyn Device>>;
}

/// What a place tells of the device there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// No other device is ever reached by this name, unless somebody makes it so on purpose.
    Device(String),
    /// Any device may be there. When the name contains the serial number of a device, it is that one.
    Place(String),
}

/// A token that several programs share, one at a time.
pub trait Device: Transport {
    /// Keeps others away until [`Device::end`]. `true` when somebody else had the token since the last time.
    ///
    /// # Errors
    /// `CKR_DEVICE_ERROR` with who has it, `CKR_DEVICE_REMOVED`.
    fn begin(&mut self, wait: Duration) -> Result<bool>;

    /// Lets others at it.
    fn end(&mut self);
}

/// A virtual token on the socket of the process that has plugged it in.
#[derive(Debug)]
pub struct SocketPlace {
    path: PathBuf,
    gone: AtomicBool,
}

/// A reader of PC/SC.
#[derive(Debug)]
pub(super) struct ReaderPlace {
    name: String,
    present: AtomicBool,
}

struct SocketDevice(SocketToken);

struct ReaderDevice(PcscToken);

impl SocketPlace {
    /// The token served on this socket.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            gone: AtomicBool::new(false),
        }
    }

    /// Whether a process serves a token there now, and not elsewhere.
    #[must_use]
    pub fn look(&self) -> bool {
        let served = SocketToken::connect(&self.path).is_ok_and(|token| !token.atr().is_empty());
        self.gone.store(!served, Ordering::Relaxed);
        served
    }
}

impl Place for SocketPlace {
    fn description(&self) -> SlotDescription {
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        SlotDescription {
            description: format!("Virtual token {name}"),
            manufacturer: "Chancery".to_owned(),
            removable: true,
            hardware: false,
        }
    }

    fn is_present(&self) -> bool {
        !self.gone.load(Ordering::Relaxed) && self.path.exists()
    }

    fn identity(&self) -> Identity {
        Identity::Device(format!("socket {}", self.path.display()))
    }

    fn connect(&self) -> Result<Box<dyn Device>> {
        let token = SocketToken::connect(&self.path).map_err(socket_error)?;
        Ok(Box::new(SocketDevice(token)))
    }
}

impl ReaderPlace {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            present: AtomicBool::new(true),
        }
    }

    pub(super) fn set_present(&self, present: bool) {
        self.present.store(present, Ordering::Relaxed);
    }
}

impl Place for ReaderPlace {
    fn description(&self) -> SlotDescription {
        SlotDescription {
            description: self.name.clone(),
            manufacturer: "PC/SC".to_owned(),
            removable: true,
            hardware: true,
        }
    }

    fn is_present(&self) -> bool {
        self.present.load(Ordering::Relaxed)
    }

    fn identity(&self) -> Identity {
        Identity::Place(format!("reader {}", self.name))
    }

    fn connect(&self) -> Result<Box<dyn Device>> {
        let token = Context::open()
            .and_then(|context| context.connect(&self.name, Sharing::Shared))
            .map_err(reader_error)?;
        Ok(Box::new(ReaderDevice(token)))
    }
}

impl Device for SocketDevice {
    fn begin(&mut self, wait: Duration) -> Result<bool> {
        self.0.begin(wait).map_err(socket_error)
    }

    fn end(&mut self) {
        // A connection that broke shows at the next use.
        let _: std::result::Result<(), SocketError> = self.0.end();
    }
}

impl Transport for SocketDevice {
    fn transmit(
        &mut self,
        command: &[u8],
    ) -> std::result::Result<zeroize::Zeroizing<Vec<u8>>, chancery_iso7816::TransportError> {
        self.0.transmit(command)
    }

    fn reset(&mut self) -> std::result::Result<(), chancery_iso7816::TransportError> {
        self.0.reset()
    }
}

impl Device for ReaderDevice {
    fn begin(&mut self, wait: Duration) -> Result<bool> {
        match self.0.begin(wait) {
            Ok(()) => Ok(false),
            Err(PcscError::Reset { .. }) => {
                let again = self.0.reconnect().and_then(|()| self.0.begin(wait));
                again.map(|()| true).map_err(reader_error)
            }
            Err(error) => Err(reader_error(error)),
        }
    }

    fn end(&mut self) {
        // What happened to the card shows at the next use.
        let _: std::result::Result<(), PcscError> = self.0.end();
    }
}

impl Transport for ReaderDevice {
    fn transmit(
        &mut self,
        command: &[u8],
    ) -> std::result::Result<zeroize::Zeroizing<Vec<u8>>, chancery_iso7816::TransportError> {
        self.0.transmit(command)
    }

    fn reset(&mut self) -> std::result::Result<(), chancery_iso7816::TransportError> {
        self.0.reset()
    }
}

fn socket_error(error: SocketError) -> Error {
    let code = match error {
        SocketError::NotServed { .. } | SocketError::Elsewhere { .. } => Code::TOKEN_NOT_PRESENT,
        SocketError::Broken { .. } => Code::DEVICE_REMOVED,
        _ => Code::DEVICE_ERROR,
    };
    code.because(error.to_string())
}

fn reader_error(error: PcscError) -> Error {
    let code = match error {
        PcscError::NoCard { .. } | PcscError::NoReader { .. } => Code::TOKEN_NOT_PRESENT,
        PcscError::Removed { .. } | PcscError::NoService { .. } => Code::DEVICE_REMOVED,
        _ => Code::DEVICE_ERROR,
    };
    code.because(error.to_string())
}
