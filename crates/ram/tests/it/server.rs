//! The server's end of a session: recorded exchanges, batches, faults and lies of clients, and what time does.

mod any;
mod bench;
mod exchanges;
mod faults;
mod own;
