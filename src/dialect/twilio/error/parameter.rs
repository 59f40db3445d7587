//! Every parameter that can be wrong, with the number that says so.

/// A parameter of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect::twilio) struct Parameter {
    /// As clients write it.
    pub(in crate::dialect::twilio) name: &'static str,
    /// The number of the error when it is not what it has to be.
    pub(super) code: u32,
}

macro_rules! parameters {
    ($($name:ident = $text:literal, $code:literal;)+) => {
        impl Parameter {
            $(pub(in crate::dialect::twilio) const $name: Self = Self { name: $text, code: $code };)+

            /// The names of all of them.
            pub(in crate::dialect::twilio) const NAMES: &[&str] = &[$($text),+];

            /// Whether a parameter has exactly this name.
            pub(in crate::dialect::twilio) fn is_name(text: &str) -> bool {
                matches!(text, $($text)|+)
            }
        }
    };
}

// 60306 covers the parameters that its description lists, 60314 those of a binding, 60373 and 60374 those of a page, 60209
// the name of a rate limit, 60200 those of a service and of what codes by message need, and 60300 the rest.
parameters! {
    AMOUNT = "Amount", 60300;
    API_KEY = "ApiKey", 60300;
    APP_HASH = "AppHash", 60300;
    AUTH_PAYLOAD = "AuthPayload", 60306;
    BINDING_ALG = "Binding.Alg", 60314;
    BINDING_PUBLIC_KEY = "Binding.PublicKey", 60314;
    BINDING_SECRET = "Binding.Secret", 60314;
    CERTIFICATE = "Certificate", 60300;
    CHANNEL = "Channel", 60300;
    CHANNEL_CONFIGURATION = "ChannelConfiguration", 60300;
    CHANNEL_DATA_TO = "ChannelData.To", 60300;
    CODE = "Code", 60200;
    CODE_LENGTH = "CodeLength", 60300;
    CONFIG_ALG = "Config.Alg", 60306;
    CONFIG_APP_ID = "Config.AppId", 60306;
    CONFIG_CODE_LENGTH = "Config.CodeLength", 60306;
    CONFIG_NOTIFICATION_PLATFORM = "Config.NotificationPlatform", 60306;
    CONFIG_NOTIFICATION_TOKEN = "Config.NotificationToken", 60306;
    CONFIG_CODES_PAUSED = "Config.CodesPaused", 60306;
    CONFIG_PUSH_PAUSED = "Config.PushPaused", 60306;
    CONFIG_SDK_VERSION = "Config.SdkVersion", 60306;
    CONFIG_SKEW = "Config.Skew", 60306;
    CONFIG_TIME_STEP = "Config.TimeStep", 60306;
    COUNTRY = "Country", 60200;
    CUSTOM_CODE = "CustomCode", 60300;
    CUSTOM_CODE_ENABLED = "CustomCodeEnabled", 60300;
    CUSTOM_FRIENDLY_NAME = "CustomFriendlyName", 60300;
    CUSTOM_MESSAGE = "CustomMessage", 60300;
    DATE_CREATED_AFTER = "DateCreatedAfter", 60300;
    DATE_CREATED_BEFORE = "DateCreatedBefore", 60300;
    DEFAULT_TEMPLATE_SID = "DefaultTemplateSid", 60300;
    DESCRIPTION = "Description", 60200;
    DESTINATION_PREFIX = "DestinationPrefix", 60300;
    DETAILS_FIELDS = "Details.Fields", 60306;
    DETAILS_FIELDS_LABEL = "Details.Fields label", 60306;
    DETAILS_FIELDS_VALUE = "Details.Fields value", 60306;
    DETAILS_MESSAGE = "Details.Message", 60306;
    DETAILS_NUMBER_MATCHING = "Details.NumberMatching", 60306;
    DEVICE_IP = "DeviceIp", 60300;
    DO_NOT_SHARE_WARNING_ENABLED = "DoNotShareWarningEnabled", 60300;
    DTMF_INPUT_REQUIRED = "DtmfInputRequired", 60300;
    ENABLE_SNA_CLIENT_TOKEN = "EnableSnaClientToken", 60300;
    EVENT_TYPES = "EventTypes", 60306;
    EXPIRATION_DATE = "ExpirationDate", 60306;
    FACTOR_FRIENDLY_NAME = "FactorFriendlyName", 60300;
    FACTOR_SID = "FactorSid", 60306;
    FACTOR_TYPE = "FactorType", 60300;
    FRIENDLY_NAME = "FriendlyName", 60306;
    HIDDEN_DETAILS = "HiddenDetails", 60306;
    IDENTITY = "Identity", 60306;
    INTERVAL = "Interval", 60200;
    KEY_ID = "KeyId", 60300;
    LAST_EVENT_ID = "LastEventId", 60300;
    LAST_EVENT_ID_HEADER = "Last-Event-ID", 60300;
    LOCALE = "Locale", 60300;
    LOOKUP_ENABLED = "LookupEnabled", 60300;
    MAILER_SID = "MailerSid", 60300;
    MAX = "Max", 60200;
    MESSAGING_SERVICE_SID = "MessagingServiceSid", 60200;
    METADATA = "Metadata", 60300;
    NEW_CODE_ON_RESEND = "NewCodeOnResend", 60300;
    ORDER = "Order", 60300;
    PAGE = "Page", 60306;
    PAGE_SIZE = "PageSize", 60373;
    PAGE_TOKEN = "PageToken", 60374;
    PAYEE = "Payee", 60300;
    PHONE_NUMBER = "PhoneNumber", 60200;
    PRIVATE_KEY = "PrivateKey", 60300;
    PSD2_ENABLED = "Psd2Enabled", 60300;
    PUSH_APN_CREDENTIAL_SID = "Push.ApnCredentialSid", 60200;
    PUSH_FCM_CREDENTIAL_SID = "Push.FcmCredentialSid", 60200;
    PUSH_INCLUDE_DATE = "Push.IncludeDate", 60300;
    PUSH_NUMBER_MATCHING = "Push.NumberMatching", 60300;
    QR_CODE = "QrCode", 60300;
    RATE_LIMITS = "RateLimits", 60200;
    RISK_CHECK = "RiskCheck", 60300;
    SANDBOX = "Sandbox", 60300;
    SECRET = "Secret", 60300;
    SEND_DIGITS = "SendDigits", 60300;
    SKIP_SMS_TO_LANDLINES = "SkipSmsToLandlines", 60300;
    SNA_CLIENT_TOKEN = "SnaClientToken", 60300;
    STATUS = "Status", 60300;
    TAGS = "Tags", 60300;
    TEAM_ID = "TeamId", 60300;
    TEMPLATE_CUSTOM_SUBSTITUTIONS = "TemplateCustomSubstitutions", 60300;
    TEMPLATE_SID = "TemplateSid", 60300;
    TEMPLATES = "Templates", 60251;
    TO = "To", 60200;
    TOPIC = "Topic", 60300;
    TOTP_CODE_LENGTH = "Totp.CodeLength", 60300;
    TOTP_ISSUER = "Totp.Issuer", 60300;
    TOTP_SKEW = "Totp.Skew", 60300;
    TOTP_TIME_STEP = "Totp.TimeStep", 60300;
    TTL = "Ttl", 60300;
    TTS_NAME = "TtsName", 60300;
    TYPE = "Type", 60300;
    UNIQUE_NAME = "UniqueName", 60209;
    VERIFICATION_SID = "VerificationSid", 60300;
    VERIFY_EVENT_SUBSCRIPTION_ENABLED = "VerifyEventSubscriptionEnabled", 60300;
    VERIFY_SERVICE_SID = "VerifyServiceSid", 60300;
    VERSION = "Version", 60300;
    WAIT = "Wait", 60300;
    WEBHOOK_URL = "WebhookUrl", 60300;
    WHATSAPP_FROM = "Whatsapp.From", 60300;
    WHATSAPP_MSG_SERVICE_SID = "Whatsapp.MsgServiceSid", 60300;
}
