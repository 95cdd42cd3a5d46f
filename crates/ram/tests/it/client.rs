//! The token's end of a session against a server of the test's, in memory and without a clock.

mod locking;
mod lying;
mod own;
mod vectors;
mod world;
