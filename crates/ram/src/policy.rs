//! What an agent lets through to the token it holds: an allow-list on the header of a command and on whether it has data.
//!
//! The server at the other end is trusted with nothing but the use of named keys. A command passes when a rule of the
//! [table](self) says so and for no other reason; what cannot be read as a command, or as the data objects of secure
//! messaging, is refused.
//!
//! | what | headers | passes |
//! |---|---|---|
//! | looking | SELECT `A4` of this application or of a file; READ BINARY `B1` of files that anybody may read; ENUMERATE `58`; VERIFY `20` without data (state of a PIN); MANAGE KEY DOMAIN `52 00` and MANAGE PKA `54 00 00`, `54 02` without data (states); GET RESPONSE `C0` | always |
//! | chip authentication | MSE `22 41 A4`, GENERAL AUTHENTICATE `86` | always |
//! | quorum | MSE `22 81 B6`, `22 81 A4`, PSO `2A 00 BE`, GET CHALLENGE `84`, EXTERNAL AUTHENTICATE `82` | always |
//! | use of keys | SIGN `68`, DECIPHER and ECDH `62` | for the keys that were named |
//! | management | INITIALIZE `50`, key domains, registration of custodians, GENERATE `46`, `48`, WRAP `72`, UNWRAP `74`, derived keys `76`, CIPHER `78`, UPDATE BINARY `D7`, DELETE `E4`, files that need authentication, keys that were not named | where [management](Policy::with_management) was allowed at the agent |
//! | PINs | VERIFY `20` with data, CHANGE `24`, RESET RETRY COUNTER `2C`, session PIN `5A` | never: a PIN is typed where the token is |
//!
//! The header of a protected command is plain and is judged the same way; it has data when a data object 87 or 85 is
//! there. The bit of CLA that tells proprietary commands from others is ignored here, because tokens ignore it. Two
//! commands are not what their headers say at first sight: READ BINARY of file 0000 reads whatever was selected before,
//! and `62` with algorithm 84 stores a key encryption key; neither counts as looking or as use of a key.

mod refusal;
mod rules;
mod shape;

pub use refusal::{Header, Reason, Refusal};
pub use shape::Shape;

use rules::Permission;

/// What its owner lets a server do with a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    keys: Vec<u8>,
    management: bool,
}

impl Policy {
    /// Looking, chip authentication and quorum only.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the server use this key, too. Key 0 is the device's own and cannot be named.
    #[must_use]
    pub fn with_key(mut self, id: u8) -> Self {
        if id != 0 && !self.keys.contains(&id) {
            self.keys.push(id);
            self.keys.sort_unstable();
        }
        self
    }

    /// Lets the server change the token: initialise it, make, delete and copy keys, and use every key. PINs stay
    /// forbidden but for those that an initialisation sets.
    #[must_use]
    pub fn with_management(mut self) -> Self {
        self.management = true;
        self
    }

    /// Keys the server may use, ascending.
    #[must_use]
    pub fn keys(&self) -> &[u8] {
        &self.keys
    }

    /// Whether the server may change the token.
    #[must_use]
    pub fn allows_management(&self) -> bool {
        self.management
    }

    /// Decides on one command. `channel` says whether chip authentication was completed and nothing ended the channel since:
    /// without one a protected command is refused, for a token that knows no secure messaging might take its data objects
    /// for a PIN.
    ///
    /// # Errors
    /// [`Refusal`]: the token must not see the command.
    pub fn judge(&self, command: &[u8], channel: bool) -> Result<Shape, Refusal> {
        let shape = Shape::read(command)?;
        let refuse = |reason| Err(Refusal::new(shape.header(), shape.has_data(), reason));
        if shape.is_protected() && !channel {
            return refuse(Reason::NoChannel);
        }
        match rules::permission(&shape) {
            Permission::Always => Ok(shape),
            Permission::Key(id) if id != 0 && (self.management || self.keys.contains(&id)) => Ok(shape),
            Permission::Key(0) => refuse(Reason::DeviceKey),
            Permission::Key(id) => refuse(Reason::KeyNotNamed { id }),
            Permission::Management if self.management => Ok(shape),
            Permission::Management => refuse(Reason::Management),
            Permission::Pin => refuse(Reason::Pin),
            Permission::Unknown => refuse(Reason::Unknown),
        }
    }
}

#[cfg(test)]
mod tests;
