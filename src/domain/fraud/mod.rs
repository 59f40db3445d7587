//! Toll fraud: codes sent to numbers whose owner is paid for them, or sent to nobody at the operator's cost.
//!
//! Three guards, each decided here without any effect:
//! - where codes may go at all (`permission`): countries, and kinds of numbers that are dear to reach;
//! - how many may go ([`budget`], `ledger`): per number, prefix, country, device, service, and in money;
//! - whether those that went were used (`conversion`): a prefix whose codes nobody types is blocked.
//!
//! What all of it remembers is kept by [`crate::memory::fraud`].

pub(crate) mod block;
pub mod budget;
pub(crate) mod conversion;
pub(crate) mod ledger;
pub(crate) mod permission;
pub mod prefix;
pub mod settings;

pub use self::block::{BlockEvent, BlockReason, Blocked, PrefixBlock};
