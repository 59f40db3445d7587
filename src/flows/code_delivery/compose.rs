//! Puts together what a sender is handed.

use zeroize::Zeroizing;

use crate::app::App;
use crate::delivery::codes::CodeMessage;
use crate::domain::sid::AttemptSid;
use crate::domain::verification::{IssuedCode, Sending, Verification};
use crate::store::keys;

/// The message that carries the code of `sending`.
///
/// # Errors
/// Why there is none, for the operator.
pub(super) fn compose(
    app: &App,
    verification: &Verification,
    (sending, code): (&Sending, &IssuedCode),
    attempt: AttemptSid,
) -> Result<CodeMessage, String> {
    let key = keys::verification(verification.service, verification.sid);
    let opened = app.vault.open(key.bytes(), &code.sealed);
    let opened = opened.map_err(|error| format!("the code does not open: {error}"))?;
    let code_text = std::str::from_utf8(&opened).map_err(|_| "the code is no text".to_owned())?;
    let content = &verification.content;
    let email = content.email.clone().unwrap_or_default();
    let text = format!("Your {} code is: {code_text}", content.friendly_name);
    Ok(CodeMessage {
        id: attempt,
        channel: sending.channel,
        to: verification.destination.clone(),
        code: Zeroizing::new(code_text.to_owned()),
        text: Zeroizing::new(text),
        subject: None,
        locale: "en".to_owned(),
        from: email.from,
        from_name: email.from_name,
        send_digits: content.send_digits.clone(),
        tags: content.tags.0.clone(),
        substitutions: email.substitutions,
        template_id: email.template_id,
        device_ip: None,
        expires_at: code.expires_at.min(verification.expires_at),
    })
}
