//! What fields hold, as the core has it.

use tonic::Status;

use super::error::invalid;
use crate::domain::phone::PhoneNumber;

/// A phone number in E.164 form: 1 to 50 characters, the first of which is a plus.
pub(super) fn number(field: &str, text: &str) -> Result<PhoneNumber, Status> {
    let of_this_length = (1..=50).contains(&text.chars().count());
    if !(of_this_length && text.starts_with('+')) {
        return Err(Status::invalid_argument(format!(
            "invalid {field}: it must have 1 to 50 characters, the first of which is a plus"
        )));
    }
    PhoneNumber::parse(text, None).map_err(|why| invalid(field, &why))
}

/// A code: 1 to 200 characters. One that is not there is `empty`.
pub(super) fn code<'a>(field: &str, text: &'a str, empty: impl Fn() -> Status) -> Result<&'a str, Status> {
    if text.is_empty() {
        return Err(empty());
    }
    if text.chars().count() > 200 {
        return Err(Status::invalid_argument(format!(
            "invalid {field}: it must have 1 to 200 characters"
        )));
    }
    Ok(text)
}

/// A text that has to be there and is not.
pub(super) fn too_short(field: &str) -> Status {
    Status::invalid_argument(format!("invalid {field}: it must have 1 to 200 characters"))
}
