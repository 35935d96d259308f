//! The resolver against registries that are told what to say.
