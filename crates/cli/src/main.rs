//! The `chancery` command: what a user sees of the trust center.
//!
//! - [`cli`] is the table of commands; each is a struct of parsed arguments with `run(self, &Context)` in `commands`, one file a group.
//! - A command asks the node ([`context`]) or works on the data directory itself, and answers with a [`report`]: text, or with
//!   `--json` the views of `chancery-api`.
//! - What a person decides goes through [`act`]: shown here, signed by the person's own token here.
//! - [`verify`] checks an audit log without the node; it is pure.
//!
//! Invariants: no rule of the trust center is here; no secret is taken from arguments or the environment, and none gets into a
//! core dump.

mod act;
mod cli;
mod commands;
mod context;
mod error;
mod log_lines;
mod node_link;
mod own_side;
mod progress;
mod report;
mod secrets;
mod table;
mod verify;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    chancery_agent::forbid_core_dumps();
    match cli::Cli::try_parse() {
        Ok(cli) => cli.execute(),
        Err(error) => {
            // Nobody reads what cannot be written.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(error::USAGE))
        }
    }
}
