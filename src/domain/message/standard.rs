//! The standard wording of each channel.

use zeroize::Zeroizing;

use super::super::channel::Channel;
use super::super::text::shown;
use super::MessageRequest;
use super::fill::fill;
use super::segments::segments;
use super::words::Words;

/// The message of a code, or of a payment if there is one.
pub(super) fn text(request: &MessageRequest<'_>, words: &Words) -> Zeroizing<String> {
    match request.channel {
        Channel::Call => speech(request, words),
        Channel::Email => email(request, words),
        Channel::Rcs | Channel::Sna | Channel::Whatsapp => written(request, words, words.named),
        Channel::Sms => sms(request, words),
    }
}

/// The subject of an e-mail. It never holds the code: mail clients show subjects on locked screens.
pub(super) fn subject(request: &MessageRequest<'_>, words: &Words) -> String {
    let name = if name_holds_code(request) {
        ""
    } else {
        request.friendly_name
    };
    let subject = fill(words.subject, |place| (place == "name").then_some(name));
    shown(&subject).collect::<String>().trim().to_owned()
}

/// The code for an engine that speaks: its characters one by one, or it would read a great number.
pub(super) fn spoken(code: &str) -> Zeroizing<String> {
    // Each character and two more behind it.
    let mut spoken = Zeroizing::new(String::with_capacity(code.len() * 3));
    for (index, c) in code.chars().enumerate() {
        if index > 0 {
            spoken.push_str(", ");
        }
        spoken.push(c);
    }
    spoken
}

/// A text message with the mark and the hash by which an Android app knows it.
pub(super) fn enclosed(request: &MessageRequest<'_>, text: Zeroizing<String>) -> Zeroizing<String> {
    match request.app_hash {
        Some(hash) if request.channel == Channel::Sms => joined(&["<#> ", &text, "\n", hash]),
        _ => text,
    }
}

/// The longest wording that fits one text message.
fn sms(request: &MessageRequest<'_>, words: &Words) -> Zeroizing<String> {
    let form = |form| enclosed(request, written(request, words, form));
    if request.psd2.is_some() {
        return form(words.named);
    }
    let mut text = form(words.named);
    for shorter in [words.plain, words.short] {
        if segments(&text).segments == 1 {
            break;
        }
        text = form(shorter);
    }
    text
}

/// What somebody reads, in this form of the sentence with the code.
fn written(request: &MessageRequest<'_>, words: &Words, form: &'static str) -> Zeroizing<String> {
    let code = sentence(request, words, form, request.code);
    let payment = payment(request, words);
    let mut sentences: Vec<&str> = Vec::with_capacity(5);
    if let Some(payment) = &payment {
        sentences.extend([payment.as_str(), words.stop]);
    }
    sentences.push(&code);
    if request.warning {
        sentences.extend([words.stop, words.warning]);
    }
    joined(&sentences)
}

/// What an engine says: the code twice.
fn speech(request: &MessageRequest<'_>, words: &Words) -> Zeroizing<String> {
    let spoken = spoken(request.code);
    let code = sentence(request, words, words.named, &spoken);
    let payment = payment(request, words);
    let mut sentences: Vec<&str> = Vec::with_capacity(9);
    if let Some(payment) = &payment {
        sentences.extend([payment.as_str(), words.stop]);
    }
    sentences.extend([
        code.as_str(),
        words.stop,
        words.again,
        " ",
        &spoken,
        words.stop.trim_end(),
    ]);
    if request.warning {
        sentences.extend([" ", words.warning]);
    }
    joined(&sentences)
}

/// A line for each sentence.
fn email(request: &MessageRequest<'_>, words: &Words) -> Zeroizing<String> {
    let code = sentence(request, words, words.named, request.code);
    let payment = payment(request, words);
    let mut lines: Vec<&str> = Vec::with_capacity(6);
    if let Some(payment) = &payment {
        lines.extend([payment.as_str(), "\n\n"]);
    }
    lines.extend([code.as_str(), "\n"]);
    if request.warning {
        lines.extend(["\n", words.warning, "\n"]);
    }
    joined(&lines)
}

/// The sentence with the code. A name that holds the code's characters is left out: nobody should wonder which it is.
fn sentence(
    request: &MessageRequest<'_>,
    words: &Words,
    form: &'static str,
    code: &str,
) -> Zeroizing<String> {
    let unfit = request.friendly_name.is_empty() || name_holds_code(request);
    let form = if form == words.named && unfit {
        words.plain
    } else {
        form
    };
    fill(form, |place| request.value(place, code))
}

fn name_holds_code(request: &MessageRequest<'_>) -> bool {
    !request.code.is_empty() && request.friendly_name.contains(request.code)
}

fn payment(request: &MessageRequest<'_>, words: &Words) -> Option<Zeroizing<String>> {
    request.psd2?;
    Some(fill(words.payment, |place| request.value(place, "")))
}

/// The parts one after another, in a text that is not moved while it grows.
fn joined(parts: &[&str]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
    for part in parts {
        text.push_str(part);
    }
    text
}
