//! Permissions at every entry point. After each refusal the items are unchanged.

mod access;
mod accounts;
mod addresses;
mod escalation;
mod fields;
mod hidden;
mod matrix;
mod null_behind;
mod own;
mod past;
mod patterns;
mod reach;
mod specials;
mod unknown;
