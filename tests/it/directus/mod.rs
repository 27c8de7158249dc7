//! The Directus-compatible socket: one file per behaviour.

mod auth;
mod bulk_changes;
mod cursors;
mod errors;
mod expiry;
mod handshake;
mod heartbeat;
mod identity_storm;
mod items;
mod limits;
mod order;
mod protocol;
mod public_rights;
mod recover;
mod resume;
mod revocation;
mod rights;
mod shares;
mod subscribe;
mod views;
