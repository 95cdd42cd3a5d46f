//! The factory, judged by the verifier of device certificates.

use chancery_cvc::{DeviceChain, Genuineness, TrustAnchors};
use time::macros::date;

use super::*;
use crate::persistent::Persistent;
use crate::replay::{ReplayFiles, Survival};
use crate::{OpenError, VirtualToken};

const TODAY: Date = date!(2026 - 11 - 21);

struct Site {
    dir: tempfile::TempDir,
    at_rest: AtRest,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at_rest = AtRest::MachineSecret(dir.path().join("machine-secret"));
        Self { dir, at_rest }
    }

    fn factory(&self) -> Result<Factory, ManageError> {
        Factory::open_or_create(&self.dir.path().join("factory"), &self.at_rest, TODAY)
    }

    fn tokens(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }
}

fn open(directory: &Path, at_rest: &AtRest) -> Result<Persistent, OpenError> {
    Persistent::open(Arc::new(RealFiles), directory, at_rest)
}

fn name(text: &str) -> TokenName {
    TokenName::new(text).unwrap()
}

#[test]
fn a_new_token_has_a_chain_that_verifies_to_this_installations_root_alone() {
    let site = Site::new();
    let factory = site.factory().unwrap();
    let summary = factory.create(&site.tokens(), &name("hsm-1"), TODAY).unwrap();
    assert!(summary.device_id.starts_with("UTCHD") && summary.device_id.ends_with("00000"));

    let token = open(&site.tokens().join("hsm-1"), &site.at_rest).unwrap();
    let device = &token.state().device;
    let chain = DeviceChain::parse(&device.certificates).unwrap();
    let mut anchors = TrustAnchors::production().unwrap();
    assert!(
        chain.verify(&anchors, Some(TODAY)).is_err(),
        "a virtual token passes for no device"
    );
    anchors.add_bytes(factory.root_certificate()).unwrap();
    let identity = chain.verify(&anchors, Some(TODAY)).unwrap();
    assert!(matches!(identity.genuine(), Genuineness::Virtual));
    assert_eq!(identity.name().as_str(), summary.device_id);
    assert_eq!(device.chr, summary.device_id);
    assert!(identity.date_remarks().is_empty());

    let key = EcKey::from_scalar(Curve::Brainpool256, device.private_key.expose(), None).unwrap();
    assert_eq!(
        identity.device_key().point(),
        Some(key.public_point().unwrap().as_slice())
    );

    let other = Site::new();
    let mut anchors = TrustAnchors::none();
    anchors
        .add_bytes(other.factory().unwrap().root_certificate())
        .unwrap();
    assert!(chain.verify(&anchors, None).is_err());
}

#[test]
fn a_token_made_elsewhere_is_vouched_for_with_its_own_key_and_no_genuine_one_is() {
    let (here, there) = (Site::new(), Site::new());
    let (factory, other) = (here.factory().unwrap(), there.factory().unwrap());
    other.create(&there.tokens(), &name("bob"), TODAY).unwrap();
    let token = open(&there.tokens().join("bob"), &there.at_rest).unwrap();
    let chain = DeviceChain::parse(&token.state().device.certificates).unwrap();
    let anchors = |factory: &Factory| {
        let mut anchors = TrustAnchors::none();
        anchors.add_bytes(factory.root_certificate()).unwrap();
        anchors
    };
    let theirs = chain.verify(&anchors(&other), None).unwrap();
    let vouched = factory.vouch_for(&theirs, TODAY).unwrap();
    let ours = DeviceChain::parse(&vouched)
        .unwrap()
        .verify(&anchors(&factory), Some(TODAY))
        .unwrap();
    assert_eq!(ours.name(), theirs.name());
    assert_eq!(ours.device_key().point(), theirs.device_key().point());
    assert!(ours.date_remarks().is_empty());

    let genuine = include_str!("../../../../testdata/vectors/nitrokey-hsm2-fw4.1-ef2f02.hex").trim();
    let genuine: Vec<u8> = (0..genuine.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&genuine[at..at + 2], 16).unwrap())
        .collect();
    let identity = DeviceChain::parse(&genuine)
        .unwrap()
        .verify(&TrustAnchors::production().unwrap(), None)
        .unwrap();
    assert!(factory.vouch_for(&identity, TODAY).is_err());
}

#[test]
fn a_factory_opened_again_is_the_same_and_still_certifies() {
    let site = Site::new();
    let first = site.factory().unwrap();
    let again = Factory::open_or_create(
        &site.dir.path().join("factory"),
        &site.at_rest,
        date!(2030 - 01 - 01),
    )
    .unwrap();
    assert_eq!(again.root_certificate(), first.root_certificate());
    assert_eq!(again.issuer_certificate(), first.issuer_certificate());
    assert_eq!(again.code(), first.code());
    again.create(&site.tokens(), &name("a"), TODAY).unwrap();
    let token = open(&site.tokens().join("a"), &site.at_rest).unwrap();
    let mut anchors = TrustAnchors::none();
    anchors.add_bytes(first.root_certificate()).unwrap();
    DeviceChain::parse(&token.state().device.certificates)
        .unwrap()
        .verify(&anchors, None)
        .unwrap();
}

#[test]
fn tokens_are_listed_by_name_and_names_are_unique() {
    let site = Site::new();
    let factory = site.factory().unwrap();
    assert!(crate::list(&site.tokens()).unwrap().is_empty());
    let b = factory.create(&site.tokens(), &name("b"), TODAY).unwrap();
    let a = factory.create(&site.tokens(), &name("a"), TODAY).unwrap();
    assert_ne!(a.device_id, b.device_id);
    assert_eq!(crate::list(&site.tokens()).unwrap(), [a.clone(), b]);
    assert!(matches!(
        factory.create(&site.tokens(), &name("a"), TODAY),
        Err(ManageError::NameTaken(_))
    ));

    // One that is damaged takes nothing from the others.
    let about = site.tokens().join("b/about");
    let whole = std::fs::read(&about).unwrap();
    std::fs::write(&about, "?").unwrap();
    let found = crate::inventory(&site.tokens()).unwrap();
    assert_eq!(found.tokens, std::slice::from_ref(&a));
    assert_eq!(found.unreadable.len(), 1);
    assert_eq!(found.unreadable[0].name, name("b"));
    assert!(found.unreadable[0].why.contains("is damaged"));
    std::fs::write(&about, whole).unwrap();

    let plugged = VirtualToken::open(&site.tokens().join("a"), &site.at_rest).unwrap();
    assert_eq!(
        crate::list(&site.tokens()).unwrap()[0].in_use_by,
        Some(std::process::id())
    );
    let again = VirtualToken::open(&site.tokens().join("a"), &site.at_rest);
    assert!(matches!(again, Err(OpenError::InUse { .. })));
    assert!(matches!(
        crate::destroy(&site.tokens(), &name("a")),
        Err(ManageError::InUse { .. })
    ));
    drop(plugged);
    crate::destroy(&site.tokens(), &name("a")).unwrap();
    assert!(matches!(
        crate::destroy(&site.tokens(), &name("a")),
        Err(ManageError::NotFound(_))
    ));
    assert_eq!(crate::list(&site.tokens()).unwrap().len(), 1);
    factory.create(&site.tokens(), &name("a"), TODAY).unwrap();
}

#[test]
fn two_makers_of_one_name_cannot_both_succeed() {
    let site = Site::new();
    let factory = site.factory().unwrap();
    let results: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| factory.create(&site.tokens(), &name("x"), TODAY)))
            .collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for result in results.into_iter().filter_map(Result::err) {
        assert!(matches!(result, ManageError::NameTaken(_)), "{result}");
    }
    assert_eq!(
        std::fs::read_dir(site.tokens()).unwrap().count(),
        1,
        "nothing unfinished is left"
    );
}

#[test]
fn two_processes_that_make_the_factory_end_with_one() {
    let site = Site::new();
    let roots: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..4).map(|_| scope.spawn(|| site.factory().unwrap())).collect();
        makers
            .into_iter()
            .map(|maker| maker.join().unwrap().root_certificate().to_vec())
            .collect()
    });
    assert!(roots.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn altered_files_of_a_factory_are_noticed() {
    let site = Site::new();
    site.factory().unwrap();
    for file in [KEY, KEYS, ROOT, ISSUER] {
        let path = site.dir.path().join("factory").join(file);
        let good = std::fs::read(&path).unwrap();
        for index in 0..good.len() {
            let mut altered = good.clone();
            altered[index] ^= 0x10;
            std::fs::write(&path, &altered).unwrap();
            assert!(site.factory().is_err(), "{file}, byte {index}");
        }
        std::fs::write(&path, &good).unwrap();
        site.factory().unwrap();
    }
}

#[test]
fn a_crash_while_the_factory_is_made_leaves_none_or_a_whole_one() {
    let site = Site::new();
    let make = |disk: &ReplayFiles| {
        Factory::open_or_create_on(
            Arc::new(disk.clone()),
            Path::new("/data/factory"),
            &site.at_rest,
            TODAY,
        )
    };
    let whole = ReplayFiles::new();
    make(&whole).unwrap();
    for number in 1..=whole.operations() {
        let disk = ReplayFiles::new();
        disk.crash_at(number);
        let made = make(&disk);
        for survival in [Survival::Lost, Survival::Kept, Survival::Mixed(number)] {
            let disk = disk.after_crash(survival);
            let factory =
                make(&disk).unwrap_or_else(|error| panic!("operation {number}, {survival:?}: {error}"));
            if let Ok(made) = &made {
                assert_eq!(made.root_certificate(), factory.root_certificate());
            }
        }
    }
}

#[test]
fn a_day_no_certificate_can_bear_is_refused() {
    let site = Site::new();
    let factory = Factory::open_or_create(
        &site.dir.path().join("factory"),
        &site.at_rest,
        date!(2095 - 01 - 01),
    );
    assert!(matches!(factory, Err(ManageError::Date(_))));
    assert!(!site.dir.path().join("factory").exists());
}
