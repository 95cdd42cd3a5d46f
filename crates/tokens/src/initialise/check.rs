//! Reading back what was set.

use std::fmt;

use chancery_driver::{Error, PinStatus, Selected, keystore};
use chancery_iso7816::Transport;
use chancery_schsm::InitializeOptions;

use super::Blueprint;
use crate::text::plural;

/// Something that is not as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub what: &'static str,
    /// As it was set.
    pub set: String,
    /// As it is.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {} instead of {}", self.what, self.found, self.set)
    }
}

/// Compares a token that was just selected, and to which nobody has logged in, with what it should be.
///
/// # Errors
/// A command failed.
pub fn compare<T: Transport>(
    card: &mut Selected<T>,
    blueprint: &Blueprint,
) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::new();
    let mut expect = |what: &'static str, set: String, found: String| {
        if set != found {
            differences.push(Difference { what, set, found });
        }
    };
    if let Some(options) = card.options() {
        expect(
            "the option word",
            format!("{:04X}", blueprint.options),
            format!("{:04X}", options.0),
        );
    }
    let quorum = card.pka_status()?;
    expect(
        "the quorum",
        blueprint.quorum.map_or_else(
            || "none".to_owned(),
            |(required, total)| format!("{required} of {total}"),
        ),
        quorum.map_or_else(
            || "none".to_owned(),
            |status| format!("{} of {}", status.required, status.total),
        ),
    );
    let pin = card.pin_status()?;
    let transport = blueprint.has(InitializeOptions::TRANSPORT_PIN);
    let pin_fits = match pin {
        PinStatus::NotVerified { tries_left } if blueprint.with_pin => tries_left == blueprint.retry,
        PinStatus::TransportPin => transport,
        PinStatus::QuorumOpen => blueprint.quorum.is_some(),
        PinStatus::Absent => !blueprint.with_pin,
        // Whoever initialises stays logged in on some firmware until the application is selected again.
        _ => false,
    };
    if !pin_fits {
        expect("the state of the PIN", set_pin(blueprint), format!("{pin:?}"));
    }
    if blueprint.label.is_some() {
        let label = keystore::token_info(card)?.map(|info| info.label);
        let or_none = |label: Option<String>| label.map_or_else(|| "none".to_owned(), |l| format!("{l:?}"));
        expect("the label", or_none(blueprint.label.clone()), or_none(label));
    }
    let domains = card.key_domains()?;
    let expected: Vec<(u8, u8)> = match blueprint.dkek_shares {
        Some(shares) => vec![(0, shares)],
        None => (0..).zip(blueprint.domain_shares.iter().copied()).collect(),
    };
    // A random key that nobody knows is shown as a domain by some firmware and not by others.
    if blueprint.dkek_shares != Some(0) {
        let found: Vec<(u8, u8)> = domains
            .iter()
            .map(|(number, status)| (*number, status.shares))
            .collect();
        expect("the key domains", shares(&expected), shares(&found));
    }
    Ok(differences)
}

fn set_pin(blueprint: &Blueprint) -> String {
    match (
        blueprint.with_pin,
        blueprint.has(InitializeOptions::TRANSPORT_PIN),
    ) {
        (true, true) => "a transport PIN".to_owned(),
        (true, false) => format!("a PIN with {} tries", blueprint.retry),
        (false, _) => "no PIN".to_owned(),
    }
}

fn shares(domains: &[(u8, u8)]) -> String {
    if domains.is_empty() {
        return "none".to_owned();
    }
    let each: Vec<_> = domains
        .iter()
        .map(|(number, shares)| format!("{number} with {shares} share{}", plural(*shares == 1)))
        .collect();
    each.join(", ")
}
