//! What the owner of a token did not allow: the node hears that it was the agent, the owner hears what was kept out.

use std::sync::{Arc, Mutex};

use chancery_connect::{Happened, Policy, Trust};
use chancery_gateway::ram::ConnectorChange;
use chancery_keys::{Hsm, HsmError, Initialise};
use chancery_schsm::KekShare;
use chancery_vtoken::VirtualToken;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::attachment::attachment;
use crate::hsm::{Installation, clock, so_pin};
use crate::server::{NAME, Server};

/// An agent of ours with this token; what it shows.
struct Agent {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    shown: Arc<Mutex<Vec<String>>>,
}

impl Agent {
    fn start(server: &Server, token: VirtualToken, policy: Policy) -> Self {
        let address = format!("http://{}", server.address);
        let to = chancery_connect::Server::new(&address, &Trust::System).unwrap();
        let attachment = attachment(token, policy);
        let (stop, stopped) = watch::channel(false);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&shown);
        let task = tokio::spawn(async move {
            let tell = |happened| {
                if let Happened::Refused { refusal, .. } = happened {
                    lines.lock().unwrap().push(refusal.to_string());
                }
            };
            attachment.run(&to, stopped, &tell).await.unwrap();
        });
        Self { stop, task, shown }
    }

    async fn stop(self) -> Vec<String> {
        self.stop.send_replace(true);
        self.task.await.unwrap();
        self.shown.lock().unwrap().clone()
    }
}

async fn initialise(server: &Server, installation: &Installation) -> Result<(), HsmError> {
    let way = Arc::new(server.connectors.way_to(NAME));
    let anchors = Arc::clone(&installation.anchors);
    let hsm = tokio::task::spawn_blocking(move || Hsm::start("cupboard", way, anchors, clock()).unwrap())
        .await
        .unwrap();
    let done = hsm
        .initialise(Initialise {
            so_pin: so_pin(),
            required: 2,
            total: 2,
            shares: vec![KekShare::new([0x11; 32])],
        })
        .await;
    hsm.closed("the test is over").await;
    done.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_is_initialised_elsewhere_only_where_its_owner_allowed_that() {
    let installation = Installation::new();
    let path = installation.make("hsm");
    let mut server = Server::start().await;
    for allowed in [false, true] {
        let policy = Policy::new().with_key(1);
        let policy = if allowed { policy.with_management() } else { policy };
        let agent = Agent::start(&server, installation.open(&path), policy);
        server.came().await;
        let done = initialise(&server, &installation).await;
        let shown = agent.stop().await;
        assert!(matches!(server.change().await, ConnectorChange::Went { .. }));
        if allowed {
            done.unwrap();
            assert_eq!(shown, [""; 0]);
        } else {
            let failed = done.unwrap_err();
            assert!(matches!(failed, HsmError::NotLetThrough { .. }), "{failed}");
            assert_eq!(
                failed.to_string(),
                "the agent at HSM cupboard does not let it be initialised"
            );
            let [line] = &shown[..] else { panic!("{shown:?}") };
            assert!(
                line.starts_with("INITIALIZE DEVICE (") && line.ends_with("management is not allowed here"),
                "{line}"
            );
        }
    }
}
