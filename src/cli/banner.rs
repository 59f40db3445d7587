//! What a newcomer reads after the first start: credentials, shown once, and three lines to paste.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use url::Url;

use crate::flows::account::NewAccount;

/// How a client on this machine gets in.
pub(super) struct Door {
    /// Without a slash at its end.
    url: String,
    /// What a client must be told to trust.
    authority: Option<PathBuf>,
}

impl Door {
    pub(super) fn http(address: SocketAddr) -> Self {
        Self {
            url: format!("http://{}", reachable(address)),
            authority: None,
        }
    }

    /// Over HTTPS, with a certificate that is its own `authority`, or else is made for the host of `public_url`.
    pub(super) fn https(address: SocketAddr, authority: Option<PathBuf>, public_url: Option<&Url>) -> Self {
        let url = match (&authority, public_url) {
            (None, Some(url)) => url.as_str().trim_end_matches('/').to_owned(),
            _ => format!("https://{}", reachable(address)),
        };
        Self { url, authority }
    }
}

/// The text. `program` is what the binary was started as; it plays the authenticator app in the last line.
pub(super) fn first_account(new: &NewAccount, door: &Door, program: &str) -> String {
    let NewAccount { account, token, .. } = new;
    let sid = account.sid;
    let trust = door.authority.as_ref().map_or_else(String::new, |path| {
        format!(" --cacert {}", quoted(&path.to_string_lossy()))
    });
    let curl = format!("curl -sS{trust} -u {sid}:{}", token.reveal());
    let services = format!("{}/v2/Services", door.url);
    let factors = format!("{services}/$SERVICE/Entities/demo-user/Factors");
    let program = quoted(program);
    let field = |name, pattern| {
        format!(r#"printf '%s\n' "$FACTOR" | sed -n 's/.*"{name}": *"\({pattern}\)".*/\1/p'"#)
    };
    let (factor, uri) = (field("sid", "YF[0-9a-f]*"), field("uri", r#"[^"]*"#));
    format!(
        r#"
This is a new store, so here is its first account. The auth token and the webhook secret are shown this once:

  Account SID     {sid}
  Auth token      {token}
  Webhook secret  {webhook_secret}   (webhooks are signed with it)

Try it: paste these lines into a shell, one after the other. They create a service, create a TOTP factor (the uri in
the answer is what an authenticator app scans), and check a code; put a code of your app in place of $(...) if you like.

SERVICE=$({curl} {services} -d FriendlyName=Demo | sed -n 's/.*"sid": *"\(VA[0-9a-f]*\)".*/\1/p'); echo "$SERVICE"
FACTOR=$({curl} {factors} -d FriendlyName=Phone -d FactorType=totp); printf '%s\n' "$FACTOR"
{curl} {factors}/$({factor}) -d AuthPayload=$({program} totp --uri "$({uri})")
"#,
        token = token.reveal(),
        webhook_secret = new.webhook_secret.reveal().as_str(),
    )
}

/// An address that a client on this machine can connect to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// As a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_');
    if word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::domain::text::FriendlyName;
    use crate::doubles::TestParts;
    use crate::flows::account;

    async fn new_account() -> NewAccount {
        let app = TestParts::default().wire();
        account::create(&app, FriendlyName::parse("Shop").unwrap())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn three_lines_follow_the_credentials() {
        let new = new_account().await;
        let (sid, token) = (new.account.sid, &new.token);
        let text = first_account(
            &new,
            &Door::http("[::]:81".parse().unwrap()),
            "/opt/my tools/countersign",
        );
        let lines: Vec<_> = text.lines().filter(|line| line.contains("curl ")).collect();
        assert_eq!(lines.len(), 3, "{text}");
        for line in lines {
            assert!(
                line.contains(&format!(
                    "-u {sid}:{} http://[::1]:81/v2/Services",
                    token.reveal()
                )),
                "{line}"
            );
        }
        assert!(text.contains(new.webhook_secret.reveal().as_str()), "{text}");
        assert!(text.contains("'/opt/my tools/countersign' totp --uri "), "{text}");
    }

    #[tokio::test]
    async fn https_is_entered_where_its_certificate_is_good() {
        let new = new_account().await;
        let (sid, token) = (new.account.sid, &new.token);
        let address: SocketAddr = "0.0.0.0:8443".parse().unwrap();
        let url = Url::parse("https://verify.example.com/").unwrap();
        let own = Some(PathBuf::from("/my data/cert.pem"));
        for (door, trust, base) in [
            (Door::https(address, None, None), "", "https://127.0.0.1:8443"),
            (
                Door::https(address, None, Some(&url)),
                "",
                "https://verify.example.com",
            ),
            (
                Door::https(address, own, Some(&url)),
                " --cacert '/my data/cert.pem'",
                "https://127.0.0.1:8443",
            ),
        ] {
            let text = first_account(&new, &door, "countersign");
            let begin = format!("curl -sS{trust} -u {sid}:{} {base}/v2/Services", token.reveal());
            assert_eq!(text.matches(&begin).count(), 3, "{text}");
        }
    }

    #[test]
    fn words_are_quoted_only_when_a_shell_would_change_them() {
        assert_eq!(quoted("/usr/bin/countersign"), "/usr/bin/countersign");
        assert_eq!(quoted("it's $1"), r"'it'\''s $1'");
    }
}
