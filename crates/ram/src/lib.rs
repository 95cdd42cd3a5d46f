//! RAMOverHTTP: messages, both ends of a session, and what an agent lets through; no I/O.
