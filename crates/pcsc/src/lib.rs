//! Smart card readers through PC/SC, loaded at run time.
//!
//! A program that uses no reader needs no `libpcsclite`: it is looked for when the first [`Context`] is opened, and when it
//! is not there the error names the package. A [`PcscToken`] is a [`Transport`](chancery_iso7816::Transport): extended
//! length commands pass, a card that another program has reset or somebody has pulled is told apart from one that fails.
//!
//! The one crate with unsafe code: each call into the library is in `library`, behind a function without pointers.

mod code;
mod context;
mod error;
mod library;
mod link;
mod token;

pub use code::Code;
pub use context::{Context, PresentCard, Reader, Usage};
pub use error::PcscError;
pub use link::allow_threads;
pub use token::{PcscToken, Sharing};
