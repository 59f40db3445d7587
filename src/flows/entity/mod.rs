//! Entities: the users of a service.

pub mod create_entity;
pub mod delete_entity;
pub mod fetch_entity;
pub mod list_entities;

mod creation_rate;

pub(crate) use creation_rate::count_creation;
