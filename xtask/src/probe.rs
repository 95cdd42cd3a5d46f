//! What the machine has: asked by using it, not by asking a package database.

use std::io::Write as _;
use std::path::Path;
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
    /// `pcscd`: what unchanged smart card programs reach tokens through.
    Pcscd,
    /// pcscd's driver for virtual readers.
    Vpcd,
    /// OpenSC's programs and its PKCS#11 module.
    OpenSc,
    /// The engine with which `openssl` uses a PKCS#11 module.
    Pkcs11Engine,
    /// `p11tool`.
    P11tool,
    /// `mkimage`, which signs FIT images, and the programs that look into them.
    Mkimage,
    /// `sbsign`, which signs EFI programs.
    Sbsign,
    /// `osslsigncode`, which signs programs for Windows.
    Osslsigncode,
    /// `jarsigner`, which signs JAR files.
    Jarsigner,
    /// `certutil` and `modutil` of NSS.
    Nss,
    /// `nginx`, a reverse proxy between agent and node.
    Nginx,
    /// `unshare`: a pcscd of the tests' own runs in a mount namespace.
    Unshare,
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
            Self::Pcscd => Source::Debian(&["pcscd"]),
            Self::Vpcd => Source::Debian(&["vsmartcard-vpcd"]),
            // opensc-pkcs11 holds the module; without recommended packages it would be left out.
            Self::OpenSc => Source::Debian(&["opensc", "opensc-pkcs11"]),
            Self::Pkcs11Engine => Source::Debian(&["libengine-pkcs11-openssl"]),
            Self::P11tool => Source::Debian(&["gnutls-bin"]),
            Self::Mkimage => Source::Debian(&["u-boot-tools", "device-tree-compiler"]),
            Self::Sbsign => Source::Debian(&["sbsigntool"]),
            Self::Osslsigncode => Source::Debian(&["osslsigncode"]),
            Self::Jarsigner => Source::Debian(&["openjdk-17-jdk-headless"]),
            Self::Nss => Source::Debian(&["libnss3-tools"]),
            Self::Nginx => Source::Debian(&["nginx-light"]),
            Self::Unshare => Source::Debian(&["util-linux", "mount"]),
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
            Self::Pcscd => "pcscd, to plug virtual tokens into",
            Self::Vpcd => "vpcd, pcscd's driver for virtual readers",
            Self::OpenSc => "OpenSC's programs and PKCS#11 module, as clients of virtual tokens",
            Self::Pkcs11Engine => "the pkcs11 engine of openssl, as a client of virtual tokens",
            Self::P11tool => "p11tool, as a client of virtual tokens",
            Self::Mkimage => "mkimage, dtc and fdtget, as clients of the PKCS#11 module",
            Self::Sbsign => "sbsign, as a client of the PKCS#11 module",
            Self::Osslsigncode => "osslsigncode, as a client of the PKCS#11 module",
            Self::Jarsigner => "jarsigner of JDK 17, as a client of the PKCS#11 module",
            Self::Nss => "certutil and modutil, as clients of the PKCS#11 module",
            Self::Nginx => "nginx, as a proxy between agent and node",
            Self::Unshare => "unshare and mount, to run a pcscd of the tests' own",
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
            // Its folder is in the path of the superuser alone.
            Self::Pcscd => !Path::new("/usr/sbin/pcscd").exists(),
            Self::Vpcd => !Path::new("/usr/lib/pcsc/drivers/serial/libifdvpcd.so").exists(),
            Self::OpenSc => {
                let programs = ["opensc-tool", "sc-hsm-tool", "pkcs11-tool", "pkcs15-tool"];
                !in_library_folder("opensc-pkcs11.so") || programs.iter().any(|program| !is_in_path(program))
            }
            Self::Pkcs11Engine => !succeeds(Command::new("openssl").args(["engine", "-t", "pkcs11"])),
            Self::P11tool => !succeeds(Command::new("p11tool").arg("--version")),
            Self::Mkimage => ["mkimage", "dtc", "fdtget"]
                .iter()
                .any(|program| !is_in_path(program)),
            Self::Sbsign => !is_in_path("sbsign") || !is_in_path("sbverify"),
            Self::Osslsigncode => !is_in_path("osslsigncode"),
            Self::Jarsigner => !is_in_path("jarsigner"),
            Self::Nss => !is_in_path("certutil") || !is_in_path("modutil"),
            // Its folder is in the path of the superuser alone.
            Self::Nginx => !Path::new("/usr/sbin/nginx").exists(),
            Self::Unshare => !is_in_path("unshare") || !is_in_path("mount"),
        }
    }
}

/// Whether there is a program of this name; some have no harmless option.
fn is_in_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Whether a library is in the folder of this machine's kind, such as `/usr/lib/x86_64-linux-gnu`.
fn in_library_folder(name: &str) -> bool {
    std::fs::read_dir("/usr/lib")
        .is_ok_and(|folders| folders.flatten().any(|folder| folder.path().join(name).is_file()))
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
