//! One thread at a time, without a lock held while it works.

use std::{
    ops::{Deref, DerefMut},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Something that one thread uses at a time. It is taken out and put back: no lock is held meanwhile, so that whoever cannot
/// wait, an exit handler, finds out at once.
pub(super) struct Turn<T> {
    place: Mutex<Option<T>>,
    back: Condvar,
}

/// The thread's turn; it ends when this is dropped.
pub(super) struct Taken<'a, T> {
    turn: &'a Turn<T>,
    value: Option<T>,
}

impl<T> Turn<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            place: Mutex::new(Some(value)),
            back: Condvar::new(),
        }
    }

    /// Waits for it.
    pub(super) fn take(&self) -> Taken<'_, T> {
        let mut place = self.lock();
        loop {
            if let Some(value) = place.take() {
                return Taken {
                    turn: self,
                    value: Some(value),
                };
            }
            place = self.back.wait(place).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// `None` when another thread has it.
    pub(super) fn try_take(&self) -> Option<Taken<'_, T>> {
        let value = self.lock().take()?;
        Some(Taken {
            turn: self,
            value: Some(value),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for Taken<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // It is there from the start to the drop.
        self.value.as_ref().expect("a turn holds its value until it ends")
    }
}

impl<T> DerefMut for Taken<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a turn holds its value until it ends")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        *self.turn.lock() = self.value.take();
        self.turn.back.notify_one();
    }
}
