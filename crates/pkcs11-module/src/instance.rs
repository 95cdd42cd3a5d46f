//! The one library of a process, and what becomes of it in a child.

use std::{
    ptr::null_mut,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicPtr, Ordering},
    },
};

use chancery_pkcs11_library::{Code, Library, Result};

/// What `C_Initialize` made, for the process that called it. It is never freed: one for each process of a chain of forks.
struct Instance {
    process: u32,
    library: Mutex<Option<Arc<Library>>>,
    /// The one before, closed by `C_Finalize`: programs write more after that, and its last word is still to be said.
    closed: Mutex<Option<Arc<Library>>>,
}

static CURRENT: AtomicPtr<Instance> = AtomicPtr::new(null_mut());

/// The library, between `C_Initialize` and `C_Finalize` of this very process: a forked child shares nothing with its parent,
/// neither sockets nor locks, which another thread of the parent may have held while it was forked.
pub(crate) fn library() -> Result<Arc<Library>> {
    let library = here().and_then(|instance| {
        instance
            .library
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    });
    library.ok_or_else(|| Code::CRYPTOKI_NOT_INITIALIZED.into())
}

/// The library, or the one that was closed last.
pub(crate) fn latest() -> Option<Arc<Library>> {
    library().ok().or_else(|| {
        here().and_then(|instance| {
            instance
                .closed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        })
    })
}

/// Puts a library in its place.
pub(crate) fn initialise(library: Library) -> Result<()> {
    let instance = here_or_new();
    let mut place = instance.library.lock().unwrap_or_else(PoisonError::into_inner);
    if place.is_some() {
        return Err(Code::CRYPTOKI_ALREADY_INITIALIZED.into());
    }
    *place = Some(Arc::new(library));
    Ok(())
}

/// Takes the library out of its place. Threads that are still in a call end it with what they have.
pub(crate) fn finalise() -> Result<Arc<Library>> {
    let library = here().and_then(|instance| {
        let library = instance
            .library
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        *instance.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&library));
        Some(library)
    });
    library.ok_or_else(|| Code::CRYPTOKI_NOT_INITIALIZED.into())
}

/// This process's instance.
fn here() -> Option<&'static Instance> {
    let pointer = CURRENT.load(Ordering::Acquire);
    // SAFETY: null, or from Box::into_raw in `here_or_new` and never freed.
    let instance = unsafe { pointer.as_ref() }?;
    (instance.process == std::process::id()).then_some(instance)
}

fn here_or_new() -> &'static Instance {
    loop {
        if let Some(instance) = here() {
            return instance;
        }
        let old = CURRENT.load(Ordering::Acquire);
        let new = Box::into_raw(Box::new(Instance {
            process: std::process::id(),
            library: Mutex::new(None),
            closed: Mutex::new(None),
        }));
        // A parent's instance is left as it is: to close what it holds would close it for the parent.
        if CURRENT
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            // Another thread was faster.
            // SAFETY: from Box::into_raw above, and nobody else has seen it.
            drop(unsafe { Box::from_raw(new) });
        }
    }
}
