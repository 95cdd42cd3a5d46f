//! What host software sends, byte for byte, and what it relies on in the answers. Nothing here uses this project's
//! parsers: what is read is read by the test's own.

mod ber;
mod buffers;
mod embedded;
mod host;
mod opensc;
mod opensc_tool;
mod scripting;
