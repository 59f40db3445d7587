//! Web Push: the key that push services know this server by, and notifications to subscriptions.

pub mod deliver_web_push;
pub mod vapid_key;
