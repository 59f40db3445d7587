//! The templates of messages: the server's own ones and the operator's. They are settings, not records.

use std::sync::Arc;

use crate::app::App;
use crate::domain::message::template::Template;
use crate::flows::page::{Page, PageRequest, page_of};

/// A page of the templates with this name, or of all of them.
#[must_use]
pub fn list(app: &App, friendly_name: Option<&str>, request: PageRequest) -> Page<Arc<Template>> {
    let named = |template: &&Arc<Template>| friendly_name.is_none_or(|name| name == template.friendly_name());
    let found = app.policy.templates.iter().filter(named);
    let found = found.map(|template| (*template.sid().as_bytes(), Arc::clone(template)));
    page_of(found.collect(), request)
}
