//! Work in several threads at a time.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does `work` for every item, begun in their order, `at_once` at a time; the results in the order of the items.
pub(crate) fn each<I: Send, R: Send>(
    items: impl IntoIterator<Item = I, IntoIter: Send>,
    at_once: usize,
    work: impl Fn(I) -> R + Sync,
) -> Vec<R> {
    let waiting = Mutex::new(items.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((index, item)) = next else { break };
                    let result = work(item);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// How many processors there are for us.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn two_at_a_time_and_results_in_order() {
        // Neither of a pair goes on without the other.
        let pair = Barrier::new(2);
        let results = each(0..6, 2, |number| {
            pair.wait();
            number * 10
        });
        assert_eq!(results, [0, 10, 20, 30, 40, 50]);
    }
}
