//! What the audit log says of a receipt.

use crate::{Base64, CanonicalError, Hash32, Receipt, canonical_json};

impl Receipt {
    /// SHA-256 over the canonical JSON of everything in the receipt but its place in the log: `leaf` 0, `leaf_body` empty, no
    /// `inclusion`. The audit event of the signature has it as member `receipt` of its data, so that the log's signed head covers
    /// the whole receipt, time and names included.
    ///
    /// # Errors
    /// [`CanonicalError`]; not for a receipt that was read.
    pub fn core_hash(&self) -> Result<Hash32, CanonicalError> {
        let core = Self {
            leaf: 0,
            leaf_body: Base64(Vec::new()),
            inclusion: None,
            ..self.clone()
        };
        Ok(Hash32::of(&canonical_json(&core)?))
    }
}
