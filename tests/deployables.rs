//! The files that others deploy: what can be said about them without an engine, an account or a
//! provider.
