//! Who may do what, over every way in. After each refusal the items are as they were.

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
