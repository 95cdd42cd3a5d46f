//! A factory, tokens and dialogues for the tests of this crate.

use std::path::PathBuf;

use chancery_vtoken::{AtRest, Factory, Firmware, TokenName, VirtualToken};
use tempfile::TempDir;
use time::macros::date;

/// SELECT of the application with FCI.
pub(crate) const SELECT: &str = "00A404000B E82B0601040181C31F0201 00";
/// VERIFY of the user PIN 648219.
pub(crate) const VERIFY: &str = "0020008106 363438323139";
/// The SO-PIN all tests use.
pub(crate) const SO_PIN: &str = "3537363231383830";

/// An installation with tokens in a temporary directory.
pub(crate) struct Installation {
    pub(crate) dir: TempDir,
    pub(crate) factory: Factory,
}

/// One token, and where it is.
pub(crate) struct Bench {
    pub(crate) path: PathBuf,
    pub(crate) at_rest: AtRest,
    pub(crate) token: VirtualToken,
}

impl Installation {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
        let factory =
            Factory::open_or_create(&dir.path().join("factory"), &at_rest, date!(2026 - 11 - 21)).unwrap();
        Self { dir, factory }
    }

    pub(crate) fn at_rest(&self) -> AtRest {
        AtRest::MachineSecret(self.dir.path().join("secret"))
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }

    /// A token as it leaves the factory.
    pub(crate) fn token(&self, name: &str) -> Bench {
        self.token_with(name, Firmware::default())
    }

    /// The same with this firmware.
    pub(crate) fn token_with(&self, name: &str, firmware: Firmware) -> Bench {
        let name = TokenName::new(name).unwrap();
        self.factory
            .create_with(&self.tokens(), &name, date!(2026 - 11 - 21), firmware)
            .unwrap();
        let path = self.tokens().join(name.as_str());
        let at_rest = self.at_rest();
        let token = VirtualToken::open(&path, &at_rest).unwrap();
        Bench { path, at_rest, token }
    }

    /// A token with user PIN 648219 (3 tries), option 0001 and these further initialisation objects, selected and
    /// with the PIN verified.
    pub(crate) fn ready(&self, name: &str, further: &str) -> Bench {
        let mut bench = self.token(name);
        bench.ok(SELECT);
        bench.ok(&apdu(
            "80500000",
            &format!("80020001 8106363438323139 8208{SO_PIN} 910103 {further}"),
        ));
        bench.ok(VERIFY);
        bench
    }
}

impl Bench {
    /// Sends a command; the answer without and the status word.
    pub(crate) fn send(&mut self, command: &str) -> (Vec<u8>, u16) {
        self.send_bytes(&bytes(command))
    }

    pub(crate) fn send_bytes(&mut self, command: &[u8]) -> (Vec<u8>, u16) {
        let answer = self.token.process(command);
        let (data, status) = answer.split_last_chunk::<2>().unwrap();
        (data.to_vec(), u16::from_be_bytes(*status))
    }

    /// Sends a command that has to succeed.
    pub(crate) fn ok(&mut self, command: &str) -> Vec<u8> {
        let (data, status) = self.send(command);
        assert_eq!(status, 0x9000, "{status:04X} for {command}");
        data
    }

    pub(crate) fn status(&mut self, command: &str) -> u16 {
        self.send(command).1
    }

    /// Pulls the plug and opens the token again.
    pub(crate) fn replug(self) -> Self {
        let Self { path, at_rest, token } = self;
        drop(token);
        let token = VirtualToken::open(&path, &at_rest).unwrap();
        Self { path, at_rest, token }
    }

    /// Runs a table of command, expected status word and expected data. In data `.` stands for any digit and a
    /// final `*` for any rest.
    pub(crate) fn dialogue(&mut self, table: &[(&str, u16, &str)]) {
        for (index, (command, status, pattern)) in table.iter().enumerate() {
            let (data, found) = self.send(command);
            assert_eq!(found, *status, "step {index}: {found:04X} for {command}");
            let data = hex::encode_upper(data);
            assert!(
                matches(&data, pattern),
                "step {index}: {data} for {command}, expected {pattern}"
            );
        }
    }
}

/// A command with data and extended Le 0000.
pub(crate) fn apdu(header: &str, data: &str) -> String {
    let data = data.replace(' ', "");
    if data.is_empty() {
        return format!("{header}000000");
    }
    format!("{header}00{:04X}{data}0000", data.len() / 2)
}

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace([' ', '\n'], "")).unwrap()
}

/// A TLV with minimal length.
pub(crate) fn tlv(tag: &str, value: &[u8]) -> String {
    let length = match value.len() {
        short @ 0..=0x7F => format!("{short:02X}"),
        middle @ 0x80..=0xFF => format!("81{middle:02X}"),
        long => format!("82{long:04X}"),
    };
    format!("{tag}{length}{}", hex::encode_upper(value))
}

fn matches(data: &str, pattern: &str) -> bool {
    let pattern = pattern.replace(' ', "");
    let (fixed, open) = pattern
        .strip_suffix('*')
        .map_or((pattern.as_str(), false), |fixed| (fixed, true));
    let long_enough = if open {
        data.len() >= fixed.len()
    } else {
        data.len() == fixed.len()
    };
    long_enough
        && fixed
            .chars()
            .zip(data.chars())
            .all(|(wanted, found)| wanted == '.' || wanted == found)
}

/// Key parameters (content of GENERATE) for an EC curve known to OpenSSL.
pub(crate) fn ec_parameters(nid: openssl::nid::Nid) -> String {
    use openssl::bn::{BigNum, BigNumContext};
    use openssl::ec::{EcGroup, PointConversionForm};
    let group = EcGroup::from_curve_name(nid).unwrap();
    let mut context = BigNumContext::new().unwrap();
    let (mut p, mut a, mut b, mut n) = (
        BigNum::new().unwrap(),
        BigNum::new().unwrap(),
        BigNum::new().unwrap(),
        BigNum::new().unwrap(),
    );
    group
        .components_gfp(&mut p, &mut a, &mut b, &mut context)
        .unwrap();
    group.order(&mut n, &mut context).unwrap();
    let g = group
        .generator_opt()
        .unwrap()
        .to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context)
        .unwrap();
    let length = p.num_bytes();
    let content = [
        "060A04007F00070202020203".to_owned(),
        tlv("81", &p.to_vec()),
        tlv("82", &a.to_vec_padded(length).unwrap()),
        tlv("83", &b.to_vec_padded(length).unwrap()),
        tlv("84", &g),
        tlv("85", &n.to_vec()),
        "870101".to_owned(),
    ]
    .concat();
    tlv("7F49", &bytes(&content))
}

/// Key parameters for RSA.
pub(crate) fn rsa_parameters(bits: u16) -> String {
    tlv(
        "7F49",
        &bytes(&format!("060A04007F00070202020102 8203010001 0202{bits:04X}")),
    )
}

/// GENERATE with holder `UTCA00001` as authority and these further objects; answers with the request.
pub(crate) fn generate(bench: &mut Bench, id: u8, parameters: &str, chr: &str, further: &str) -> Vec<u8> {
    let data = format!(
        "5F290100 4209555443413030303031 {parameters} {} {further}",
        tlv("5F20", chr.as_bytes())
    );
    bench.ok(&apdu(&format!("0046{id:02X}00"), &data))
}
