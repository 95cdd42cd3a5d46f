//! What several lines measure, made when the first of them needs it.

use std::{cell::RefCell, rc::Rc, sync::Arc};

type Make<T> = dyn Fn() -> anyhow::Result<T>;

/// Made at the first use; clones are the same.
pub(crate) struct Lazily<T> {
    made: Rc<RefCell<Option<Arc<T>>>>,
    make: Rc<Make<T>>,
}

impl<T> Lazily<T> {
    pub(crate) fn new(make: impl Fn() -> anyhow::Result<T> + 'static) -> Self {
        Self {
            made: Rc::default(),
            make: Rc::new(make),
        }
    }

    pub(crate) fn get(&self) -> anyhow::Result<Arc<T>> {
        let mut made = self.made.borrow_mut();
        if let Some(made) = made.as_ref() {
            return Ok(Arc::clone(made));
        }
        let new = Arc::new((self.make)()?);
        *made = Some(Arc::clone(&new));
        Ok(new)
    }
}

impl<T> Clone for Lazily<T> {
    fn clone(&self) -> Self {
        Self {
            made: Rc::clone(&self.made),
            make: Rc::clone(&self.make),
        }
    }
}
