//! A device that signs as the SDKs do, and published vectors.

pub(crate) mod device;
mod wycheproof;
