//! Why a device command failed.

/// Why a device command failed; each prints as one sentence for the terminal.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeviceError {
    /// The answer makes no sense for this protocol.
    #[error("{0}")]
    Answer(String),
    /// An argument or a file that the user named cannot be used.
    #[error("{0}")]
    Input(String),
    /// No answer came back.
    #[error("no answer from {url}: {reason}")]
    Network { url: String, reason: String },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
    #[error("the server refused with HTTP {status}: {message}{}", .code.map(|code| format!(" (error {code})")).unwrap_or_default())]
    Refused {
        status: u16,
        code: Option<i64>,
        message: String,
    },
}

impl From<DeviceError> for String {
    fn from(error: DeviceError) -> Self {
        error.to_string()
    }
}
