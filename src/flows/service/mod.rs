//! Services: one application's settings, and everything under it.

pub mod create_service;
pub mod delete_service;
pub mod fetch_service;
pub mod list_services;
pub mod update_service;
