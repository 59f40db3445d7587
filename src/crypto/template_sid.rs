//! The SIDs of message templates: made of their names, so that they need no store.

use super::short_digest::short_digest;
use crate::domain::sid::TemplateSid;

/// The SID of the template with this name: the first 16 bytes of SHA-256 over it.
#[must_use]
pub(crate) fn template_sid(friendly_name: &str) -> TemplateSid {
    TemplateSid::from_bytes(short_digest(friendly_name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::template::Templates;

    #[test]
    fn built_in_templates_have_the_sids_of_their_names() {
        let templates = Templates::default();
        assert_eq!(templates.iter().len(), 3);
        for template in templates.iter() {
            assert_eq!(template.sid(), template_sid(template.friendly_name()));
        }
    }
}
