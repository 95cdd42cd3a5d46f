//! Finding tokens, and work on them that takes several steps.
