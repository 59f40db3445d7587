//! Which sender a code is given to: how the senders do ([`SenderHealth`]), and whether what they send arrives
//! ([`ConversionWindow`]). Both are kept in memory only: a process that begins anew finds out again within minutes.

mod conversions;
mod health;

pub use self::conversions::{ConversionWindow, Rate};
pub use self::health::{Admission, SenderHealth};
