//! Factors: enrolling, verifying, changing and deleting them.

pub mod authenticate_device;
pub mod create_push_factor;
pub mod create_totp_factor;
pub mod delete_factor;
pub mod fetch_factor;
pub mod list_factors;
pub mod update_factor;

mod announce_lock;
mod check_code;
mod enrolment;

pub(crate) use announce_lock::announce_lock;
pub(crate) use check_code::{check_code, warn_of_failures};
