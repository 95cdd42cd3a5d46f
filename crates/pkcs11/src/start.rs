//! From the configuration to a library.

use std::sync::Arc;

use crate::{
    config::{Config, Environment},
    library::{Library, Source},
    node::{Channels, NodeSlots, Teller},
    notice::Notices,
    token::{CacheFolder, LocalTokens},
};

/// Socket of the system's log.
const SYSTEM_LOG: &str = "/dev/log";

/// The library as the configuration says.
#[must_use]
pub fn start(config: &Config, environment: &Environment) -> Library {
    let cache = environment
        .cache_folder()
        .filter(|_| config.tokens.cache)
        .map(|folder| CacheFolder::new(&folder));
    let mut sources: Vec<Box<dyn Source>> = vec![Box::new(LocalTokens::new(config.tokens.clone(), cache))];
    let teller = Arc::new(Teller::new(Channels {
        quiet: config.notices.quiet,
        log: config.notices.syslog.then(|| SYSTEM_LOG.into()),
        status: environment.status_folder().filter(|_| config.notices.status),
    }));
    for node in &config.node {
        sources.push(Box::new(NodeSlots::new(node.clone(), Arc::clone(&teller))));
    }
    Library::new(sources, Notices::new(config.notices.quiet))
}
