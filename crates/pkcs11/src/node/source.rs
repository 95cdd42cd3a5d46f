//! Which signers of nodes are there.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Calls, NodeSlot, Teller,
    config::{NodeConfig, SlotsOf},
    keys::Keys,
};
use crate::{library::Source, slot::Slot};

/// Signers of one node.
pub struct NodeSlots {
    config: Arc<NodeConfig>,
    teller: Arc<Teller>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Option<Arc<Keys>>,
    /// By signer; the empty name is all of them.
    slots: BTreeMap<String, Arc<NodeSlot>>,
    /// What was said last of the node, so that it is not said again and again.
    said: Option<String>,
}

impl NodeSlots {
    /// As the configuration says. The node is asked once somebody wants to see slots.
    #[must_use]
    pub fn new(config: NodeConfig, teller: Arc<Teller>) -> Self {
        Self {
            config: Arc::new(config),
            teller,
            known: Mutex::default(),
        }
    }

    /// Of a node that is called in another way.
    #[must_use]
    pub fn of(calls: Box<dyn Calls>, config: NodeConfig, teller: Arc<Teller>) -> Self {
        let slots = Self::new(config, teller);
        slots.held().keys = Some(Arc::new(Keys::new(calls)));
        slots
    }

    fn keys(&self) -> Result<Arc<Keys>, String> {
        if let Some(keys) = &self.held().keys {
            return Ok(Arc::clone(keys));
        }
        let client = self.config.client().map_err(|error| {
            let source =
                std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            format!("{}: {error}{source}", self.config.url)
        })?;
        let keys = Arc::new(Keys::new(Box::new(client)));
        // Another thread may have been quicker: all slots share one.
        let mut known = self.held();
        Ok(Arc::clone(known.keys.get_or_insert(keys)))
    }

    /// Names of signers that are slots; why there are fewer than there should be.
    fn names(&self, keys: &Keys) -> (Vec<String>, Option<String>) {
        let there = keys.fresh();
        let (found, mut why): (Vec<String>, _) = match &there {
            Ok(keys) => (keys.iter().map(|key| key.name.clone()).collect(), None),
            Err(reason) => (Vec::new(), Some(reason.clone())),
        };
        if let Some(missing) = self.config.signers.iter().find(|name| !found.contains(name))
            && why.is_none()
        {
            why = Some(format!(
                "node {} has no signer {missing} for this client",
                keys.calls().name()
            ));
        }
        let names = match (self.config.slots, self.config.signers.as_slice()) {
            (SlotsOf::Center, _) => vec![String::new()],
            (SlotsOf::Signers, []) => found,
            (SlotsOf::Signers, named) => named.to_vec(),
        };
        (names, why)
    }

    fn say_once(&self, why: Option<String>) {
        let new = {
            let mut known = self.held();
            let new = known.said != why;
            known.said.clone_from(&why);
            new
        };
        if let (true, Some(why)) = (new, why) {
            self.teller.say(&why);
            self.teller.log(&why);
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Known> {
        // Held for single steps only, never while the node is asked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for NodeSlots {
    fn slots(&self) -> Vec<Arc<dyn Slot>> {
        let keys = match self.keys() {
            Ok(keys) => keys,
            Err(why) => {
                self.say_once(Some(why));
                return Vec::new();
            }
        };
        let (names, why) = self.names(&keys);
        self.say_once(why);
        let mut known = self.held();
        names
            .into_iter()
            .map(|name| {
                let slot = known.slots.entry(name.clone()).or_insert_with(|| {
                    let signer = (!name.is_empty()).then_some(name);
                    Arc::new(NodeSlot::new(
                        Arc::clone(&keys),
                        Arc::clone(&self.config),
                        Arc::clone(&self.teller),
                        signer,
                    ))
                });
                Arc::clone(slot) as Arc<dyn Slot>
            })
            .collect()
    }
}

impl std::fmt::Debug for NodeSlots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeSlots({})", self.config.url)
    }
}
