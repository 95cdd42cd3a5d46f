//! What can be said of a token without opening it.

mod bugs;
mod words;

use chancery_cvc::{DateRemark, DeviceChain, Genuineness, TrustAnchors};
use chancery_driver::{
    CustodianSlot, Error, Firmware, PinStatus, Selected, SoPinStatus, device_state, keystore, so_pin_status,
};
use chancery_iso7816::Transport;
use chancery_schsm::{InitializeOptions, KeyDomainStatus, KeyId, PkaStatus, fid};
use time::Date;

pub use bugs::{KnownBug, known_bugs};
pub use words::{option_words, platform_words};

/// What a token says about itself, and what of that is proven.
#[derive(Clone, Debug)]
pub struct Info {
    /// Device id: the name in its device certificate without the sequence digits; `None` when it has no readable one.
    pub device: Option<String>,
    /// Name of its device certificate.
    pub name: Option<String>,
    /// Label (EF 2F03).
    pub label: Option<String>,
    /// Whether its chain proves what it is.
    pub genuine: Verdict,
    /// Version of the applet.
    pub firmware: Firmware,
    /// Option word; `None` before version 2.
    pub options: Option<InitializeOptions>,
    /// User PIN; looking costs no try.
    pub pin: PinStatus,
    /// SO-PIN; looking costs no try.
    pub so_pin: SoPinStatus,
    /// Quorum, on a token set up for one.
    pub quorum: Option<PkaStatus>,
    /// Places for custodian keys.
    pub custodians: Vec<CustodianSlot>,
    /// Key domains that exist.
    pub domains: Vec<(u8, KeyDomainStatus)>,
    /// Free memory in bytes, where the firmware tells it.
    pub free_memory: Option<u32>,
    /// Ids of its keys.
    pub keys: Vec<KeyId>,
    /// Key ids that nothing is left over at, of 255.
    pub free_key_ids: usize,
    /// Other files it lists.
    pub files: usize,
    /// What this firmware is known to do wrong.
    pub bugs: Vec<KnownBug>,
    /// What is odd about this token, in sentences.
    pub remarks: Vec<String>,
}

/// Whether a token's chain proves that it is genuine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// It leads to a trusted root. That the token at hand has the key in its certificate shows only when it signs.
    Proven {
        /// Which kind of device that root certifies.
        genuine: Genuineness,
        /// Names from the root down.
        path: String,
        /// Certificates in it that are out of date; no reason to refuse a device.
        dates: Vec<DateRemark>,
    },
    /// It does not lead to a trusted root.
    NotProven {
        /// Why.
        why: String,
    },
    /// There is no chain that could be read.
    Unreadable {
        /// Why.
        why: String,
    },
}

impl Verdict {
    /// Judges the content of EF 2F02.
    #[must_use]
    pub fn of(chain: &DeviceChain, anchors: &TrustAnchors, today: Option<Date>) -> Self {
        match chain.verify(anchors, today) {
            Ok(identity) => Self::Proven {
                genuine: identity.genuine(),
                path: identity.display_path(),
                dates: identity.date_remarks().to_vec(),
            },
            Err(error) => Self::NotProven {
                why: error.to_string(),
            },
        }
    }

    /// Whether its maker certified it as a production device.
    #[must_use]
    pub const fn is_production(&self) -> bool {
        matches!(
            self,
            Self::Proven {
                genuine: Genuineness::Production,
                ..
            }
        )
    }
}

/// Looks at a token. Nothing is changed, no try is spent, nothing that a foreign token holds makes this fail: what cannot be
/// read is remarked.
///
/// # Errors
/// The link failed, or the token answers nonsense where every token answers.
pub fn inspect<T: Transport>(
    card: &mut Selected<T>,
    anchors: &TrustAnchors,
    today: Option<Date>,
) -> Result<Info, Error> {
    let mut remarks = Vec::new();
    let chain = unless_lost(card.device_chain())?;
    let name = chain.as_ref().ok().and_then(|chain| chain.device_name().cloned());
    let genuine = match &chain {
        Ok(chain) => Verdict::of(chain, anchors, today),
        Err(error) => Verdict::Unreadable {
            why: error.to_string(),
        },
    };
    let label = match unless_lost(keystore::token_info(card))? {
        Ok(info) => info.map(|info| info.label),
        Err(error) => {
            remarks.push(format!("its label cannot be read: {error}"));
            None
        }
    };
    let pin = card.pin_status()?;
    let so_pin = so_pin_status(card)?;
    let quorum = card.pka_status()?;
    let custodians = match quorum {
        Some(_) => card.custodians()?,
        None => Vec::new(),
    };
    let domains = match unless_lost(card.key_domains())? {
        Ok(domains) => domains,
        Err(error) => {
            remarks.push(format!("its key domains cannot be read: {error}"));
            Vec::new()
        }
    };
    let device = device_state(card)?;
    let firmware = card.firmware();
    if let Some(device) = device
        && device.version != (firmware.major, firmware.minor)
    {
        let (major, minor) = device.version;
        remarks.push(format!(
            "it gives two versions: {firmware} when selected, {major}.{minor} when asked"
        ));
    }
    let objects = card.enumerate()?;
    let keys = objects.keys();
    let free_key_ids = (1..=u8::MAX)
        .map(KeyId)
        .filter(|id| {
            [fid::key(*id), fid::prkd(*id), fid::certificate(*id)]
                .iter()
                .all(|file| !objects.contains(*file))
        })
        .count();
    let files = objects.iter().filter(|fid| !fid.is_key()).count();
    Ok(Info {
        device: name.as_ref().map(|name| name.holder().to_owned()),
        name: name.map(|name| name.to_string()),
        label,
        genuine,
        firmware,
        options: card.options(),
        pin,
        so_pin,
        quorum,
        custodians,
        domains,
        free_memory: device.and_then(|device| device.free_memory),
        keys,
        free_key_ids,
        files,
        bugs: known_bugs(firmware),
        remarks,
    })
}

/// Keeps an error that concerns one answer; a link that is gone ends the look.
fn unless_lost<R>(result: Result<R, Error>) -> Result<Result<R, Error>, Error> {
    match result {
        Err(error @ (Error::Link { .. } | Error::NotSelected { .. })) => Err(error),
        other => Ok(other),
    }
}
