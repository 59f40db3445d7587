//! Puts together what a sender is handed.

use zeroize::Zeroizing;

use super::deliver::DueCode;
use crate::app::App;
use crate::crypto::plain_code::PlainCode;
use crate::delivery::codes::CodeMessage;
use crate::domain::channel::Channel;
use crate::domain::message::locale::Locale;
use crate::domain::message::render;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::AttemptSid;
use crate::domain::verification::Verification;

/// The message that carries `code`, the one that is due, in the language that was asked for, or else in that of the number's
/// country.
///
/// # Errors
/// Why there is none, for the operator. It names neither the code nor the destination.
pub(super) fn compose(
    app: &App,
    verification: &Verification,
    due: DueCode<'_>,
    code: &PlainCode,
    attempt: AttemptSid,
) -> Result<CodeMessage, String> {
    let DueCode {
        sending,
        code: issued,
    } = due;
    let code = code.reveal();
    let content = &verification.content;
    let locale = locale(verification);
    let message = render(&content.message(sending.channel, &locale, code, &app.policy.templates));
    let message = message.map_err(|error| error.to_string())?;
    // What the caller wants of an e-mail is nothing to a text message: an address is no sender's number.
    let email = content
        .email
        .clone()
        .filter(|_| sending.channel == Channel::Email)
        .unwrap_or_default();
    Ok(CodeMessage {
        id: attempt,
        channel: sending.channel,
        to: verification.destination.on(sending.channel),
        code: Zeroizing::new(code.to_owned()),
        text: message.text,
        subject: message.subject,
        locale: message.locale_used.as_str().to_owned(),
        from: email.from,
        from_name: email.from_name.map(|name| name.to_string()),
        send_digits: content.send_digits.as_ref().map(ToString::to_string),
        tags: content.tags.pairs().to_vec(),
        substitutions: email.substitutions.pairs().to_vec(),
        template_id: email.template_id.map(|id| id.to_string()),
        device_ip: None,
        expires_at: issued.expires_at.min(verification.expires_at),
    })
}

fn locale(verification: &Verification) -> Locale {
    let of_country = || {
        let facts = verification.destination.phone().map(PhoneNumber::facts);
        let country = facts.and_then(|facts| facts.country);
        country.map_or_else(Locale::english, Locale::for_country)
    };
    verification.content.locale.clone().unwrap_or_else(of_country)
}
