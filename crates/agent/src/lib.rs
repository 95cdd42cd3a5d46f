//! A person's side: own token, PIN, acts, quorum answers, accepted HSMs.
