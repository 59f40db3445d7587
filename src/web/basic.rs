//! HTTP Basic authentication (RFC 7617), as every dialect that has it reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What the `Authorization` header holds.
pub struct BasicCredentials {
    /// User name, colon, password.
    text: Zeroizing<String>,
    colon: usize,
}

impl BasicCredentials {
    /// Reads `Basic`, blank, Base64 of user name, colon, password (RFC 7617). Nothing else is a credential here.
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Self> {
        let (scheme, encoded) = header.split_first_chunk::<6>()?;
        if !scheme.eq_ignore_ascii_case(b"basic ") || encoded.len() > MAX_ENCODED {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
        let text = String::from_utf8(decoded).map_err(|error| Zeroizing::new(error.into_bytes()));
        let text = Zeroizing::new(text.ok()?);
        let colon = text.find(':')?;
        Some(Self { text, colon })
    }

    /// What stands before the first colon.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.text[..self.colon]
    }

    /// What stands behind the first colon.
    #[must_use]
    pub fn reveal_password(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    /// The user name and the password, for whoever checks them again later.
    pub(crate) fn into_parts(self) -> (String, Zeroizing<String>) {
        let password = Zeroizing::new(self.reveal_password().to_owned());
        (self.user().to_owned(), password)
    }
}

/// Long enough for every token of a device.
const MAX_ENCODED: usize = 16 * 1024;
