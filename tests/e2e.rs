//! The whole system, by its release binary over HTTP.
