//! The agent at a token's side: attaches local tokens to a node over RAMOverHTTP.
