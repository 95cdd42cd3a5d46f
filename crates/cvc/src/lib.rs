//! Card verifiable certificates (BSI TR-03110): parse, build, verify; no I/O.
