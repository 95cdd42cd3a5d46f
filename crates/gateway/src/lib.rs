//! A node's network edge: TLS, the endpoint of remote tokens, the API for enrolled clients.
