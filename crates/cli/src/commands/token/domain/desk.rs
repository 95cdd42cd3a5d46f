//! What work with key domains needs of the host, and what is said of the devices in a group.

use chancery_cvc::{DeviceIdentity, Genuineness, TrustAnchors};
use chancery_tokens::{
    archive::Archive,
    domain::{DomainKey, Host},
    journal::Journal,
};
use serde_json::{Value, json};

use crate::{
    commands::token::{
        opening::{archive, journal, noted, now},
        reaching::{Chosen, anchors},
    },
    context::Context,
    error::CliError,
};

/// What work needs of the host, for as long as it lasts.
pub(super) struct Desk {
    pub(super) anchors: TrustAnchors,
    archive: Archive,
    journal: Journal,
}

impl Desk {
    /// Of this installation.
    pub(super) fn new(context: &Context) -> Result<Self, CliError> {
        Ok(Self {
            anchors: anchors(context)?,
            archive: archive(context)?,
            journal: journal(context)?,
        })
    }

    /// For work on this token, which is called so in sentences.
    pub(super) fn host<'a>(&'a self, chosen: &'a Chosen, called: &'a str) -> Host<'a> {
        Host {
            anchors: &self.anchors,
            archive: &self.archive,
            noted: noted(chosen, called, &self.journal),
            now: now(),
        }
    }
}

/// A device of a group in words. A virtual one is never taken for a device.
pub(super) fn words(role: &str, device: &DeviceIdentity) -> String {
    let kind = match device.genuine() {
        Genuineness::Production => "a production device",
        Genuineness::Virtual => "a VIRTUAL TOKEN: its keys are in files of a computer",
        Genuineness::Test => "a test device",
        Genuineness::Other => "a device under a root of its own, not of the maker's",
    };
    format!(
        "{role}: {}, {kind} ({})\n",
        device.serial(),
        device.display_path()
    )
}

/// Said once below everything that concerns virtual tokens in a group.
pub(super) fn virtual_remark(devices: &[&DeviceIdentity]) -> &'static str {
    if devices.iter().any(|device| is_virtual(device)) {
        "virtual tokens derive key encryption keys in a way of their own: they exchange keys with virtual tokens, never with \
         devices\n"
    } else {
        ""
    }
}

/// A device of a group as JSON.
pub(super) fn device_json(device: &DeviceIdentity) -> Value {
    json!({
        "device": device.serial(),
        "path": device.display_path(),
        "kind": device.genuine().to_string(),
        "virtual": is_virtual(device),
    })
}

/// Keys in a domain as JSON.
pub(super) fn keys_json(keys: &[DomainKey]) -> Value {
    keys.iter()
        .map(|key| json!({ "id": key.id.0, "label": key.label, "exchange": key.exchange }))
        .collect()
}

fn is_virtual(device: &DeviceIdentity) -> bool {
    device.genuine() == Genuineness::Virtual
}
