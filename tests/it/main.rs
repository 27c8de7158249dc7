//! The service as its clients see it: in-process, over real HTTP and real sockets, each test with a
//! database of its own.
//!
//! Folders follow `src/transport`; `support` has the server and the clients.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asyncapi;
mod browsers;
mod classes;
mod conformance;
mod connections;
mod costs;
mod dates;
mod dependencies;
mod directus;
mod enrolment;
mod health;
mod log;
mod memory;
mod openapi;
mod panics;
mod permissions;
mod personal;
mod providers;
mod query_agrees;
mod recent;
mod rest;
mod search;
mod security;
mod settings;
mod space;
mod steps;
mod store;
mod support;
mod throttle;
mod tidy;
mod topics;
mod typing;
mod unread;
