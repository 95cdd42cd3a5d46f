//! The messages of RAMOverHTTP: templates of one-byte tags and definite lengths.
//!
//! | template | from | when |
//! |---|---|---|
//! | [`Initiation`] (`E8`) | token's side | first POST of a session |
//! | [`CommandTemplate`] (`AA`) | server | every answer with status 200 |
//! | [`ResponseTemplate`] (`AB`) | token's side | every later POST |
//!
//! Parsers take lengths that are longer than minimal, ignore bytes after the template and skip objects they do not
//! know, because programs in the field write such messages; everything else that is not as it should be is an error.
//! What is written has minimal lengths. Messages carry command and response APDUs, so their bytes are wiped and
//! `Debug` shows lengths only.

mod command;
mod error;
mod initiation;
mod posted;
mod response;
mod tag;
mod wire;

pub use command::{CommandObject, CommandTemplate};
pub use error::MessageError;
pub use initiation::Initiation;
pub use posted::Posted;
pub use response::{ResponseObject, ResponseTemplate};
pub use wire::MAX_VALUE;

/// Most objects a parser takes from one template.
pub const MAX_OBJECTS: usize = 1024;

/// Longest body of a POST in bytes that a server should read.
pub const MAX_BODY: usize = 128 * 1024;
