//! The safe list of an account: numbers that no guard against fraud holds up.

pub mod add_safe_number;
pub mod fetch_safe_number;
pub mod is_safe;
pub mod remove_safe_number;
