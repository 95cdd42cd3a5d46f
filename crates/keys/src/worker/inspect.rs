//! What a token says about itself.

use super::Worker;
use super::held::ask;
use crate::{HsmError, Inspection, Quorum, RegisteredCustodian};

impl Worker {
    pub(super) fn inspect(&mut self) -> Result<Inspection, HsmError> {
        self.check()?;
        let slots = ask!(self.failed, "list its custodians", card => card.custodians());
        let domain = ask!(self.failed, "tell its key domain", card => card.key_domain(0));
        let objects = ask!(self.failed, "list its keys", card => card.enumerate());
        Ok(Inspection {
            initialised: self.initialised,
            quorum: self.status.map(|status| Quorum {
                required: status.required,
                total: status.total,
                missing: status.missing,
                answered: status.authenticated,
            }),
            custodians: slots
                .into_iter()
                .filter_map(|slot| {
                    Some(RegisteredCustodian {
                        chr: slot.custodian?.to_string(),
                        answered: slot.answered,
                    })
                })
                .collect(),
            kcv: domain
                .as_ref()
                .filter(|domain| domain.is_complete())
                .map(|domain| domain.kcv.0),
            shares_outstanding: domain.map_or(0, |domain| domain.outstanding),
            keys: objects.keys().into_iter().map(|id| id.0).collect(),
            mark: self.mark(),
        })
    }
}
