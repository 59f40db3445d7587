//! The sender that needs nothing.

use countersign::delivery::codes::CodeSenders;
use countersign::domain::channel::Channel;

use super::{assert_delivered, sms};

#[tokio::test]
async fn without_any_setting_there_is_a_sender() {
    let senders = CodeSenders::default();
    let sender = senders.candidates(Channel::Sms, None, None).next().unwrap();
    assert_eq!(sender.name.as_str(), "log");
    assert_delivered(&sender.sender.send(&sms("Your code is 471142")).await);
}
