//! The classes of holes that servers of this kind really had, each with a test over
//! {way in} × {spelling} × {identity}. Their numbers are those of the table this project goes by:
//! 1 an identity that is not set acts as the system, 3 rights outlive what gave them, 4 live news
//! leak, 5 a query tells what it may not show, 6 more is assigned than may be, 7 the same item by
//! another spelling, 8 effects before the check, 16 injection, 20 a cache without the identity in
//! its key, 22 the version is told to anybody.

mod address;
mod caches;
mod document;
pub mod dump;
mod frames;
mod hostile;
mod identity;
mod injection;
mod lists;
mod oracles;
mod spelling;
mod writes;
