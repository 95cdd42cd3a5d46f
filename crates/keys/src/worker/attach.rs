//! Connecting a token and finding out which device it is.

use std::sync::Arc;

use chancery_cvc::{DeviceChain, DeviceIdentity, TrustAnchors};
use chancery_driver::{Card, Selected};
use chancery_iso7816::Transport;
use chancery_schsm::fid;

use super::way::Way;
use crate::{Connect, HsmError, Identity, Known, OpenChannel, Token};

/// A token just connected, its identity proven.
pub(super) struct Attached {
    pub(super) card: Selected<Way>,
    pub(super) way: Way,
    pub(super) device: DeviceIdentity,
    pub(super) chain: Vec<u8>,
    /// Whether the way to it tells when an answer is there.
    pub(super) tells: bool,
}

/// Connects, selects, reads the chain and verifies it; then a remote token has to show that it has the device's private key,
/// and is reached through a secure channel from there on.
pub(super) fn attach(
    hsm: &str,
    connect: &dyn Connect,
    anchors: &TrustAnchors,
    ready: Arc<dyn Fn() + Send + Sync>,
) -> Result<Attached, HsmError> {
    let token = connect.connect().map_err(|source| HsmError::Connect {
        hsm: hsm.to_owned(),
        source,
    })?;
    attach_token(hsm, token, anchors, ready)
}

fn attach_token(
    hsm: &str,
    token: Box<dyn Token>,
    anchors: &TrustAnchors,
    ready: Arc<dyn Fn() + Send + Sync>,
) -> Result<Attached, HsmError> {
    let mut way = Way::new(token);
    let tells = way.on_ready(ready);
    if way.is_remote()
        && let Some(attached) = attach_known(&way, tells, anchors)
    {
        return Ok(attached);
    }
    way.begin_anew();
    let (card, chain) = look(hsm, &way)?;
    let device = verified(hsm, &chain, anchors)?;
    if way.is_remote() {
        way.secure(&device).map_err(|source| HsmError::NoChannel {
            hsm: hsm.to_owned(),
            source: Box::new(source),
        })?;
        way.remember(Known {
            chain: chain.clone(),
            open: None,
        });
    }
    Ok(Attached {
        card,
        way,
        device,
        chain,
        tells,
    })
}

/// A remote token that has proven itself before, to somebody else on this node: its channel is gone on with. Where that is lost,
/// another one is opened at once, and the application is selected in it. `None` where neither works; then it is not what it was.
fn attach_known(way: &Way, tells: bool, anchors: &TrustAnchors) -> Option<Attached> {
    let Known { chain, open } = way.remembered()?;
    let device = verified("", &chain, anchors).ok()?;
    let card = match open.and_then(|open| go_on(way, &device, open, &chain)) {
        Some(card) => card,
        None => {
            way.secure(&device).ok()?;
            let (card, found) = look("", way).ok()?;
            (found == chain).then_some(card)?
        }
    };
    Some(Attached {
        card,
        way: way.clone(),
        device,
        chain,
        tells,
    })
}

/// Goes on with an open channel; `None` where the token has it no more.
fn go_on(way: &Way, device: &DeviceIdentity, open: OpenChannel, chain: &[u8]) -> Option<Selected<Way>> {
    way.resume(device, open.channel);
    let mut card = Card::with_limits(way.clone(), way.limits()).resume(open.selection);
    let found = card.read_file(fid::DEVICE_CERTIFICATES).ok()??;
    (found == chain).then_some(card)
}

/// Selects, and reads the chain.
fn look(hsm: &str, way: &Way) -> Result<(Selected<Way>, Vec<u8>), HsmError> {
    let failed = |error| HsmError::Token {
        hsm: hsm.to_owned(),
        doing: "be selected",
        source: Box::new(error),
    };
    let mut card = Card::with_limits(way.clone(), way.limits())
        .select()
        .map_err(|refused| failed(refused.into_error()))?;
    let chain = card.read_file(fid::DEVICE_CERTIFICATES).map_err(failed)?;
    Ok((card, chain.unwrap_or_default()))
}

fn verified(hsm: &str, chain: &[u8], anchors: &TrustAnchors) -> Result<DeviceIdentity, HsmError> {
    let refused = |source| HsmError::Chain {
        hsm: hsm.to_owned(),
        source,
    };
    DeviceChain::parse(chain)
        .map_err(|error| refused(Box::new(error)))?
        .verify(anchors, None)
        .map_err(|error| refused(Box::new(error)))
}

impl Attached {
    pub(super) fn identity(&self, hsm: &str) -> Result<Identity, HsmError> {
        let key = self.device.device_key();
        let device_key = match key.point() {
            Some(point) => point.to_vec(),
            None => key.to_spki_der().map_err(|error| HsmError::Chain {
                hsm: hsm.to_owned(),
                source: Box::new(error),
            })?,
        };
        Ok(Identity {
            device: self.device.name().to_string(),
            device_key,
            chain: self.chain.clone(),
            genuineness: self.device.genuine(),
        })
    }
}

/// Finds out which device a token is. A remote one proves it: it is selected, its chain is read and verified, and it shows in chip
/// authentication that it has the private key. Whatever was open on it is not any more; its secure channel is kept for the next to use
/// the token. Blocks.
///
/// # Errors
/// [`HsmError::Chain`], [`HsmError::NoChannel`], or a command failed; the token is given back then.
pub fn identify(
    name: &str,
    token: Box<dyn Token>,
    anchors: &TrustAnchors,
) -> Result<(Identity, Box<dyn Token>), HsmError> {
    let attached = attach_token(name, token, anchors, Arc::new(|| {}))?;
    let identity = attached.identity(name)?;
    let Attached { card, way, chain, .. } = attached;
    let selection = card.selection();
    drop(card);
    if let Some(channel) = way.suspend() {
        let open = Some(OpenChannel { channel, selection });
        way.remember(Known { chain, open });
    }
    way.into_token()
        .map(|token| (identity, token))
        .ok_or_else(|| HsmError::Lost {
            hsm: name.to_owned(),
            because: "it is held elsewhere".to_owned(),
        })
}
