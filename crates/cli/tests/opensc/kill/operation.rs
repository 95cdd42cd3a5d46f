//! One operation: what OpenSC's program is given, and how it says that it is done.

use std::process::Child;

use super::token::PINS;
use crate::{
    common::Ended,
    pcscd::{Pcscd, judge, opensc_module},
};

/// What OpenSC is asked to do.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    WrongPin,
    ChangePin,
    Sign,
    MakeKey(String),
    DeleteKey(String),
    WriteData(String, String),
    DeleteData(String),
}

impl Operation {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::WrongPin => "wrong PIN",
            Self::ChangePin => "change PIN",
            Self::Sign => "sign",
            Self::MakeKey(_) => "make key",
            Self::DeleteKey(_) => "delete key",
            Self::WriteData(..) => "write data",
            Self::DeleteData(_) => "delete data",
        }
    }

    /// Starts it, with the first or second of the PINs.
    pub(super) fn start(&self, pcscd: &Pcscd, pin: usize) -> Child {
        let module = opensc_module();
        let (pin, other) = (PINS[pin], PINS[1 - pin]);
        let mut words = vec!["--module", &module];
        let id;
        match self {
            Self::WrongPin => words.extend(["--login", "--pin", "00000000", "--list-objects"]),
            Self::ChangePin => words.extend(["--change-pin", "--pin", pin, "--new-pin", other]),
            Self::Sign => words.extend([
                "--login",
                "--pin",
                pin,
                "--sign",
                "--id",
                "01",
                "--mechanism",
                "ECDSA",
                "--input-file",
                "digest",
                "--output-file",
                "signature",
                "--signature-format",
                "openssl",
            ]),
            Self::MakeKey(label) => {
                id = id_of(label);
                words.extend([
                    "--login",
                    "--pin",
                    pin,
                    "--keypairgen",
                    "--key-type",
                    "EC:prime256v1",
                    "--label",
                    label,
                    "--id",
                    &id,
                ]);
            }
            Self::DeleteKey(label) => {
                id = id_of(label);
                words.extend([
                    "--login",
                    "--pin",
                    pin,
                    "--delete-object",
                    "--type",
                    "privkey",
                    "--id",
                    &id,
                ]);
            }
            Self::WriteData(label, content) => {
                pcscd.write("content", content);
                words.extend([
                    "--login",
                    "--pin",
                    pin,
                    "--write-object",
                    "content",
                    "--type",
                    "data",
                    "--label",
                    label,
                    "--application-label",
                    "campaign",
                ]);
            }
            Self::DeleteData(label) => words.extend([
                "--login",
                "--pin",
                pin,
                "--delete-object",
                "--type",
                "data",
                "--label",
                label,
                "--application-label",
                "campaign",
            ]),
        }
        // What an earlier one wrote is not taken for this one's.
        let _ = std::fs::remove_file(pcscd.file("signature"));
        pcscd.command("pkcs11-tool", &words).spawn().unwrap()
    }

    /// Whether the client was told that it is done.
    pub(super) fn acknowledged(&self, pcscd: &Pcscd, ended: &Ended) -> bool {
        match self {
            Self::WrongPin => {
                let refused = ["CKR_PIN_INCORRECT", "CKR_PIN_LOCKED"];
                refused.iter().any(|code| ended.err.contains(code))
            }
            Self::Sign if ended.code == 0 => {
                let words = [
                    "pkeyutl",
                    "-verify",
                    "-pubin",
                    "-inkey",
                    "counted.pub",
                    "-in",
                    "digest",
                    "-sigfile",
                    "signature",
                ];
                judge(&pcscd.file(""), "openssl", &words).ok();
                true
            }
            _ => ended.code == 0,
        }
    }
}

/// CKA_ID of a key, from the number in its label.
pub(super) fn id_of(label: &str) -> String {
    let number: u32 = label.rsplit('-').next().unwrap().parse().unwrap();
    format!("{:08x}", 0x4000_0000 + number)
}
