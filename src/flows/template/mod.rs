//! The templates of messages: the server's own ones and the operator's. They are settings, not records.

pub mod list_templates;
