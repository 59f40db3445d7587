//! Toll fraud: whether a code may be sent, asked before each sending and told what came of it.
//!
//! [`admit`](admit::admit) is asked first; what it reserved is kept with [`Admission::commit`](admit::Admission::commit)
//! once the sending is in the store, and is given back when it is dropped. [`converted`](converted::converted) is told of
//! approvals, [`rebuild`](rebuild::rebuild) is called once before a server listens.
//!
//! Invariant: a store that fails lets nothing out.

pub mod admit;
mod announce;
pub mod charge;
pub mod converted;
mod judge;
mod needs;
pub mod rebuild;
mod reserve;

#[cfg(test)]
mod tests;
