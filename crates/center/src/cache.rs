//! What has been parsed and checked already, by hash; bounded.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use chancery_api::{Failure, FailureKind, Hash32};
use chancery_pki::Profile;

/// Values by the hash of what they were made from; the oldest gives way.
pub(crate) struct ByHash<V> {
    values: HashMap<Hash32, V>,
    order: VecDeque<Hash32>,
    most: usize,
}

impl<V: Clone> ByHash<V> {
    pub(crate) fn with_room_for(most: usize) -> Self {
        Self {
            values: HashMap::new(),
            order: VecDeque::new(),
            most,
        }
    }

    pub(crate) fn get(&self, key: &Hash32) -> Option<V> {
        self.values.get(key).cloned()
    }

    pub(crate) fn put(&mut self, key: Hash32, value: V) {
        if self.values.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.values.remove(&oldest);
            }
        }
    }
}

/// The profiles of the program.
pub(crate) struct Profiles {
    known: HashMap<String, Arc<Profile>>,
}

impl Profiles {
    pub(crate) fn builtin() -> Result<Self, Failure> {
        let mut known = HashMap::new();
        for name in Profile::BUILT_IN {
            let profile = Profile::by_name(name)
                .map_err(|error| Failure::new(FailureKind::Internal, format!("profile {name}: {error}")))?;
            known.insert((*name).to_owned(), Arc::new(profile));
        }
        Ok(Self { known })
    }

    pub(crate) fn get(&self, name: &str) -> Result<Arc<Profile>, Failure> {
        self.known.get(name).cloned().ok_or_else(|| {
            let mut names: Vec<_> = self.known.keys().map(String::as_str).collect();
            names.sort_unstable();
            Failure::new(FailureKind::NotFound, format!("there is no profile named {name}"))
                .with_remedy(format!("profiles are {}", names.join(", ")))
        })
    }
}
