//! One pool of connections for each process.
//!
//! After `fork` a child shares the sockets of its parent, and locks of the parent's may be held for ever by threads the child
//! does not have. So the pool of the process that made the client is never touched in another one, and the lock on a child's
//! pool is never waited for: whoever finds it held makes connections of his own for this one call.

use std::sync::{Mutex, PoisonError, TryLockError};

/// A value of which every process has its own.
pub(crate) struct PerProcess<T> {
    home: u32,
    first: T,
    later: Mutex<Option<(u32, T)>>,
}

impl<T: Clone> PerProcess<T> {
    /// The value of this process, whose id is `home`.
    pub(crate) const fn new(home: u32, first: T) -> Self {
        Self {
            home,
            first,
            later: Mutex::new(None),
        }
    }

    /// The value of process `id`, made by `make` when it has none.
    pub(crate) fn of<E>(&self, id: u32, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        if id == self.home {
            return Ok(self.first.clone());
        }
        let mut later = match self.later.try_lock() {
            Ok(later) => later,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return make(),
        };
        match &*later {
            Some((owner, value)) if *owner == id => Ok(value.clone()),
            _ => {
                let value = make()?;
                // A parent's value may hold locks of threads that are not here: it is left alone, as `first` is.
                std::mem::forget(later.replace((id, value.clone())));
                Ok(value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, convert::Infallible};

    use super::*;

    #[test]
    fn every_process_gets_a_value_of_its_own_once() {
        let made = Cell::new(0);
        let values = PerProcess::new(1, 100);
        let of = |id| {
            let make = || {
                made.set(made.get() + 1);
                Ok::<_, Infallible>(made.get())
            };
            values.of(id, make).unwrap()
        };
        assert_eq!((of(1), of(2), of(2), of(1), of(3), of(3)), (100, 1, 1, 100, 2, 2));
    }

    #[test]
    fn a_lock_held_by_nobody_alive_is_not_waited_for() {
        let values = PerProcess::new(1, 100);
        let _held = values.later.lock().unwrap();
        assert_eq!(values.of(2, || Ok::<_, Infallible>(7)), Ok(7));
        assert_eq!(values.of(1, || Ok::<_, Infallible>(7)), Ok(100));
    }
}
