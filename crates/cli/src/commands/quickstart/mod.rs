//! `quickstart`: a working trust center for rehearsal, as a sequence of the ordinary commands.
//!
//! Each step looks at its end state first. So whatever ended an earlier run, even the kill of a process at any point, the next run
//! finishes what is missing, and where nothing is missing it verifies and issues one more certificate. Nothing here does what a
//! command cannot: [`Guide::run`] parses the line that it prints.

mod certificate;
mod check;
mod csr;
mod guide;
mod look;
mod machines;
mod process;
mod remote;
mod steps;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{context::Context, error::CliError, report::Report};

use guide::Guide;

/// Builds a trust center for rehearsal.
#[derive(Args)]
#[command(
    after_help = "Example: chancery quickstart\n         chancery quickstart --data-dir /tmp/center --csr server.csr\n         \
chancery quickstart --remote\n\
Asks nothing. Made of ordinary commands, printed as they run. Run again, it recognises what is there, finishes or verifies it, \
and issues one more certificate. It never initialises a token that holds keys.\n\
With --remote the HSM comes from an agent, two custodians agree from data directories of their own, and openssl signs through the \
PKCS#11 module, all on this machine.\n\
Data directory: ./chancery-quickstart, or ./chancery-quickstart-remote, unless --data-dir or CHANCERY_DATA_DIR says otherwise."
)]
pub(crate) struct Quickstart {
    /// Issue the certificate for this PKCS#10 request instead of one made on the spot
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// Show a quorum at work from afar: an HSM attached by an agent, two custodians, and openssl that waits for them
    #[arg(long, conflicts_with_all = ["csr", "algorithm"])]
    remote: bool,
    /// With --remote: the PKCS#11 module [default: libchancery_pkcs11.so beside this program]
    #[arg(long, value_name = "FILE", requires = "remote")]
    module: Option<PathBuf>,
    /// Pause before each step and explain it
    #[arg(long)]
    interactive: bool,
    /// Algorithm of the root CA's key: ec:P-256, ec:P-384, ec:P-521, rsa:2048, rsa:3072, rsa:4096
    #[arg(long, default_value = "ec:P-256")]
    algorithm: String,
}

/// What was done, as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    /// Data directory, absolute.
    data_dir: PathBuf,
    /// Where the files are.
    out: PathBuf,
    /// Process of the node, which goes on running.
    node: u32,
    /// Certificates, by name of their file without `.pem`.
    certificates: Vec<IssuedView>,
    /// Name of the certificate that was issued anew by a run that found everything done.
    one_more: Option<String>,
    /// Commands to type next.
    next: Vec<String>,
}

/// A certificate of a quickstart.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IssuedView {
    /// Name of its file without `.pem`.
    name: String,
    /// Request.
    request: i64,
    /// Serial number, hexadecimal.
    serial: String,
    /// `issued` or `revoked`.
    state: String,
}

impl Quickstart {
    /// Runs the command.
    pub(crate) fn run(self, context: &Context) -> Result<Report, CliError> {
        let default = if self.remote {
            REMOTE_DIRECTORY
        } else {
            DEFAULT_DIRECTORY
        };
        let directory = context
            .named_directory()
            .unwrap_or_else(|| Path::new(default))
            .to_owned();
        let guide = Guide::new(directory, context.json(), self.interactive);
        if self.remote {
            return remote::all(&guide, self.module.as_deref());
        }
        steps::all(&guide, self.csr.as_deref(), &self.algorithm)
    }
}

/// Where the data is unless somebody says otherwise.
const DEFAULT_DIRECTORY: &str = "chancery-quickstart";
/// The same with `--remote`: a node that listens on the network is another.
const REMOTE_DIRECTORY: &str = "chancery-quickstart-remote";
