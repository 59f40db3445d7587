//! HTTP/2, as those speak it who keep the rules and those who do not.

mod calls;
mod client;
mod ending;
mod exchanges;
mod floods;
mod hosts;
mod limits;
mod raw;
mod waiters;

pub(crate) use client::{Client, request, whole};
