//! Pushes: the notification that a challenge waits is queued in the commit of the challenge (`notify_device`), and wakes
//! the factor's device after it ([`deliver_push`]), by Apple's or Google's service or by Web Push ([`web_push`]).

mod deliver;
mod notify;
pub mod web_push;

pub use self::deliver::{PushParcel, deliver_push};
pub(crate) use self::notify::notify_device;
