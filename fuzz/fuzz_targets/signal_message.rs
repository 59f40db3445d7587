//! A message to any method of Signal's services, as its first byte says. What is no such message by another reader is refused
//! as that; whatever else becomes of it, it is no mistake of ours.

#![no_main]

use std::sync::LazyLock;

use countersign::dialect::signal;
use countersign_fuzz::calls::{INTERNAL, methods, with_server};
use libfuzzer_sys::fuzz_target;
use prost_reflect::{DynamicMessage, MethodDescriptor};

fuzz_target!(|data: &[u8]| {
    let Some((which, message)) = data.split_first() else {
        return;
    };
    let method = &METHODS[usize::from(*which) % METHODS.len()];
    let readable = DynamicMessage::decode(method.input(), message).is_ok();
    let status = with_server(|server| server.call(method, message));
    assert_eq!(status == INTERNAL, !readable, "{}: {status}", method.full_name());
});

static METHODS: LazyLock<Vec<MethodDescriptor>> = LazyLock::new(|| methods(signal::DESCRIPTORS));
