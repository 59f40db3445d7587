//! The account that is created in an empty store.

use std::fmt;

use zeroize::Zeroizing;

use super::sources::Sources;
use super::{ConfigError, Key, Settings};
use crate::domain::sid::AccountSid;

/// The account that is created in an empty store: its SID (`AC` and 32 hexadecimal digits), a colon, and its auth token
/// (16 to 128 printable ASCII characters without blanks and colons). Environment only: `COUNTERSIGN_BOOTSTRAP`.
pub(super) const BOOTSTRAP: Key = Key::new("bootstrap", Sources::Environment);

/// The account that is created in an empty store.
pub struct Bootstrap {
    /// Its SID.
    pub sid: AccountSid,
    /// Its auth token.
    pub token: Zeroizing<String>,
}

impl fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bootstrap({}, ..)", self.sid)
    }
}

pub(super) fn read(settings: &mut Settings) -> Result<Option<Bootstrap>, ConfigError> {
    let expected = "AC and 32 hexadecimal digits, a colon, and a token of 16 to 128 printable ASCII characters without \
                    blanks and colons";
    settings.take(&BOOTSTRAP, expected, |text| {
        let (sid, token) = text.split_once(':')?;
        let fits =
            (16..=128).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let sid = sid.parse().ok()?;
        fits.then(|| Bootstrap {
            sid,
            token: Zeroizing::new(token.to_owned()),
        })
    })
}
