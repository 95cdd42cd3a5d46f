//! Programs that sign through the PKCS#11 module, unchanged, with the command lines of the documents, and what other programs
//! say of what they made.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use openssl::{
    bn::BigNum,
    pkey::PKey,
    rsa::{Padding, Rsa},
};

use crate::{
    artefacts::{efi_image, fit_source, jar},
    common::Ended,
    pkcs11::{engine, module},
};

/// A program that logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// `openssl pkeyutl`
    Pkeyutl,
    /// `openssl req`
    Request,
    /// `openssl x509 -CAkeyform engine`
    Issue,
    Mkimage,
    Jarsigner,
    Sbsign,
    Osslsigncode,
    /// `pkcs11-tool --sign`
    Sign,
    /// `pkcs11-tool --test`
    Test,
    /// `p11tool --list-all --login`, which signs nothing
    List,
}

/// A folder in which programs run, and the key they use: an RSA key with a certificate.
pub(crate) struct Desk<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) token: &'a str,
    /// Label of the key and of its certificate.
    pub(crate) key: &'a str,
    /// What programs send as PIN, those that do not take one from a terminal.
    pub(crate) pin: Option<&'a str>,
}

/// A signature of a FIT image.
pub(crate) struct FitSignature {
    /// SHA-256, in hexadecimal digits.
    pub(crate) digest: String,
    pub(crate) signature: Vec<u8>,
}

/// Everything of a DigestInfo by SHA-256 before the digest (RFC 8017 section 9.2, note 1).
const DIGEST_INFO: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";

impl Desk<'_> {
    /// Writes what is signed. `key.pem` and `certificate.pem` have to be there.
    pub(crate) fn prepare(&self) {
        let write = |name: &str, content: &[u8]| fs::write(self.folder.join(name), content).unwrap();
        write("message", b"what is signed here\n");
        // Its digest is another one: what a lease has signed is signed again without anybody.
        write("other", b"what is signed there\n");
        self.judge("openssl dgst -sha256 -binary -out digest message");
        self.judge(
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -subj /CN=leaf -out leaf.csr",
        );
        jar(&self.folder.join("a.jar"));
        write("a.efi", &efi_image());
        fit_source(self.folder, self.key, "sha256,rsa2048");
        write("key.dts", b"/dts-v1/; / { };\n");
        let java = format!(
            "name = chancery\nlibrary = {}\nslotListIndex = 0\n",
            module().display()
        );
        write("java.cfg", java.as_bytes());
    }

    /// Insists that another program, which knows nothing of the module, ends well; what it writes.
    #[track_caller]
    pub(crate) fn judge(&self, line: &str) -> String {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        command.args(words).current_dir(self.folder).stdin(Stdio::null());
        Ended::from(command.output().unwrap()).ok().out
    }

    fn uri(&self) -> String {
        let pin = self
            .pin
            .map_or_else(String::new, |pin| format!("?pin-value={pin}"));
        format!(
            "pkcs11:token={};object={};type=private{pin}",
            self.token, self.key
        )
    }
}

impl Program {
    /// The one that signs nothing comes last.
    pub(crate) const ALL: [Self; 10] = [
        Self::Pkeyutl,
        Self::Request,
        Self::Issue,
        Self::Mkimage,
        Self::Jarsigner,
        Self::Sbsign,
        Self::Osslsigncode,
        Self::Sign,
        Self::Test,
        Self::List,
    ];

    /// How many digests it has signed, with `SOURCE_DATE_EPOCH`.
    pub(crate) const fn digests(self) -> u64 {
        match self {
            Self::List => 0,
            Self::Mkimage | Self::Test => 2,
            _ => 1,
        }
    }

    /// Its command line; what an earlier run made is removed.
    pub(crate) fn words(self, desk: &Desk<'_>) -> Vec<String> {
        let (key, token, name) = (desk.uri(), desk.token, desk.key);
        let (engine, module) = (engine().display().to_string(), module().display().to_string());
        let pin = desk.pin.map_or_else(String::new, |pin| format!("--pin {pin}"));
        let (line, made) = match self {
            Self::Pkeyutl => (
                format!(
                    "openssl pkeyutl -engine pkcs11 -keyform engine -sign -inkey {key} -in digest -pkeyopt digest:sha256 -out \
                     signature"
                ),
                "signature",
            ),
            Self::Request => (
                format!(
                    "openssl req -engine pkcs11 -keyform engine -new -key {key} -subj /CN=request -out request.pem"
                ),
                "request.pem",
            ),
            Self::Issue => (
                format!(
                    "openssl x509 -req -in leaf.csr -engine pkcs11 -CAkeyform engine -CAkey {key} -CA certificate.pem \
                     -set_serial 7 -days 10 -out leaf.pem"
                ),
                "leaf.pem",
            ),
            Self::Mkimage => {
                desk.judge("dtc -O dtb -o key.dtb key.dts");
                let line = format!("mkimage -f fit.its -K key.dtb -N pkcs11 -k token={token} -r image");
                (line, "image")
            }
            Self::Jarsigner => {
                let password = desk
                    .pin
                    .map_or_else(|| "-protected".to_owned(), |pin| format!("-storepass {pin}"));
                let line = format!(
                    "jarsigner -keystore NONE -storetype PKCS11 -addprovider SunPKCS11 -providerArg java.cfg {password} \
                     -signedjar signed.jar a.jar {name}"
                );
                (line, "signed.jar")
            }
            Self::Sbsign => (
                format!("sbsign --engine pkcs11 --key {key} --cert certificate.pem --output sb.efi a.efi"),
                "sb.efi",
            ),
            Self::Osslsigncode => (
                format!(
                    "osslsigncode sign -pkcs11engine {engine} -pkcs11module {module} -key {key} -certs certificate.pem -h \
                     sha256 -in a.efi -out ossl.efi"
                ),
                "ossl.efi",
            ),
            Self::Sign => (
                format!(
                    "pkcs11-tool --module {module} --token-label {token} --label {name} {pin} --sign -m SHA256-RSA-PKCS -i \
                     other -o signature"
                ),
                "signature",
            ),
            Self::Test => (
                format!("pkcs11-tool --module {module} --token-label {token} --login {pin} --test"),
                "",
            ),
            Self::List => (
                format!("p11tool --provider {module} --list-all --login pkcs11:token={token}"),
                "",
            ),
        };
        let made = desk.folder.join(made);
        if made.is_file() {
            fs::remove_file(made).unwrap();
        }
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// Variables of its environment, beside those that say where the module is.
    pub(crate) fn environment<'a>(self, desk: &Desk<'a>) -> Vec<(&'static str, &'a str)> {
        match (self, desk.pin) {
            (Self::Mkimage, Some(pin)) => {
                vec![("SOURCE_DATE_EPOCH", "1700000000"), ("MKIMAGE_SIGN_PIN", pin)]
            }
            (Self::Mkimage, None) => vec![("SOURCE_DATE_EPOCH", "1700000000")],
            (Self::List, Some(pin)) => vec![("GNUTLS_PIN", pin)],
            _ => Vec::new(),
        }
    }

    /// Has another program judge what this one made.
    #[track_caller]
    pub(crate) fn check(self, desk: &Desk<'_>, ended: &Ended) {
        match self {
            Self::Pkeyutl => {
                desk.judge("openssl dgst -sha256 -verify key.pem -signature signature message");
            }
            Self::Sign => {
                desk.judge("openssl dgst -sha256 -verify key.pem -signature signature other");
            }
            Self::Request => {
                let key = desk.judge("openssl req -in request.pem -verify -noout -pubkey");
                assert_eq!(key, desk.judge("openssl pkey -pubin -in key.pem"));
            }
            Self::Issue => {
                desk.judge("openssl verify -CAfile certificate.pem leaf.pem");
            }
            Self::Mkimage => {
                fit_signatures(desk);
            }
            Self::Jarsigner => {
                let verified = desk.judge("jarsigner -verify signed.jar");
                assert!(verified.contains("jar verified."), "{verified}");
            }
            Self::Sbsign => {
                desk.judge("sbverify --cert certificate.pem sb.efi");
            }
            Self::Osslsigncode => {
                desk.judge("sbverify --cert certificate.pem ossl.efi");
            }
            Self::Test => {
                for passed in [
                    "all 4 signature functions seem to work",
                    "SHA256-RSA-PKCS: OK",
                    "No errors",
                ] {
                    assert!(ended.out.contains(passed), "{}\n{}", ended.out, ended.err);
                }
            }
            Self::List => assert!(ended.out.contains("type=private"), "{}", ended.out),
        }
    }
}

/// The signatures of both configurations of `image`. mkimage ends well whatever it did, so they are opened with the key it put
/// into the device tree, which has to be the one of `key.pem`.
#[track_caller]
pub(crate) fn fit_signatures(desk: &Desk<'_>) -> Vec<FitSignature> {
    let number = |property: &str| {
        let words = desk.judge(&format!(
            "fdtget -t x key.dtb /signature/key-{} {property}",
            desk.key
        ));
        let digits: String = words
            .split_whitespace()
            .map(|word| format!("{word:0>8}"))
            .collect();
        BigNum::from_hex_str(&digits).unwrap()
    };
    let key = Rsa::from_public_components(number("rsa,modulus"), number("rsa,exponent")).unwrap();
    let public = PKey::public_key_from_pem(&fs::read(desk.folder.join("key.pem")).unwrap()).unwrap();
    assert_eq!(public.rsa().unwrap().n(), key.n());
    let open = |configuration: &str| {
        let words = desk.judge(&format!(
            "fdtget -t bx image /configurations/{configuration}/signature-1 value"
        ));
        let signature: Vec<u8> = words
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).unwrap())
            .collect();
        let mut info = vec![0; signature.len()];
        let length = key.public_decrypt(&signature, &mut info, Padding::PKCS1).unwrap();
        let digest = info[..length].strip_prefix(DIGEST_INFO);
        FitSignature {
            digest: hex::encode(digest.unwrap()),
            signature,
        }
    };
    ["conf-1", "conf-2"].map(open).into()
}

/// Makes a database of NSS that knows the module, with a command for programs that see the token: NSS notes FRIENDLY for the
/// tokens that are there.
pub(crate) fn nss_database(folder: &Path, more: &[&str], command: impl Fn(&str) -> Command) {
    fs::create_dir(folder).unwrap();
    let (database, module) = (
        format!("sql:{}", folder.display()),
        module().display().to_string(),
    );
    let run = |words: &[&str]| {
        let mut command = command(words[0]);
        Ended::from(command.args(&words[1..]).output().unwrap()).ok();
    };
    run(&["certutil", "-N", "-d", &database, "--empty-password"]);
    let add = [
        "modutil", "-force", "-dbdir", &database, "-add", "chancery", "-libfile", &module,
    ];
    run(&[&add[..], more].concat());
}
