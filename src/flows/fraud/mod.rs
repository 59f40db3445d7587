//! Toll fraud: whether a code may be sent, asked before each sending and told what came of it.
//!
//! [`admit()`] is asked first; what it takes out of the store goes there with the sending ([`SendPermit::put`]), what it
//! reserved is kept with [`SendPermit::commit`] once the sending is in the store, and is given back when it is dropped.
//! [`converted`] is told of approvals, [`rebuild`] is called once before a server listens.
//!
//! Invariant: a store that fails lets nothing out.

mod admit;
mod charge;
mod conversions;
mod judge;
mod lift;
mod refuse;
mod reserve;

#[cfg(test)]
mod tests;

pub(crate) use self::admit::keys_to_admit;
pub use self::admit::{Admittance, SendPermit, admit};
pub(crate) use self::charge::{Charge, charge};
pub use self::conversions::{converted, rebuild};
pub use self::lift::lift;
