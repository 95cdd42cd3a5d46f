//! The line: a recording end at the agent's side, a reverse proxy, a recording end at the node's.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Response, header},
    middleware::{self, Next},
};
use chancery_gateway::{Edge, identity::NodeIdentity};
use chancery_ram::message::{CommandObject, CommandTemplate};
use tokio::{runtime::Runtime, sync::watch};

use crate::{
    background::{Background, until},
    recorder::{Record, forward, listener},
};

/// A proxy that was not made with this project.
const NGINX: &str = "/usr/sbin/nginx";

/// A line to a node.
pub(crate) struct Line {
    pub(crate) at_agent: Record,
    pub(crate) at_node: Record,
    pub(crate) gate: Arc<Gate>,
    /// Where the agent goes.
    pub(crate) url: String,
    /// Whether there is a proxy in the middle.
    pub(crate) proxied: bool,
    _proxy: Option<Proxy>,
    _ends: [Edge; 2],
    _runtime: Runtime,
}

/// What is done to templates on their way to the agent.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Whether templates with a signature to make are held.
    pub(crate) hold: watch::Sender<bool>,
    /// How many were.
    pub(crate) held: AtomicUsize,
    /// Whether the next template gets a plain command more.
    pub(crate) inject: AtomicBool,
}

/// GET CHALLENGE, in clear.
const PLAIN: [u8; 5] = [0x00, 0x84, 0x00, 0x00, 0x08];
/// INS of SIGN.
const SIGN: u8 = 0x68;

async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response<Body> {
    let (mut head, body) = next.run(request).await.into_parts();
    let mut body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
    if let Some(mut template) = template(&head.headers, &body) {
        let signs =
            |object: &CommandObject| matches!(object, CommandObject::Command(command) if command[1] == SIGN);
        if template.0.iter().any(signs) {
            let mut hold = gate.hold.subscribe();
            if *hold.borrow() {
                gate.held.fetch_add(1, Ordering::SeqCst);
                hold.wait_for(|hold| !hold).await.unwrap();
            }
        }
        if gate.inject.swap(false, Ordering::SeqCst) {
            template.0.push(CommandObject::Command(PLAIN.to_vec().into()));
            body = template.encode().unwrap().to_vec();
            head.headers
                .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
    }
    Response::from_parts(head, Body::from(body))
}

/// The template in an answer, if it has a number and commands.
fn template(headers: &HeaderMap, body: &[u8]) -> Option<CommandTemplate> {
    headers.get("x-chancery-sequence")?;
    let template = CommandTemplate::parse(body).ok()?;
    (!template.0.is_empty()).then_some(template)
}

impl Line {
    /// To the node that listens at this address with this certificate. `directory` is for what the line needs; the certificate
    /// of its near end is `agent/node.pem` there.
    pub(crate) fn to(node: &str, certificate: &Path, directory: &Path) -> Self {
        let runtime = Runtime::new().unwrap();
        let (at_agent, at_node) = (Record::default(), Record::default());
        let gate = Arc::new(Gate {
            hold: watch::Sender::new(false),
            held: AtomicUsize::new(0),
            inject: AtomicBool::new(false),
        });
        let endpoint = |port: u16| format!("https://localhost:{port}/rt/connector");
        let to_node = format!("https://{node}/rt/connector");
        let far = directory.join("far");
        let gated =
            forward(certificate, &to_node).layer(middleware::from_fn_with_state(Arc::clone(&gate), pass));
        let far_end = runtime.block_on(listener(&far, gated, &at_node));
        let far_port = far_end.tokens().unwrap().port();
        let proxy = Proxy::start(&directory.join("proxy"), far_port);
        if proxy.is_none() {
            eprintln!("{NGINX} is missing: there is no proxy on the line");
        }
        let (next, next_port) = match &proxy {
            Some(proxy) => (directory.join("proxy"), proxy.port),
            None => (far, far_port),
        };
        let forwarding = forward(&next.join("node.pem"), &endpoint(next_port));
        let near_end = runtime.block_on(listener(&directory.join("agent"), forwarding, &at_agent));
        Self {
            at_agent,
            at_node,
            gate,
            url: format!("https://localhost:{}", near_end.tokens().unwrap().port()),
            proxied: proxy.is_some(),
            _proxy: proxy,
            _ends: [near_end, far_end],
            _runtime: runtime,
        }
    }
}

/// nginx: TLS and HTTP/2 in front, TLS and HTTP/1.1 behind.
struct Proxy {
    port: u16,
    _process: Background,
}

impl Proxy {
    fn start(directory: &Path, to: u16) -> Option<Self> {
        if !Path::new(NGINX).exists() {
            return None;
        }
        NodeIdentity::open_or_create(directory, &["localhost".to_owned()], &[]).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n\
             access_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n\
             server {{\nlisten 127.0.0.1:{port} ssl http2;\nssl_certificate node.pem;\nssl_certificate_key node.key;\n\
             location / {{\nproxy_pass https://127.0.0.1:{to};\nproxy_http_version 1.1;\n}}\n}}\n}}\n"
        );
        let file = directory.join("nginx.conf");
        fs::write(&file, configuration).unwrap();
        let process = Command::new(NGINX)
            .arg("-p")
            .arg(directory)
            .arg("-c")
            .arg(&file)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let proxy = Self {
            port,
            _process: process.into(),
        };
        until("nginx listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(proxy)
    }
}
