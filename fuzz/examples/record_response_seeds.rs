//! Records what a virtual token answers to every procedure of the fuzz target `response`, as that target's seeds.
//!
//! From the root of the repository: `cargo run -p chancery-fuzz --features engine --example record_response_seeds`. Names, keys
//! and signatures are random: every run writes other files.

use std::error::Error;
use std::fs;
use std::path::Path;

use chancery_cvc::{Curve, TrustAnchors};
use chancery_driver::{
    Card, Initialize, KeyAlgorithm, KeyDescription, KeySpec, Pin, Quorum, Selected, attest, custodian,
};
use chancery_fuzz::{KEY, PIN, PROCEDURES, World, run, so_pin};
use chancery_iso7816::{Transport, TransportError};
use chancery_schsm::{AlgorithmList, InitializeOptions, KekShare};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
// What instrumented crates call. `cargo xtask test` builds this beside the targets.
use libfuzzer_sys as _;
use time::{Date, Month};
use zeroize::Zeroizing;

fn main() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::temp_dir().join(format!("chancery-record-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let at_rest = AtRest::MachineSecret(folder.join("secret"));
    let today = Date::from_calendar_date(2026, Month::January, 1)?;
    let factory = Factory::open_or_create(&folder.join("factory"), &at_rest, today)?;
    let mut anchors = TrustAnchors::production()?;
    anchors.add_bytes(factory.root_certificate())?;
    for name in ["custodian", "pin", "quorum", "new"] {
        factory.create(&folder.join("tokens"), &TokenName::new(name)?, today)?;
    }
    let plug = |name: &str| -> Result<Selected<VirtualToken>, Box<dyn Error>> {
        let token = VirtualToken::open(&folder.join("tokens").join(name), &at_rest)?;
        Ok(Card::new(token)
            .select()
            .map_err(chancery_driver::Failed::into_error)?)
    };

    let mut token = plug("custodian")?;
    token.initialize(&with_pin()?)?;
    let mut token = token
        .verify_pin(&Pin::new(PIN)?)
        .map_err(chancery_driver::Failed::into_error)?;
    let custodian = custodian::custodian_request(&mut token, KEY, &anchors)?;
    drop(token);

    let mut token = plug("pin")?;
    token.initialize(&with_pin()?)?;
    token.import_share(0, &KekShare::new([7; 32]))?;
    let device = token.device_identity(&anchors)?;
    let mut token = token
        .verify_pin(&Pin::new(PIN)?)
        .map_err(chancery_driver::Failed::into_error)?;
    let spec = KeySpec {
        id: KEY,
        algorithm: KeyAlgorithm::Ec(Curve::Secp256r1),
        chr: device.name().clone(),
        algorithms: AlgorithmList::unrestricted(),
        key_domain: Some(0),
        use_counter: None,
    };
    let (key, _) = token.generate_attested(&spec, &device)?;
    attest::verify(&key, &spec, &device)?;
    token.describe_key(KEY, &key.public_key, &KeyDescription::new("key"))?;
    token.write_label("recorded")?;
    drop(token);

    let mut token = plug("quorum")?;
    token.initialize(&Initialize {
        user_pin: None,
        quorum: Some(Quorum {
            required: 1,
            total: 1,
        }),
        ..with_pin()?
    })?;
    token.register_custodian(&custodian)?;
    drop(token);

    fs::write(here.join("fixtures/virtual-root.cvc"), factory.root_certificate())?;
    fs::write(here.join("fixtures/custodian.pka"), custodian.encode())?;
    let world = World { anchors, custodian };
    let seeds = here.join("seeds/response");
    fs::create_dir_all(&seeds)?;
    for procedure in 0..PROCEDURES {
        for name in tokens_for(procedure) {
            let used = folder.join("used");
            let _ = fs::remove_dir_all(&used);
            fs::create_dir(&used)?;
            for entry in fs::read_dir(folder.join("tokens").join(name))? {
                let entry = entry?;
                fs::copy(entry.path(), used.join(entry.file_name()))?;
            }
            let mut token = VirtualToken::open(&used, &at_rest)?;
            let mut seed = vec![procedure];
            run(
                procedure,
                Recorder {
                    token: &mut token,
                    answers: &mut seed,
                },
                &world,
            );
            fs::write(seeds.join(format!("{procedure}-{name}")), &seed)?;
            println!("{procedure} {name}: {} bytes", seed.len());
        }
    }
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// The tokens on which a procedure gets further than its first step.
const fn tokens_for(procedure: u8) -> &'static [&'static str] {
    match procedure {
        0..=2 => &["new", "pin", "quorum"],
        3 => &["quorum"],
        _ => &["pin"],
    }
}

fn with_pin() -> Result<Initialize, Box<dyn Error>> {
    Ok(Initialize {
        options: InitializeOptions(0),
        user_pin: Some(Pin::new(PIN)?),
        so_pin: so_pin(),
        retry: 3,
        dkek_shares: Some(1),
        quorum: None,
        domains: None,
    })
}

struct Recorder<'a> {
    token: &'a mut VirtualToken,
    answers: &'a mut Vec<u8>,
}

impl Transport for Recorder<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let answer = self.token.transmit(command)?;
        let length =
            u16::try_from(answer.len()).map_err(|_| TransportError::lost("an answer over 65535 bytes"))?;
        self.answers.extend_from_slice(&length.to_be_bytes());
        self.answers.extend_from_slice(&answer);
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.token.reset()
    }
}
