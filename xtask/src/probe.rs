//! What the machine has: asked by using it, not by asking a package database.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::run::succeeds;

/// Something the machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A C compiler with the C library's headers: SQLite and the crypto library are built with it.
    CCompiler,
    /// `pkg-config`, by which OpenSSL is found.
    PkgConfig,
    /// Headers and library of OpenSSL 3.
    OpenSsl,
    /// The `openssl` program: the judge that did not write our certificates.
    OpenSslProgram,
    /// A C++ compiler: the fuzzer's engine is built with it.
    CxxCompiler,
    /// `cargo fmt`.
    Rustfmt,
    /// `cargo clippy`.
    Clippy,
}

/// Where a need comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Debian packages.
    Debian(&'static [&'static str]),
    /// A component of the Rust toolchain.
    Rustup(&'static str),
}

impl Need {
    /// Where it comes from.
    pub(crate) const fn source(self) -> Source {
        match self {
            // Without recommended packages gcc comes without the C library's headers.
            Self::CCompiler => Source::Debian(&["gcc", "libc6-dev"]),
            Self::PkgConfig => Source::Debian(&["pkg-config"]),
            Self::OpenSsl => Source::Debian(&["libssl-dev"]),
            Self::OpenSslProgram => Source::Debian(&["openssl"]),
            Self::CxxCompiler => Source::Debian(&["g++"]),
            Self::Rustfmt => Source::Rustup("rustfmt"),
            Self::Clippy => Source::Rustup("clippy"),
        }
    }

    /// One line for the reader: what is missing and for what.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::CCompiler => {
                "a C compiler with the C library's headers, to build SQLite and the crypto library"
            }
            Self::PkgConfig => "pkg-config, to find OpenSSL",
            Self::OpenSsl => "headers of OpenSSL 3, for its curves",
            Self::OpenSslProgram => "the openssl program, to check certificates independently",
            Self::CxxCompiler => "a C++ compiler, to build the fuzzer's engine",
            Self::Rustfmt => "cargo fmt, to check the formatting",
            Self::Clippy => "cargo clippy, to check the code",
        }
    }

    /// Whether the machine lacks it.
    pub(crate) fn is_missing(self) -> bool {
        // Who points the OpenSSL bindings at an installation of their own needs neither package.
        let own_openssl = || std::env::var_os("OPENSSL_DIR").is_some();
        match self {
            Self::CCompiler => !compiles("cc", "c", "#include <stdlib.h>\n"),
            Self::PkgConfig => !own_openssl() && !succeeds(Command::new("pkg-config").arg("--version")),
            Self::OpenSsl => !own_openssl() && !compiles("cc", "c", "#include <openssl/ssl.h>\n"),
            Self::OpenSslProgram => !succeeds(Command::new("openssl").arg("version")),
            Self::CxxCompiler => !compiles("c++", "c++", "#include <cstdlib>\n"),
            Self::Rustfmt => !succeeds(Command::new("cargo").args(["fmt", "--version"])),
            Self::Clippy => !succeeds(Command::new("cargo").args(["clippy", "--version"])),
        }
    }
}

/// Whether `compiler` accepts `source` written in `language`.
fn compiles(compiler: &str, language: &str, source: &str) -> bool {
    let spawned = Command::new(compiler)
        .args(["-x", language, "-fsyntax-only", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        return false;
    };
    let written = child
        .stdin
        .take()
        .is_some_and(|mut input| input.write_all(source.as_bytes()).is_ok());
    let succeeded = child.wait().is_ok_and(|status| status.success());
    written && succeeded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_probe_tells_a_missing_header_from_a_present_one() {
        assert!(compiles("cc", "c", "#include <stdlib.h>\n"));
        assert!(!compiles("cc", "c", "#include <no/such/header.h>\n"));
        assert!(!compiles("no-such-compiler", "c", ""));
    }
}
