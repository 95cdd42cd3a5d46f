//! The digests a lease names, fetched whole before anything is said about them.

use chancery_api::{DigestValue, LeaseManifest};

use super::ShownLease;
use crate::AgentError;

/// Digests asked for at once.
pub const MANIFEST_PAGE: u32 = 10_000;

/// Fetches all digests of a lease, page by page. [`ShownLease::with_manifest`] checks them.
///
/// # Errors
/// What the node answers; [`AgentError::OtherLease`] when it gives more digests than the text counts, or none where there should be.
pub fn fetch_manifest<E: From<AgentError>>(
    lease: &ShownLease,
    mut ask: impl FnMut(LeaseManifest) -> Result<Vec<DigestValue>, E>,
) -> Result<Vec<DigestValue>, E> {
    let Some((_, count)) = lease.named() else {
        return Ok(Vec::new());
    };
    let mut digests: Vec<DigestValue> = Vec::new();
    let missing = |digests: &Vec<DigestValue>| {
        let have = u64::try_from(digests.len()).unwrap_or(u64::MAX);
        count.checked_sub(have)
    };
    loop {
        match missing(&digests) {
            Some(0) => return Ok(digests),
            Some(_) => {}
            None => return Err(other(format!("it gives more than the {count} digests")).into()),
        }
        let page = ask(LeaseManifest {
            lease: lease.lease(),
            after: digests.last().cloned(),
            limit: MANIFEST_PAGE,
        })?;
        if page.is_empty() {
            return Err(other(format!("it gives {} of {count} digests", digests.len())).into());
        }
        digests.extend(page);
    }
}

fn other(why: String) -> AgentError {
    AgentError::OtherLease(format!("{why} its text names"))
}
