//! What answers say of the user that they are about.

use super::proto::zitadel::{object, v1};
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// In the first API.
pub(super) fn details(user: &User) -> v1::ObjectDetails {
    v1::ObjectDetails {
        sequence: user.sequence,
        creation_date: Some(moment(user.date_created)),
        change_date: Some(moment(user.date_updated)),
        resource_owner: user.account.to_string(),
    }
}

/// In the second one.
pub(super) fn details_v2(user: &User) -> object::v2::Details {
    object::v2::Details {
        sequence: user.sequence,
        change_date: Some(moment(user.date_updated)),
        resource_owner: user.account.to_string(),
        creation_date: Some(moment(user.date_created)),
    }
}

fn moment(moment: Timestamp) -> prost_types::Timestamp {
    let millis = moment.millis();
    prost_types::Timestamp {
        seconds: i64::try_from(millis / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(millis % 1000).unwrap_or_default() * 1_000_000,
    }
}
