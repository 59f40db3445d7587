//! Which code the next message of a verification carries.

use crate::app::App;
use crate::crypto::plain_code::PlainCode;
use crate::domain::channel::Channel;
use crate::domain::time::Timestamp;
use crate::domain::verification::{IssuedCode, NewCode, Verification};
use crate::flows::Error;
use crate::store::{StoreError, keys};

/// A new code, if the next sending over `channel` needs one: the policy wants one, the one before is over or void, or the
/// caller chose another.
pub(crate) fn next_code(
    app: &App,
    verification: &Verification,
    channel: Channel,
    custom: Option<&PlainCode>,
    now: Timestamp,
) -> Result<Option<NewCode>, Error> {
    if channel == Channel::Sna {
        return Ok(None);
    }
    let mut needed = verification.needs_code(channel, now);
    if let (false, Some(custom), Some(last)) = (needed, custom, verification.codes.last()) {
        needed = !open_code(app, verification, last)?.matches(custom);
    }
    if !needed {
        return Ok(None);
    }
    let code = custom.cloned().unwrap_or_else(|| {
        let policy = &verification.policy;
        PlainCode::draw(policy.alphabet, policy.code_length.get(), app.entropy.as_ref())
    });
    let key = keys::verification(verification.service, verification.sid);
    Ok(Some(NewCode {
        sealed: app
            .vault
            .seal(app.entropy.as_ref(), key.bytes(), code.reveal().as_bytes()),
        length: code.length(),
    }))
}

/// Opens one of the verification's codes.
pub(crate) fn open_code(
    app: &App,
    verification: &Verification,
    code: &IssuedCode,
) -> Result<PlainCode, Error> {
    let corrupt = |why: &dyn std::fmt::Display| {
        Error::from(StoreError::Corrupt(format!(
            "verification {}: {why}",
            verification.sid
        )))
    };
    let key = keys::verification(verification.service, verification.sid);
    let opened = app
        .vault
        .open(key.bytes(), &code.sealed)
        .map_err(|error| corrupt(&error))?;
    PlainCode::from_opened(&opened).ok_or_else(|| corrupt(&"its code is none"))
}
