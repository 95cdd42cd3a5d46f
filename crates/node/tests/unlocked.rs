//! A node that holds an unlocked HSM: it stays, and its end locks.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;
#[path = "common/running.rs"]
mod running;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use chancery_agent::{
    Accepted, AcceptedHsm, LocalTokens, PinSource, UnlockedToken, answer_challenge, custodian_key, initialise,
};
use chancery_api::{
    AuditLog, Base64, CustodianRegister, HsmLock, HsmState, HsmStatus, Intent, Perform, SecretText,
    UnlockAnswer, UnlockChallenge,
};
use chancery_cvc::TrustAnchors;
use chancery_driver::{Pin, SoPin};
use chancery_node::{Client, DataDir, Stopped, SystemClock, stop, trust_anchors};
use chancery_store::{Change, HsmRecord, Store, TokenMark, Write};
use chancery_store_sqlite::SqliteStore;
use chancery_vtoken::{Factory, TokenName, VirtualToken};
use common::Manager;
use running::{Running, decide};

const HSM: &str = "hsm-a";
const SO_PIN: &str = "3537363231383830";

/// One HSM that one custodian opens.
struct Site {
    data: DataDir,
    manager: Manager,
    anchors: TrustAnchors,
    token: UnlockedToken,
    accepted: Accepted,
}

impl Site {
    fn new(directory: &Path) -> Self {
        let (data, manager) = Manager::init(&directory.join("data"));
        let today = SystemClock.today();
        let factory = Factory::open_or_create(&data.factory(), &data.at_rest(), today).unwrap();
        for name in [HSM, "eve"] {
            factory
                .create(&data.tokens(), &TokenName::new(name).unwrap(), today)
                .unwrap();
        }
        let anchors = trust_anchors(&data, &data.at_rest(), today).unwrap();
        let tokens = LocalTokens::new(&data.tokens(), data.at_rest(), Some(&factory)).unwrap();
        let mut token = tokens.open("eve").unwrap();
        initialise(
            &mut token,
            Pin::new("648219").unwrap(),
            SoPin::from_hex(SO_PIN).unwrap(),
        )
        .unwrap();
        let pin = directory.join("pin");
        fs::write(&pin, "648219\n").unwrap();
        fs::set_permissions(&pin, PermissionsExt::from_mode(0o600)).unwrap();
        let token = token.unlock(&PinSource::File(pin)).unwrap();
        let kept = directory.join("accepted");
        fs::create_dir(&kept).unwrap();
        let accepted = Accepted::load(&kept, "eve").unwrap();
        Self {
            data,
            manager,
            anchors,
            token,
            accepted,
        }
    }

    fn set_up(&mut self, client: &mut Client) {
        let init = Intent::HsmInit {
            tokens: vec![HSM.into()],
            required: 1,
            total: 1,
            shares: 1,
        };
        let act = decide(&self.manager, client, init);
        let so_pins = BTreeMap::from([(HSM.to_owned(), SecretText::new(SO_PIN.into()))]);
        client.call(&Perform { act, so_pins }).unwrap();
        let key = custodian_key(&mut self.token, &self.anchors).unwrap();
        let request = client
            .call(&CustodianRegister {
                person: self.manager.name.clone(),
                hsms: vec![HSM.into()],
                chain: Base64(key.chain),
                key_request: Base64(key.key_request),
            })
            .unwrap();
        let act = decide(
            &self.manager,
            client,
            Intent::RequestApprove {
                requests: vec![request.request],
            },
        );
        client
            .call(&Perform {
                act,
                so_pins: BTreeMap::new(),
            })
            .unwrap();
    }

    fn unlock(&mut self, client: &mut Client) {
        let person = self.manager.name.clone();
        let view = client
            .call(&UnlockChallenge {
                hsm: HSM.into(),
                person,
            })
            .unwrap();
        let hsm = AcceptedHsm::from_chain(HSM, &view.chain.0, &self.anchors).unwrap();
        self.accepted.accept(HSM, hsm).unwrap();
        let signature = answer_challenge(&mut self.token, &self.accepted, &self.anchors, HSM, &view).unwrap();
        let view = client
            .call(&UnlockAnswer {
                hsm: HSM.into(),
                session: view.session,
                signature: Base64(signature),
            })
            .unwrap();
        assert!(
            matches!(view.state, HsmState::Unlocked { .. }),
            "{:?}",
            view.state
        );
    }
}

fn state(client: &mut Client) -> HsmState {
    client.call(&HsmStatus { hsm: HSM.into() }).unwrap().state
}

fn times_locked(client: &mut Client) -> usize {
    let page = client.call(&AuditLog { from: 0, limit: 1000 }).unwrap();
    page.leaves
        .iter()
        .filter(|leaf| leaf.event.to_string().contains("hsm-locked"))
        .count()
}

#[test]
fn an_unlocked_hsm_keeps_its_node_and_the_end_of_the_node_locks_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(dir.path());
    let node = Running::start(&site.data, None);
    let mut client = node.client();
    site.set_up(&mut client);
    site.unlock(&mut client);
    assert_eq!(times_locked(&mut client), 0);
    stop(&site.data, Duration::from_secs(60)).unwrap();
    assert_eq!(node.ended(), Stopped::Asked);

    let idle = Duration::from_millis(150);
    let node = Running::start(&site.data, Some(idle));
    let mut client = node.client();
    assert!(
        matches!(state(&mut client), HsmState::Locked { .. }),
        "nothing of the unlock is on disk"
    );
    assert_eq!(times_locked(&mut client), 1, "the end of the node is in the log");
    site.unlock(&mut client);
    let called = Instant::now();
    while called.elapsed() < 3 * idle {
        // Another process may look whether the node is there; that is no call.
        assert_eq!(site.data.node().unwrap(), Some(std::process::id()));
        std::thread::yield_now();
    }
    assert!(matches!(state(&mut client), HsmState::Unlocked { .. }));
    client.call(&HsmLock { hsms: Vec::new() }).unwrap();
    assert_eq!(node.ended(), Stopped::Idle);
}

/// Does something with the database of the node.
fn in_database(data: &DataDir, work: impl AsyncFnOnce(&SqliteStore, HsmRecord)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&data.database()).await.unwrap();
        let [record] = <[_; 1]>::try_from(store.hsms().await.unwrap()).unwrap();
        work(&store, record).await;
        store.close().await;
    });
}

#[test]
fn the_end_of_a_node_keeps_where_its_tokens_stand_and_gives_them_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut site = Site::new(dir.path());
    let node = Running::start(&site.data, None);
    let mut client = node.client();
    site.set_up(&mut client);
    site.unlock(&mut client);
    // An older mark than the token's, as it is after a change that was not followed by a look.
    in_database(&site.data, async |store, record| {
        let mark = TokenMark {
            sequence: 0,
            hash: vec![0; 32],
        };
        let write = Write::SetHsmMark { hsm: record.id, mark };
        let change = Change {
            writes: vec![write],
            events: Vec::new(),
        };
        store.commit(vec![change]).await.unwrap().remove(0).unwrap();
    });
    stop(&site.data, Duration::from_secs(60)).unwrap();
    assert_eq!(node.ended(), Stopped::Asked);
    let token = VirtualToken::open(&site.data.tokens().join(HSM), &site.data.at_rest()).unwrap();
    let now = token.mark();
    in_database(&site.data, async |_, record| {
        let kept = record.mark.unwrap();
        assert_eq!(u64::try_from(kept.sequence).unwrap(), now.sequence);
        assert_eq!(kept.hash, now.hash);
    });
}
