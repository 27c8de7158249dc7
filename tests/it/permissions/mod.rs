//! Who may do what, over every way in. After each refusal the items are as they were.

mod accounts;
mod addresses;
mod escalation;
mod fields;
mod hidden;
mod matrix;
mod past;
mod reach;
mod specials;
mod unknown;
