//! Access tokens: permission for one device to create one factor.

pub mod create_access_token;
pub mod enrol_with_token;
pub mod fetch_access_token;

mod token_text;
