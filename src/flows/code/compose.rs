//! Puts together what a sender is handed.

use zeroize::Zeroizing;

use super::deliver::DueCode;
use crate::app::App;
use crate::delivery::codes::CodeMessage;
use crate::domain::channel::Channel;
use crate::domain::message::locale::Locale;
use crate::domain::message::{MessageRequest, render};
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::AttemptSid;
use crate::domain::verification::Verification;
use crate::store::keys;

/// The message that carries the code that is due, in the language that was asked for, or else in that of the number's
/// country.
///
/// # Errors
/// Why there is none, for the operator. It names neither the code nor the destination.
pub(super) fn compose(
    app: &App,
    verification: &Verification,
    due: DueCode<'_>,
    attempt: AttemptSid,
) -> Result<CodeMessage, String> {
    let DueCode {
        sending,
        code: issued,
    } = due;
    let key = keys::verification(verification.service, verification.sid);
    let opened = app.vault.open(key.bytes(), &issued.sealed);
    let opened = opened.map_err(|error| format!("the code does not open: {error}"))?;
    let code = std::str::from_utf8(&opened).map_err(|_| "the code is no text".to_owned())?;
    let content = &verification.content;
    // A template that the operator has taken away gives way to the standard wording.
    let template = content.template.and_then(|sid| app.policy.templates.by_sid(sid));
    let message = render(&MessageRequest {
        channel: sending.channel,
        locale: &locale(verification),
        friendly_name: &content.friendly_name,
        code,
        warning: content.warning,
        psd2: content
            .payment
            .as_ref()
            .map(|payment| (payment.amount.as_str(), payment.payee.as_str())),
        app_hash: content.app_hash.as_deref(),
        custom: content.custom_message.as_deref(),
        template: template.map(|template| (template.as_ref(), content.substitutions.as_slice())),
    });
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
        to: verification.destination.clone(),
        code: Zeroizing::new(code.to_owned()),
        text: message.text,
        subject: message.subject,
        locale: message.locale_used.as_str().to_owned(),
        from: email.from,
        from_name: email.from_name,
        send_digits: content.send_digits.clone(),
        tags: content.tags.0.clone(),
        substitutions: email.substitutions,
        template_id: email.template_id,
        device_ip: None,
        expires_at: issued.expires_at.min(verification.expires_at),
    })
}

fn locale(verification: &Verification) -> Locale {
    let asked = verification.content.locale.as_deref();
    let asked = asked.and_then(|text| Locale::parse(text).ok());
    let of_country = || {
        let facts = verification.destination.phone().map(PhoneNumber::facts);
        let country = facts.and_then(|facts| facts.country);
        country.map_or_else(Locale::english, Locale::for_country)
    };
    asked.unwrap_or_else(of_country)
}
