//! What every HTTP listener shares.

pub mod body;
pub mod public_url;
