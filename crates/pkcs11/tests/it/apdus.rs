//! How many commands a token gets.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chancery_iso7816::{
    Transport, TransportError,
    recording::{Log, Recording},
};
use chancery_pkcs11_library::{
    Code, KeyKind, Library, Mechanism, Output, Parameters, Pin, Result, Room, Slot, SlotDescription, SlotId,
    Source, Template, User,
    curve::Curve,
    notice::Notices,
    public_key::PublicKey,
    token::{CacheFolder, Device, Identity, LocalSlot, Place},
};
use chancery_vtoken::{AtRest, Factory, TokenName, VirtualToken};
use cryptoki_sys as ck;
use tempfile::TempDir;
use time::macros::date;
use zeroize::Zeroizing;

const PIN: &[u8] = b"648219";
const INITIALISE: &[u8] =
    b"\x80\x50\x00\x00\x1C\x80\x02\x00\x01\x81\x06648219\x82\x08\x35\x37\x36\x32\x31\x38\x38\x30\x91\x01\x03\x92\x01\x00";
const SELECT: &[u8] = b"\x00\xA4\x04\x0C\x0B\xE8\x2B\x06\x01\x04\x01\x81\xC3\x1F\x02\x01";

/// A token that outlives the libraries that use it, as one behind a socket does.
struct Desk {
    dir: TempDir,
    token: Shared,
    log: Log,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Recording<VirtualToken>>>);

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("secret"));
        let day = date!(2026 - 11 - 21);
        let factory = Factory::open_or_create(&dir.path().join("factory"), &at_rest, day).unwrap();
        let name = TokenName::new("one").unwrap();
        factory.create(&dir.path().join("tokens"), &name, day).unwrap();
        let mut token = VirtualToken::open(&dir.path().join("tokens/one"), &at_rest).unwrap();
        for command in [SELECT, INITIALISE] {
            assert_eq!(token.transmit(command).unwrap()[..], [0x90, 0x00]);
        }
        let recording = Recording::new(token);
        let log = recording.log();
        Self {
            dir,
            token: Shared(Arc::new(Mutex::new(recording))),
            log,
        }
    }

    fn slot(&self) -> LocalSlot {
        let cache = CacheFolder::new(&self.cache());
        LocalSlot::new(Arc::new(self.token.clone()), Some(cache), Duration::from_secs(1))
    }

    fn cache(&self) -> std::path::PathBuf {
        self.dir.path().join("cache")
    }

    /// Another start of a program.
    fn library(&self) -> Library {
        let slot: Arc<dyn Slot> = Arc::new(self.slot());
        Library::new(vec![Box::new(Only(slot))], Notices::new(true))
    }

    /// With keys on P-256, the labels `key 0`, `key 1`, ...
    fn with_keys(count: usize) -> Self {
        let desk = Self::new();
        let slot = desk.slot();
        slot.login(User::User, Some(&Pin::new(PIN)), None).unwrap();
        let curve = Curve::of_params(b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07").unwrap();
        for number in 0..count {
            let label = Template::new(vec![(ck::CKA_LABEL, format!("key {number}").into_bytes().into())]);
            let kind = KeyKind::Ec { curve };
            let manage = slot.manage().unwrap();
            manage.generate(kind, &Template::default(), &label).unwrap();
        }
        slot.close();
        let _ = std::fs::remove_dir_all(desk.cache());
        desk.log.clear();
        desk
    }
}

impl Place for Shared {
    fn description(&self) -> SlotDescription {
        SlotDescription {
            description: "test".to_owned(),
            manufacturer: "test".to_owned(),
            removable: false,
            hardware: false,
        }
    }

    fn is_present(&self) -> bool {
        true
    }

    fn identity(&self) -> Identity {
        Identity::Device("test".to_owned())
    }

    fn connect(&self) -> Result<Box<dyn Device>> {
        let reset = self.lock().reset();
        reset.map_err(|error| Code::DEVICE_ERROR.because(error.to_string()))?;
        Ok(Box::new(self.clone()))
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Recording<VirtualToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for Shared {
    fn begin(&mut self, _: Duration) -> Result<bool> {
        Ok(false)
    }

    fn end(&mut self) {}
}

impl Transport for Shared {
    fn transmit(&mut self, command: &[u8]) -> std::result::Result<Zeroizing<Vec<u8>>, TransportError> {
        self.lock().transmit(command)
    }

    fn reset(&mut self) -> std::result::Result<(), TransportError> {
        self.lock().reset()
    }
}

/// A reader: any token may be in it.
struct Reader {
    token: Shared,
    name: String,
}

impl Place for Reader {
    fn description(&self) -> SlotDescription {
        self.token.description()
    }

    fn is_present(&self) -> bool {
        true
    }

    fn identity(&self) -> Identity {
        Identity::Place(self.name.clone())
    }

    fn connect(&self) -> Result<Box<dyn Device>> {
        self.token.connect()
    }
}

struct Only(Arc<dyn Slot>);

impl Source for Only {
    fn slots(&self) -> Vec<Arc<dyn Slot>> {
        vec![Arc::clone(&self.0)]
    }
}

fn class(class: ck::CK_OBJECT_CLASS) -> Template {
    Template::new(vec![(ck::CKA_CLASS, class.to_ne_bytes().to_vec().into())])
}

fn ecdsa() -> Mechanism {
    Mechanism {
        kind: ck::CKM_ECDSA_SHA256,
        parameters: Parameters::None,
    }
}

/// `C_GetSlotList`, `C_OpenSession`, `C_Login`, search of private keys, `C_Sign`; commands so far, and the signature.
fn first_signature(desk: &Desk, library: &Library) -> (u64, Result<Output>) {
    desk.log.clear();
    assert_eq!(library.slots(true, true), [SlotId(0)]);
    let session = library.open_session(SlotId(0), false).unwrap();
    library.login(session, User::User, Some(&Pin::new(PIN))).unwrap();
    library.find_begin(session, &class(ck::CKO_PRIVATE_KEY)).unwrap();
    let keys = library.find_next(session, 100).unwrap();
    library.find_end(session).unwrap();
    library.sign_begin(session, &ecdsa(), keys[0]).unwrap();
    let signed = library.sign(session, b"message", Room::Bytes(64));
    (desk.log.count(), signed)
}

#[test]
fn the_first_signature_takes_few_commands_and_the_next_start_fewer() {
    for keys in [1, 2, 7] {
        let desk = Desk::with_keys(keys);
        let library = desk.library();
        let (commands, signed) = first_signature(&desk, &library);
        assert!(matches!(signed, Ok(Output::Done(_))), "{signed:?}");
        let most = 5 + 2 * u64::try_from(keys).unwrap();
        assert!(
            commands <= most,
            "{commands} commands for {keys} keys, at most {most}"
        );
        library.close();
        for start in 2..4 {
            let library = desk.library();
            let (commands, signed) = first_signature(&desk, &library);
            assert!(matches!(signed, Ok(Output::Done(_))), "{signed:?}");
            assert!(
                commands <= 4,
                "{commands} commands at start {start} with {keys} keys"
            );
            // SELECT, VERIFY, list, SIGN
            let instructions: Vec<u8> = desk
                .log
                .entries()
                .iter()
                .map(|entry| entry.instruction())
                .collect();
            assert_eq!(instructions, [0xA4, 0x20, 0x58, 0x68]);
            library.close();
        }
        // Who asks for the token's name before does not need more.
        let library = desk.library();
        desk.log.clear();
        let _ = library.slots(true, true);
        library.token_info(SlotId(0)).unwrap();
        let before = desk.log.count();
        let (commands, _) = first_signature(&desk, &library);
        assert!(before + commands <= 6, "{before} and {commands}");
    }
}

#[test]
fn each_signature_is_one_command() {
    let desk = Desk::with_keys(1);
    let library = desk.library();
    first_signature(&desk, &library).1.unwrap();
    let session = library.open_session(SlotId(0), false).unwrap();
    library.find_begin(session, &class(ck::CKO_PRIVATE_KEY)).unwrap();
    let keys = library.find_next(session, 1).unwrap();
    desk.log.clear();
    for number in 0..20_u8 {
        library.sign_begin(session, &ecdsa(), keys[0]).unwrap();
        let asked = library.sign(session, &[number], Room::Query).unwrap();
        assert_eq!(asked, Output::Length(64));
        library.sign(session, &[number], Room::Bytes(64)).unwrap();
    }
    assert_eq!((desk.log.count(), desk.log.count_of(0x68)), (20, 20));
}

#[test]
fn a_key_that_was_replaced_shows_with_its_first_signature() {
    let desk = Desk::with_keys(2);
    let library = desk.library();
    first_signature(&desk, &library).1.unwrap();
    library.close();
    // Other software makes another key of the same number: what the token lists stays the same.
    {
        let other = Desk::other_software(&desk);
        other.login(User::User, Some(&Pin::new(PIN)), None).unwrap();
        let manage = other.manage().unwrap();
        let wanted = chancery_pkcs11_library::Wanted {
            class: Some(ck::CKO_PRIVATE_KEY),
            private: true,
            ..Default::default()
        };
        let key = other.objects(&wanted).unwrap()[0].id;
        manage.destroy(key).unwrap();
        let curve = Curve::of_params(b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07").unwrap();
        manage
            .generate(KeyKind::Ec { curve }, &Template::default(), &Template::default())
            .unwrap();
        other.close();
    }
    let library = desk.library();
    let (_, signed) = first_signature(&desk, &library);
    assert_eq!(
        signed.map_err(|error| error.code()),
        Err(Code::KEY_HANDLE_INVALID)
    );
    library.close();
    // Nothing is left of what was remembered: the next start reads the token anew, and signs.
    let library = desk.library();
    let (commands, signed) = first_signature(&desk, &library);
    assert!(matches!(signed, Ok(Output::Done(_))), "{signed:?}");
    assert!(commands > 4);
}

impl Desk {
    /// A program without a cache.
    fn other_software(desk: &Self) -> LocalSlot {
        LocalSlot::new(Arc::new(desk.token.clone()), None, Duration::from_secs(1))
    }
}

#[test]
fn a_certificate_that_other_software_stored_is_seen() {
    let desk = Desk::with_keys(1);
    let library = desk.library();
    first_signature(&desk, &library).1.unwrap();
    let list = |library: &Library| {
        let session = library.open_session(SlotId(0), false).unwrap();
        library.find_begin(session, &class(ck::CKO_CERTIFICATE)).unwrap();
        let found = library.find_next(session, 10).unwrap();
        library.close_session(session).unwrap();
        found.len()
    };
    assert_eq!(list(&library), 0);
    library.close();
    let key = {
        let other = Desk::other_software(&desk);
        let wanted = chancery_pkcs11_library::Wanted {
            class: Some(ck::CKO_PUBLIC_KEY),
            ..Default::default()
        };
        let key = other.objects(&wanted).unwrap()[0].clone();
        let spki = key
            .attributes
            .get_bytes(ck::CKA_PUBLIC_KEY_INFO)
            .unwrap()
            .to_vec();
        other.login(User::User, Some(&Pin::new(PIN)), None).unwrap();
        let certificate = certificate_for(&spki);
        let template = Template::new(vec![
            (ck::CKA_CLASS, ck::CKO_CERTIFICATE.to_ne_bytes().to_vec().into()),
            (ck::CKA_VALUE, certificate.into()),
        ]);
        other.manage().unwrap().create(&template).unwrap();
        other.close();
        spki
    };
    assert!(PublicKey::from_spki(&key).is_some());
    let library = desk.library();
    assert_eq!(library.slots(true, true), [SlotId(0)]);
    assert_eq!(list(&library), 1);
    // And its key signs as before.
    library.close();
    first_signature(&desk, &desk.library()).1.unwrap();
}

/// Of this key, signed by another.
fn certificate_for(spki: &[u8]) -> Vec<u8> {
    use openssl::{
        asn1::Asn1Time, bn::BigNum, ec::EcGroup, ec::EcKey, hash::MessageDigest, nid::Nid, pkey::PKey,
        x509::X509, x509::X509Name,
    };
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let issuer = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "test").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    let serial = BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder
        .set_pubkey(&PKey::public_key_from_der(spki).unwrap())
        .unwrap();
    builder.sign(&issuer, MessageDigest::sha256()).unwrap();
    builder.build().to_der().unwrap()
}

#[test]
fn another_token_in_the_same_reader_is_not_taken_for_the_one_before() {
    let (one, two) = (Desk::with_keys(1), Desk::with_keys(1));
    let folder = CacheFolder::new(&one.cache());
    let library = |desk: &Desk, name: &str| {
        let place = Reader {
            token: desk.token.clone(),
            name: name.to_owned(),
        };
        let slot = LocalSlot::new(Arc::new(place), Some(folder.clone()), Duration::from_secs(1));
        Library::new(vec![Box::new(Only(Arc::new(slot)))], Notices::new(true))
    };
    let serial = |library: &Library| {
        let _ = library.slots(true, true);
        library.token_info(SlotId(0)).unwrap().token.serial
    };
    let start = |desk: &Desk, name: &str| {
        let library = library(desk, name);
        let serial = serial(&library);
        let (commands, signed) = first_signature(desk, &library);
        assert!(matches!(signed, Ok(Output::Done(_))), "{signed:?}");
        library.close();
        (serial, commands)
    };
    let (first, _) = start(&one, "a reader");
    let (again, commands) = start(&one, "a reader");
    // SELECT and the device certificate were for the name of the token.
    assert_eq!((&again, commands), (&first, 3));
    let (other, commands) = start(&two, "a reader");
    assert_ne!(other, first);
    assert!(commands > 3, "the other token is read: {commands}");
    // A reader that is called as the token is holds that token.
    let name = format!("Token ({first}) 00 00");
    start(&one, &name);
    one.log.clear();
    let library = library(&one, &name);
    assert_eq!(serial(&library), first);
    assert_eq!(one.log.count(), 1, "SELECT and nothing else");
}

#[test]
fn curves_are_what_openssl_says_they_are() {
    use openssl::{bn::BigNumContext, ec::EcGroup, ec::EcKey, ec::PointConversionForm, nid::Nid, pkey::PKey};
    for curve in chancery_pkcs11_library::curve::CURVES {
        let nid = Nid::from_raw(openssl_nid(curve.name));
        let group = EcGroup::from_curve_name(nid).unwrap();
        let key = EcKey::generate(&group).unwrap();
        let mut context = BigNumContext::new().unwrap();
        let point = key
            .public_key()
            .to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context)
            .unwrap();
        let spki = PKey::from_ec_key(key).unwrap().public_key_to_der().unwrap();
        let read = PublicKey::from_spki(&spki).unwrap();
        assert_eq!(read, PublicKey::Ec { curve, point });
        assert_eq!(read.to_spki(), spki);
    }
}

fn openssl_nid(name: &str) -> i32 {
    use openssl::nid::Nid;
    match name {
        "prime192v1" => Nid::X9_62_PRIME192V1,
        "secp224r1" => Nid::SECP224R1,
        "prime256v1" => Nid::X9_62_PRIME256V1,
        "secp384r1" => Nid::SECP384R1,
        "secp521r1" => Nid::SECP521R1,
        "secp192k1" => Nid::SECP192K1,
        "secp256k1" => Nid::SECP256K1,
        "brainpoolP192r1" => Nid::BRAINPOOL_P192R1,
        "brainpoolP224r1" => Nid::BRAINPOOL_P224R1,
        "brainpoolP256r1" => Nid::BRAINPOOL_P256R1,
        "brainpoolP320r1" => Nid::BRAINPOOL_P320R1,
        "brainpoolP384r1" => Nid::BRAINPOOL_P384R1,
        _ => Nid::BRAINPOOL_P512R1,
    }
    .as_raw()
}
