//! Classes of vulnerabilities that servers of this kind had in practice, each with a test over
//! {entry point} × {spelling} × {identity}. The numbers follow the project's table: 1 a missing
//! identity acts as the system, 3 rights outlive their grant, 4 live events leak, 5 a query reveals
//! hidden data, 6 mass assignment, 7 access by another spelling of an item, 8 side effects before
//! the check, 16 injection, 20 a cache key without the identity, 22 the version is public.

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
