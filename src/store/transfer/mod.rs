//! Export, import and conversion: how data moves between engines and releases, and how it is restored.
//!
//! The file is JSON Lines, readable without Countersign. Versions stay behind: they mean something to one store only.
//!
//! ```text
//! {"format":"countersign-export","version":1}
//! {"key":"ZmFjdG9y","value":"c2VhbGVk"}
//! {"key":"dG9rZW4=","value":"","expires_at":1750000000000}
//! {"entries":2,"sha256":"<of all bytes above, in hexadecimal>"}
//! ```
//!
//! If entries were left out that no server of the store wrote, the last line has `"left_out":{"count":1,"names":["..."]}`, too.
//!
//! Keys and values are in base64; keys rise from line to line. Entries are in it as the engine has them: what is secret is
//! sealed, each carries its MAC, and the key ring goes along.
//!
//! A store that is being filled has a [mark](super::records::Filling) until it is whole. Whoever filled it goes on where it
//! stopped; everybody else refuses it.

mod checksum;
mod convert;
mod export;
mod filling;
mod import;
mod verify;

pub use self::checksum::Checksum;
pub use self::convert::{ConvertError, ConvertStage, Progress, convert};
pub use self::export::{ExportError, ExportSummary, export};
pub use self::filling::FillError;
pub use self::import::{ImportError, Rewind, import, read_through};
pub use self::verify::{
    EpochAfterImport, LeftOut, NotVerified, Sieve, keys_of_export, verify_export, verify_store,
};

use serde::{Deserialize, Serialize};

use super::{MAX_KEY_BYTES, MAX_VALUE_BYTES};

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
}

/// Every line between the first and the last.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(with = "base64_text")]
    key: Vec<u8>,
    #[serde(with = "base64_text")]
    value: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    entries: u64,
    /// What the store had besides.
    #[serde(default, skip_serializing_if = "LeftOut::is_nothing")]
    left_out: LeftOut,
    sha256: String,
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes as base64, in serde's form.
mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&base64::display::Base64Display::new(bytes, &STANDARD))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text: &str = serde::Deserialize::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}

const FORMAT: &str = "countersign-export";
const VERSION: u32 = 1;

/// No line of an export is longer than the base64 of the largest key and value, and the words around them.
const MAX_LINE_BYTES: usize = (MAX_KEY_BYTES + MAX_VALUE_BYTES).div_ceil(3) * 4 + 256;

#[cfg(test)]
mod tests;
