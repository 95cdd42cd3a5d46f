//! What an initialisation takes away.

use chancery_driver::{Error, PinStatus, Selected};
use chancery_schsm::{Kcv, KeyDomainStatus};
use chancery_tokens::{initialise::Before, reach::TokenTransport};
use serde_json::{Value, json};

use crate::table::counted;

/// What goes beside keys and files.
pub(super) struct Losses {
    label: Option<String>,
    pin: bool,
    domains: Vec<(u8, KeyDomainStatus)>,
    /// Custodians that open it, of how many.
    quorum: Option<(u8, u8)>,
}

impl Losses {
    /// Looks at a token. Needs no PIN.
    ///
    /// # Errors
    /// A command failed.
    pub(super) fn of(card: &mut Selected<TokenTransport>, before: &Before) -> Result<Self, Error> {
        Ok(Self {
            label: before.label.clone(),
            pin: !matches!(card.pin_status()?, PinStatus::Absent | PinStatus::QuorumOpen),
            domains: match card.key_domains() {
                Ok(domains) => domains,
                // Domains that cannot be read stand in nobody's way.
                Err(error) if error.status().is_some() => Vec::new(),
                Err(error) => return Err(error),
            },
            quorum: card.pka_status()?.map(|status| (status.required, status.total)),
        })
    }

    /// In words.
    pub(super) fn text(&self, before: &Before) -> String {
        let mut parts = Vec::new();
        let count = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            number => format!("{number} {what}s"),
        };
        if !before.keys.is_empty() {
            parts.push(count(before.keys.len(), "key"));
        }
        if !before.files.is_empty() {
            parts.push(count(before.files.len(), "file"));
        }
        for (number, status) in &self.domains {
            parts.push(match status.kcv {
                Kcv::NONE if status.outstanding > 0 => {
                    format!(
                        "key domain {number} ({} of {} missing)",
                        status.outstanding,
                        counted(status.shares, "share")
                    )
                }
                Kcv::NONE => format!("key domain {number}"),
                kcv => format!("key domain {number} with KCV {kcv}"),
            });
        }
        if let Some(label) = &self.label {
            parts.push(format!("the label {label:?}"));
        }
        if self.pin {
            parts.push("the PIN".to_owned());
        }
        if let Some((required, total)) = self.quorum {
            parts.push(format!("the quorum of {required} of {total} custodians"));
        }
        if parts.is_empty() {
            return "nothing: it is empty".to_owned();
        }
        format!("{}; its device key stays", parts.join(", "))
    }

    /// As JSON.
    pub(super) fn json(&self, before: &Before) -> Value {
        json!({
            "keys": before.keys,
            "files": before.files,
            "label": self.label,
            "pin": self.pin,
            "domains": self.domains.iter().map(|(number, status)| json!({
                "domain": number,
                "shares": status.shares,
                "outstanding": status.outstanding,
                "kcv": (status.kcv != Kcv::NONE).then(|| status.kcv.to_string()),
            })).collect::<Vec<_>>(),
            "quorum": self.quorum.map(|(required, total)| json!({ "required": required, "total": total })),
        })
    }
}
