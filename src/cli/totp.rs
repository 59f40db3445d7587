//! `countersign totp`: an authenticator app of one line.

use std::io::{self, BufRead as _};

use serde_json::json;
use zeroize::Zeroizing;

use super::output;
use crate::crypto::otpauth::OtpauthUri;
use crate::crypto::totp::code_at;
use crate::domain::time::{Clock as _, SystemClock};

/// Print the one-time code of an otpauth URI.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The `otpauth://totp/` URI that the factor's creation returned; `-` reads it from the standard input, which keeps
    /// the secret out of process lists.
    #[arg(long, env = "COUNTERSIGN_TOTP_URI", hide_env_values = true)]
    uri: String,
    /// The Unix time to print the code of, instead of now.
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,
    /// Answer in JSON, with how many seconds the code is still shown
    #[arg(long)]
    json: bool,
}

/// Not derived: the URI is a secret.
impl std::fmt::Debug for Args {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Args")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Prints the code and nothing else.
///
/// # Errors
/// A sentence for the terminal when the URI cannot be read; it does not repeat the URI.
#[expect(clippy::unused_async, reason = "every command is run in the same way")]
pub(super) async fn run(args: Args) -> Result<(), String> {
    let given = Zeroizing::new(args.uri);
    let uri = match given.as_str() {
        "-" => first_line()?,
        _ => given,
    };
    let seconds = args.at.unwrap_or_else(|| SystemClock.now().seconds());
    let (code, left) = code_of(uri.trim(), seconds)?;
    output::tell(
        args.json,
        || json!({"code": code.as_str(), "seconds_left": left}),
        || format!("{}\n", code.as_str()),
    );
    Ok(())
}

/// The one place that knows how the library reads a URI and computes a code: the code, and for how many seconds it is still shown.
fn code_of(uri: &str, seconds: u64) -> Result<(Zeroizing<String>, u64), String> {
    let uri = OtpauthUri::parse(uri).map_err(|error| error.to_string())?;
    let period = u64::from(uri.period);
    let step = seconds / period;
    let code = code_at(&uri.secret, uri.algorithm, uri.digits, step).ok_or("such codes do not exist")?;
    Ok((
        Zeroizing::new(code.reveal().to_owned()),
        period - seconds % period,
    ))
}

fn first_line() -> Result<Zeroizing<String>, String> {
    let mut line = Zeroizing::new(String::new());
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| format!("cannot read the URI from the standard input: {error}"))?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_6238_appendix_b() {
        let uri = "otpauth://totp/t?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8";
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(code_of(uri, seconds).unwrap().0.as_str(), code);
        }
    }

    #[test]
    fn secrets_are_read_as_the_server_reads_them() {
        let code = |secret: &str| {
            code_of(&format!("otpauth://totp/t?secret={secret}&digits=8"), 59)
                .unwrap()
                .0
        };
        for secret in [
            "gezdgnbvgy3tqojqgezdgnbvgy3tqojq",
            "GEZD%20GNBV+GY3T-QOJQ-GEZD%C2%A0GNBV-GY3T-QOJQ",
            "GEZDGNBVGY3TQOJQ%E2%80%91GEZDGNBVGY3TQOJQ",
        ] {
            assert_eq!(code(secret).as_str(), "94287082", "{secret}");
        }
        // Apps of older systems have shorter ones.
        assert_eq!(code("GEZDGNBVGY3TQOJQ"), code("gezd-gnbv-gy3t-qojq"));
        assert!(code_of("otpauth://totp/t?secret=GEZDGNBVGY3TQOI", 0).is_err());
    }

    #[test]
    fn an_unreadable_uri_is_not_repeated() {
        let error = code_of("otpauth://hotp/t?secret=GEZDGNBVGY3TQOJQ", 0).unwrap_err();
        assert!(!error.contains("GEZDGNBVGY3TQOJQ"), "{error}");
    }
}
