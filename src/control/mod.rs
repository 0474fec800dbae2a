//! Reads configuration and bundle, checks them, and makes typed rows of them.
