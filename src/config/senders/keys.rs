//! The table of what `[[senders]]` may say: one row for each key.
//!
//! A key without a row does not compile; the reference page of the manual is made of the rows.

use crate::delivery::codes::SenderKind;

/// One key of the tables.
#[derive(Debug)]
pub(in crate::config) struct SenderKey {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) kinds: &'static [SenderKind],
    /// Whether servers of one store may have different values.
    pub(in crate::config) is_own: bool,
    /// What it is, in Markdown.
    pub(in crate::config) doc: &'static str,
}

const EVERY: &[SenderKind] = &[
    SenderKind::Http,
    SenderKind::Log,
    SenderKind::Smpp,
    SenderKind::Smtp,
];
const HTTP: &[SenderKind] = &[SenderKind::Http];
const MAIL: &[SenderKind] = &[SenderKind::Smtp];
const MESSAGE_CENTRE: &[SenderKind] = &[SenderKind::Smpp];
const NETWORK: &[SenderKind] = &[SenderKind::Http, SenderKind::Smpp, SenderKind::Smtp];

macro_rules! keys {
    (@own own) => { true };
    (@own) => { false };
    ($($(#[doc = $doc:literal])+ $key:ident = $name:literal of $kinds:expr $(, $own:ident)?;)+) => {
        $(
            $(#[doc = $doc])+
            pub(in crate::config) static $key: SenderKey = SenderKey {
                name: $name,
                kinds: $kinds,
                is_own: keys!(@own $($own)?),
                doc: concat!($($doc),+),
            };
        )+

        /// Every key that exists, in the order of the reference.
        pub(in crate::config) static KEYS: &[&SenderKey] = &[$(&$key),+];
    };
}

keys! {
    /// 1 to 16 lower-case letters, digits and dashes. No two senders have the same. Must be given.
    NAME = "name" of EVERY;

    /// `http`, `log`, `smpp` or `smtp`. Must be given.
    KIND = "kind" of EVERY;

    /// What it sends by: `sms`, `call`, `email`, `whatsapp`, `rcs`, `sna`. Must be given for `http`. Default all that the
    /// kind can do (`smtp`: `email`; `smpp`: `sms`; `log`: all but `sna`).
    CHANNELS = "channels" of EVERY;

    /// The countries it sends to, as `["CH", "LI"]`. Default all.
    COUNTRIES = "countries" of EVERY;

    /// The messaging service (`MG..`) that stands for it in `MessagingConfigurations`.
    MESSAGING_SERVICE_SID = "messaging_service_sid" of EVERY;

    /// What one message costs, as `"0.0075"`; at most 6 digits behind the point. Together with `currency`.
    PRICE = "price" of EVERY;

    /// The currency of the price, as `"usd"`.
    CURRENCY = "currency" of EVERY;

    /// Where to: `https://..`; `smpps://HOST[:3550]` or `smpp://HOST[:2775]`; `smtps://HOST[:465]` or `smtp://HOST[:587]`.
    /// Must be given.
    URL = "url" of NETWORK;

    /// `true` lets codes leave this machine without TLS. Default `false`.
    ALLOW_PLAINTEXT = "allow_plaintext" of NETWORK;

    /// A PEM file with the authorities that are trusted instead of the system's.
    CA_FILE = "ca_file" of NETWORK, own;

    /// How long a try takes at most, 1 to 30 (`smpp`: each of connection and answer). Default 10.
    TIMEOUT_SECONDS = "timeout_seconds" of NETWORK;

    /// Whom messages come from that do not say so. Must be given for `smtp`.
    FROM = "from" of NETWORK;

    /// For Basic authentication, or the mail server.
    USERNAME = "username" of &[SenderKind::Http, SenderKind::Smtp];

    /// The file with the password alone; or `COUNTERSIGN_SENDER_<NAME>_SECRET`.
    PASSWORD_FILE = "password_file" of &[SenderKind::Smpp, SenderKind::Smtp], own;

    /// The file with the secret alone; or `COUNTERSIGN_SENDER_<NAME>_SECRET`.
    SECRET_FILE = "secret_file" of HTTP, own;

    /// `required` or, with `smtp://`, `none`. Default `required`.
    TLS = "tls" of MAIL;

    /// The name beside `from`.
    FROM_NAME = "from_name" of MAIL;

    /// What this server calls itself (EHLO). Default the machine's name.
    HELLO_NAME = "hello_name" of MAIL, own;

    /// `GET`, `PATCH`, `POST` or `PUT`. Default `POST`.
    METHOD = "method" of HTTP;

    /// A table of texts with places.
    HEADERS = "headers" of HTTP;

    /// The body as a form: a table of texts with places. There is one body at most: `form`, `json` or `text`.
    FORM = "form" of HTTP;

    /// The body as JSON: a table, or JSON in a text, with places.
    JSON = "json" of HTTP;

    /// The body as a text with places.
    TEXT = "text" of HTTP;

    /// Of `text`. Default `text/plain; charset=utf-8`; JSON and forms have their own.
    CONTENT_TYPE = "content_type" of HTTP;

    /// Places of your own, a table of texts.
    CONSTANTS = "constants" of HTTP;

    /// The statuses of success. Default every 2xx.
    SUCCESS_STATUSES = "success_statuses" of HTTP;

    /// A JSON pointer into the answer; `success_values` says what stands there after a success.
    SUCCESS_JSON = "success_json" of HTTP;

    /// What stands at `success_json` after a success.
    SUCCESS_VALUES = "success_values" of HTTP;

    /// What stands at `success_json` if it may work later.
    RETRY_VALUES = "retry_values" of HTTP;

    /// A JSON pointer to the provider's id of the message.
    REFERENCE_JSON = "reference_json" of HTTP;

    /// Whom the message centre knows this server as; at most 15 characters. Must be given.
    SYSTEM_ID = "system_id" of MESSAGE_CENTRE;

    /// What the message centre calls the type of this server; at most 12 characters.
    SYSTEM_TYPE = "system_type" of MESSAGE_CENTRE;

    /// `transmitter` or `transceiver`. Default `transmitter`.
    BIND = "bind" of MESSAGE_CENTRE;

    /// `gsm7` (data coding 0), `latin1` (3) or `ucs2` (8, for every text). Default `gsm7`.
    ALPHABET = "alphabet" of MESSAGE_CENTRE;

    /// `parts` or `payload` (the parameter `message_payload`). Default `parts`.
    LONG_TEXT = "long_text" of MESSAGE_CENTRE;

    /// The type of number of all senders, 0 to 6. Together with `from_npi`. Default by the form of `from`: a number, a
    /// short code, a name.
    FROM_TON = "from_ton" of MESSAGE_CENTRE;

    /// The numbering plan of all senders, 0 to 18. Together with `from_ton`.
    FROM_NPI = "from_npi" of MESSAGE_CENTRE;

    /// How many messages are under way at the same time, 1 to 1000. Default 10.
    WINDOW = "window" of MESSAGE_CENTRE;

    /// After which silence the message centre is asked whether it is there, 5 to 3600. Default 30.
    ENQUIRE_LINK_SECONDS = "enquire_link_seconds" of MESSAGE_CENTRE;
}
