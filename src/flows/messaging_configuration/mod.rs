//! Messaging configurations: which messaging service sends a service's text messages to a country.

pub mod create_messaging_configuration;
pub mod delete_messaging_configuration;
pub mod fetch_messaging_configuration;
pub mod list_messaging_configurations;
pub mod update_messaging_configuration;
