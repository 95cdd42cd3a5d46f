//! EF.C_DevAut: who the token is.

use chancery_cvc::{DeviceChain, DeviceIdentity, Reference, TrustAnchors};
use chancery_iso7816::Transport;
use chancery_schsm::fid;

use crate::error::{Doing, Error};
use crate::session::Session;

impl<T: Transport> Session<T> {
    /// The file as it stands.
    pub(crate) fn device_certificates(&mut self) -> Result<Vec<u8>, Error> {
        self.read_file(fid::DEVICE_CERTIFICATES)?
            .ok_or_else(|| Error::protocol(&doing(), "the token has no device certificate"))
    }

    pub(crate) fn device_chain(&mut self) -> Result<DeviceChain, Error> {
        DeviceChain::parse(&self.device_certificates()?)
            .map_err(|error| Error::protocol(&doing(), error.to_string()))
    }

    /// Name of the device key as the token states it, not verified.
    pub(crate) fn device_name(&mut self) -> Result<Reference, Error> {
        let chain = self.device_chain()?;
        chain
            .device_name()
            .cloned()
            .ok_or_else(|| Error::protocol(&doing(), "no device certificate in it"))
    }

    pub(crate) fn device_identity(&mut self, anchors: &TrustAnchors) -> Result<DeviceIdentity, Error> {
        self.device_chain()?.verify(anchors, None).map_err(Error::Chain)
    }
}

fn doing() -> Doing {
    Doing::new("READ BINARY", "device certificate chain")
}
