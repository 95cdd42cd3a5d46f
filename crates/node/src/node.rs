//! What a running node is, apart from its socket.

use std::{
    future::{Ready, ready},
    net::SocketAddr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chancery_api::{Failure, HsmLock, NodeStatus};
use chancery_center::Center;
use serde_json::value::RawValue;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    activity::Activity,
    buffer::Buffer,
    connection::{Caller, Service},
    dispatch::dispatch,
    system,
};

/// The center and what the node says about itself.
pub(crate) struct Node {
    pub(crate) center: Center,
    about: About,
    pub(crate) activity: Activity,
    stop_asked: AtomicBool,
    /// Where agents and clients are answered.
    online: OnceLock<(Option<SocketAddr>, Option<SocketAddr>)>,
}

/// What a node says about itself.
pub(crate) struct About {
    pub(crate) version: String,
    pub(crate) data_dir: String,
    pub(crate) started: OffsetDateTime,
    /// `None`: the node never ends itself.
    pub(crate) idle_stop: Option<Duration>,
}

impl Node {
    pub(crate) fn new(center: Center, about: About) -> Self {
        Self {
            center,
            about,
            activity: Activity::new(),
            stop_asked: AtomicBool::new(false),
            online: OnceLock::new(),
        }
    }

    /// Notes where the network is answered. Once.
    pub(crate) fn listens(&self, tokens: Option<SocketAddr>, api: Option<SocketAddr>) {
        let _ = self.online.set((tokens, api));
    }

    pub(crate) async fn status(&self) -> Result<NodeStatus, Failure> {
        let hsms = self.center.hsm_list().await?;
        let started = self
            .about
            .started
            .replace_nanosecond(0)
            .unwrap_or(self.about.started);
        let (tokens, api) = self.online.get().copied().unwrap_or_default();
        Ok(NodeStatus {
            pid: std::process::id(),
            version: self.about.version.clone(),
            installation: self.center.installation().id.to_string(),
            data_dir: self.about.data_dir.clone(),
            started: started.format(&Rfc3339).unwrap_or_else(|_| started.to_string()),
            epoch: self.center.epoch(),
            idle_stop_seconds: self.about.idle_stop.map_or(0, |idle| idle.as_secs()),
            listen: tokens.map(|address| address.to_string()),
            api_listen: api.map(|address| address.to_string()),
            hsms,
        })
    }

    /// Notes the wish; the connection ends the node once the answer is on its way.
    pub(crate) fn ask_stop(&self) -> Ready<Result<(), Failure>> {
        self.stop_asked.store(true, Ordering::Release);
        ready(Ok(()))
    }

    /// Locks every HSM, so that the audit log says when and why it was.
    pub(crate) async fn lock_all(&self) -> Result<(), Failure> {
        if self.center.any_unlocked() {
            self.center
                .hsm_lock(&HsmLock { hsms: Vec::new() }, system::user_id())
                .await?;
        }
        Ok(())
    }
}

impl Service for Node {
    async fn call(&self, caller: Caller, method: &str, params: &RawValue) -> Result<Buffer, Failure> {
        let _busy = self.activity.begin();
        dispatch(self, caller, method, params).await
    }

    fn stop_asked(&self) -> bool {
        self.stop_asked.load(Ordering::Acquire)
    }
}
