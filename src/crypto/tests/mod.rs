//! A device that signs as the SDKs do, what forgers try on its tokens, and published vectors.

pub(crate) mod device;
mod token_attacks;
mod wycheproof;
