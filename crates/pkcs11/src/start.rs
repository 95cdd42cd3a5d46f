//! From the configuration to a library.

use crate::{
    config::{Config, Environment, Readers},
    library::{Library, Source},
    notice::Notices,
    token::{CacheFolder, LocalTokens},
};

/// The library as the configuration says.
#[must_use]
pub fn start(config: &Config, environment: &Environment) -> Library {
    let cache = environment
        .cache_folder()
        .filter(|_| config.tokens.cache)
        .map(|folder| CacheFolder::new(&folder));
    let sources: Vec<Box<dyn Source>> = vec![Box::new(LocalTokens::new(config.tokens.clone(), cache))];
    Library::new(sources, Notices::new(config.notices.quiet))
}

/// Whether slots of this configuration start threads: waits for PC/SC are ended by helpers.
#[must_use]
pub fn may_create_threads(config: &Config) -> bool {
    config.tokens.readers != Readers::None
}
