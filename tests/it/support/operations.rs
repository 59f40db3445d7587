//! One sample request for each operation: what tests that are about all operations walk.

use std::sync::atomic::{AtomicU32, Ordering};

use countersign::dialect::twilio::{OPERATIONS, Operation};

use super::credentials::{apn_form, create_credential, fcm_form};
use super::device::borrowed;
use super::world::{Totp, sid_of};
use super::{Answer, Client, Device, Service, TestApp, User};

/// One of each thing that a path can name, all of one account.
#[derive(Clone, Debug)]
pub(crate) struct Everything {
    pub(crate) user: User,
    pub(crate) totp: Totp,
    pub(crate) device: Device,
    /// A pending challenge of the push factor.
    pub(crate) challenge: String,
    pub(crate) access_token: String,
    pub(crate) webhook: String,
    /// Apple's key, which no service uses.
    pub(crate) credential: String,
    /// Google's key, which no service uses.
    pub(crate) fcm_credential: String,
    /// A pending verification, by its SID.
    pub(crate) verification: String,
    /// The attempt to send its code.
    pub(crate) attempt: String,
    pub(crate) rate_limit: String,
    pub(crate) bucket: String,
    /// The country of a messaging configuration.
    pub(crate) country: String,
    /// A number of the safe list.
    pub(crate) safe_number: String,
    /// Where the verification's code went.
    pub(crate) to: String,
}

/// Whom an operation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Accounts only.
    Accounts,
    /// Accounts, and devices as far as their own factor goes.
    AccountsAndDevices,
    /// Accounts, and whoever has an access token for the service.
    AccountsAndEnrolment,
}

/// Whether an operation says if a code is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codes {
    /// It never looks at one.
    Ignored,
    /// It does for unverified factors.
    OfUnverified,
    /// It does for verified factors.
    OfVerified,
    /// It says that of codes that were sent, and looks at no factor's.
    OfMessages,
}

/// An operation with a request that its owner may make.
pub(crate) struct Sample {
    pub(crate) operation: Operation,
    pub(crate) audience: Audience,
    pub(crate) codes: Codes,
    pub(crate) form: fn(&Everything) -> Vec<(&'static str, String)>,
}

impl Sample {
    /// Sends the request about these things.
    pub(crate) async fn send(&self, client: &Client<'_>, about: &Everything) -> Answer {
        self.send_to(client, about, &about.path(self.operation.path))
            .await
    }

    /// Sends the request to another path.
    pub(crate) async fn send_to(&self, client: &Client<'_>, about: &Everything, path: &str) -> Answer {
        let form = (self.form)(about);
        client
            .request(self.operation.method, path, &borrowed(&form))
            .await
    }
}

impl Everything {
    pub(crate) async fn create(server: &TestApp, client: &Client<'_>) -> Self {
        let user = Service::create(client).await.user("user-0001");
        let totp = user.totp(server, client).await;
        let device = user.device(server, client).await;
        let challenge = user.push_challenge(client, &device).await;
        let form = [("Identity", "user-0001"), ("FactorType", "push")];
        let access_token = client
            .post(format!("{}/AccessTokens", user.service.path), &form)
            .await;
        let form = [
            ("FriendlyName", "hook"),
            ("EventTypes", "*"),
            ("WebhookUrl", "https://owlbank.example/hook"),
        ];
        let webhook = client
            .post(format!("{}/Webhooks", user.service.path), &form)
            .await;
        let rate_limits = format!("{}/RateLimits", user.service.path);
        let rate_limit = client.post(&rate_limits, &[("UniqueName", "session")]).await;
        let rate_limit = rate_limit.text("sid");
        let form = [("Max", "5"), ("Interval", "60")];
        let bucket = client
            .post(format!("{rate_limits}/{rate_limit}/Buckets"), &form)
            .await;
        let form = [("Country", "CA"), ("MessagingServiceSid", MESSAGING_SERVICE)];
        let configurations = format!("{}/MessagingConfigurations", user.service.path);
        let configuration = client.post(configurations, &form).await;
        let safe_number = next_phone_number();
        let form = [("PhoneNumber", safe_number.as_str())];
        client.post("/v2/SafeList/Numbers", &form).await.ok();
        let to = next_phone_number();
        let verification = user.service.send(client, &to, &[]).await.ok();
        let attempt = &verification["send_code_attempts"][0]["attempt_sid"];
        Self {
            attempt: attempt.as_str().unwrap().to_owned(),
            verification: verification["sid"].as_str().unwrap().to_owned(),
            bucket: bucket.text("sid"),
            country: configuration.text("country"),
            rate_limit,
            safe_number,
            to,
            access_token: access_token.text("sid"),
            webhook: webhook.text("sid"),
            credential: create_credential(client, &apn_form()).await,
            fcm_credential: create_credential(client, &fcm_form()).await,
            user,
            totp,
            device,
            challenge,
        }
    }

    /// The path that leads to these things. Factors are the push factor.
    pub(crate) fn path(&self, template: &str) -> String {
        let names = [
            ("{ServiceSid}", self.user.service.sid.as_str()),
            ("{Identity}", &self.user.identity),
            ("{FactorSid}", &self.device.factor),
            ("{ChallengeSid}", sid_of(&self.challenge)),
            ("{AccessTokenSid}", &self.access_token),
            ("{WebhookSid}", &self.webhook),
            ("{FormType}", "form-push"),
            ("{CredentialSid}", &self.credential),
            ("{FcmCredentialSid}", &self.fcm_credential),
            ("{RateLimitSid}", &self.rate_limit),
            ("{VerificationSid}", &self.verification),
            ("{AttemptSid}", &self.attempt),
            ("{BucketSid}", &self.bucket),
            ("{Country}", &self.country),
            ("{PhoneNumber}", &self.safe_number),
            ("{To}", &self.to),
        ];
        names
            .into_iter()
            .fold(template.to_owned(), |path, (name, value)| {
                path.replace(name, value)
            })
    }
}

/// A sample of every operation. Fails when the server has one that is not here.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn samples() -> Vec<Sample> {
    use Audience::{Accounts, AccountsAndDevices, AccountsAndEnrolment};
    use Codes::{Ignored, OfMessages, OfUnverified, OfVerified};
    const SERVICE: &str = "/v2/Services/{ServiceSid}";
    const CREDENTIALS: &str = "/v1/Credentials";
    const ENTITY: &str = "/v2/Services/{ServiceSid}/Entities/{Identity}";
    const RATE_LIMIT: &str = "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}";
    const CONFIGURATIONS: &str = "/v2/Services/{ServiceSid}/MessagingConfigurations";
    const VERIFICATION: &str = "/v2/Services/{ServiceSid}/Verifications/{VerificationSid}";
    const ATTEMPTS: &str = "/v2/Attempts";
    const SAFE_LIST: &str = "/v2/SafeList/Numbers";
    type Row = (
        &'static str,
        &'static str,
        &'static str,
        Audience,
        Codes,
        fn(&Everything) -> Form,
    );
    let rows: [Row; 60] = [
        ("POST", "", "/v2/Services", Accounts, Ignored, |_| {
            text(&[("FriendlyName", "Another")])
        }),
        ("GET", "", "/v2/Services", Accounts, Ignored, nothing),
        ("POST", SERVICE, "", Accounts, Ignored, |_| {
            text(&[("FriendlyName", "Changed")])
        }),
        ("GET", SERVICE, "", AccountsAndDevices, Ignored, nothing),
        ("DELETE", SERVICE, "", Accounts, Ignored, nothing),
        ("POST", SERVICE, "/Entities", Accounts, Ignored, |_| {
            text(&[("Identity", "user-0002")])
        }),
        ("GET", SERVICE, "/Entities", Accounts, Ignored, nothing),
        ("GET", ENTITY, "", Accounts, Ignored, nothing),
        ("DELETE", ENTITY, "", Accounts, Ignored, nothing),
        ("POST", ENTITY, "/Factors", AccountsAndEnrolment, Ignored, |_| {
            Device::new().enrolment()
        }),
        ("GET", ENTITY, "/Factors", Accounts, Ignored, nothing),
        (
            "POST",
            ENTITY,
            "/Factors/{FactorSid}",
            AccountsAndDevices,
            OfUnverified,
            |_| text(&[("FriendlyName", "Changed")]),
        ),
        (
            "GET",
            ENTITY,
            "/Factors/{FactorSid}",
            AccountsAndDevices,
            Ignored,
            nothing,
        ),
        (
            "DELETE",
            ENTITY,
            "/Factors/{FactorSid}",
            AccountsAndDevices,
            Ignored,
            nothing,
        ),
        (
            "GET",
            ENTITY,
            "/Factors/{FactorSid}/Events",
            AccountsAndDevices,
            Ignored,
            nothing,
        ),
        ("POST", ENTITY, "/Challenges", Accounts, OfVerified, |all| {
            vec![
                ("FactorSid", all.device.factor.clone()),
                ("Details.Message", "Pay?".to_owned()),
            ]
        }),
        ("GET", ENTITY, "/Challenges", AccountsAndDevices, Ignored, nothing),
        (
            "POST",
            ENTITY,
            "/Challenges/{ChallengeSid}",
            AccountsAndDevices,
            OfVerified,
            |_| text(&[("Metadata", r#"{"os":"Android"}"#)]),
        ),
        (
            "GET",
            ENTITY,
            "/Challenges/{ChallengeSid}",
            AccountsAndDevices,
            Ignored,
            nothing,
        ),
        (
            "POST",
            ENTITY,
            "/Challenges/{ChallengeSid}/Notifications",
            Accounts,
            Ignored,
            |_| text(&[("Ttl", "60")]),
        ),
        ("POST", SERVICE, "/AccessTokens", Accounts, Ignored, |_| {
            text(&[("Identity", "user-0001"), ("FactorType", "push")])
        }),
        (
            "GET",
            SERVICE,
            "/AccessTokens/{AccessTokenSid}",
            Accounts,
            Ignored,
            nothing,
        ),
        ("POST", SERVICE, "/Webhooks", Accounts, Ignored, |_| {
            text(&[
                ("FriendlyName", "x"),
                ("EventTypes", "*"),
                ("WebhookUrl", "https://x.example"),
            ])
        }),
        ("GET", SERVICE, "/Webhooks", Accounts, Ignored, nothing),
        (
            "POST",
            SERVICE,
            "/Webhooks/{WebhookSid}",
            Accounts,
            Ignored,
            |_| text(&[("Status", "disabled")]),
        ),
        (
            "GET",
            SERVICE,
            "/Webhooks/{WebhookSid}",
            Accounts,
            Ignored,
            nothing,
        ),
        (
            "DELETE",
            SERVICE,
            "/Webhooks/{WebhookSid}",
            Accounts,
            Ignored,
            nothing,
        ),
        ("POST", SERVICE, "/Verifications", Accounts, Ignored, |_| {
            vec![("To", next_phone_number()), ("Channel", "sms".to_owned())]
        }),
        ("POST", VERIFICATION, "", Accounts, Ignored, |_| {
            text(&[("Status", "canceled")])
        }),
        ("GET", VERIFICATION, "", Accounts, Ignored, nothing),
        ("DELETE", SERVICE, "/Locks/{To}", Accounts, Ignored, nothing),
        (
            "POST",
            SERVICE,
            "/VerificationCheck",
            Accounts,
            OfMessages,
            |all| {
                vec![
                    ("VerificationSid", all.verification.clone()),
                    ("Code", "000000".to_owned()),
                ]
            },
        ),
        ("GET", ATTEMPTS, "", Accounts, Ignored, nothing),
        ("GET", ATTEMPTS, "/Summary", Accounts, Ignored, nothing),
        ("GET", ATTEMPTS, "/{AttemptSid}", Accounts, Ignored, nothing),
        ("GET", "", "/v2/Templates", Accounts, Ignored, nothing),
        ("POST", SERVICE, "/RateLimits", Accounts, Ignored, |_| {
            text(&[("UniqueName", "address"), ("Description", "IPv4 or IPv6")])
        }),
        ("GET", SERVICE, "/RateLimits", Accounts, Ignored, nothing),
        ("POST", RATE_LIMIT, "", Accounts, Ignored, |_| {
            text(&[("Description", "Changed")])
        }),
        ("GET", RATE_LIMIT, "", Accounts, Ignored, nothing),
        ("DELETE", RATE_LIMIT, "", Accounts, Ignored, nothing),
        ("POST", RATE_LIMIT, "/Buckets", Accounts, Ignored, |_| {
            text(&[("Max", "50"), ("Interval", "3600")])
        }),
        ("GET", RATE_LIMIT, "/Buckets", Accounts, Ignored, nothing),
        (
            "POST",
            RATE_LIMIT,
            "/Buckets/{BucketSid}",
            Accounts,
            Ignored,
            |_| text(&[("Max", "6")]),
        ),
        (
            "GET",
            RATE_LIMIT,
            "/Buckets/{BucketSid}",
            Accounts,
            Ignored,
            nothing,
        ),
        (
            "DELETE",
            RATE_LIMIT,
            "/Buckets/{BucketSid}",
            Accounts,
            Ignored,
            nothing,
        ),
        ("POST", CONFIGURATIONS, "", Accounts, Ignored, |_| {
            text(&[("Country", "all"), ("MessagingServiceSid", MESSAGING_SERVICE)])
        }),
        ("GET", CONFIGURATIONS, "", Accounts, Ignored, nothing),
        ("POST", CONFIGURATIONS, "/{Country}", Accounts, Ignored, |_| {
            text(&[("MessagingServiceSid", MESSAGING_SERVICE)])
        }),
        ("GET", CONFIGURATIONS, "/{Country}", Accounts, Ignored, nothing),
        ("DELETE", CONFIGURATIONS, "/{Country}", Accounts, Ignored, nothing),
        ("POST", SAFE_LIST, "", Accounts, Ignored, |_| {
            vec![("PhoneNumber", next_phone_number())]
        }),
        ("GET", SAFE_LIST, "/{PhoneNumber}", Accounts, Ignored, nothing),
        ("DELETE", SAFE_LIST, "/{PhoneNumber}", Accounts, Ignored, nothing),
        ("GET", "", "/v2/Forms/{FormType}", Accounts, Ignored, nothing),
        ("POST", "", CREDENTIALS, Accounts, Ignored, |_| apn_form()),
        ("GET", "", CREDENTIALS, Accounts, Ignored, nothing),
        ("POST", CREDENTIALS, "/{CredentialSid}", Accounts, Ignored, |_| {
            text(&[("FriendlyName", "Changed")])
        }),
        ("GET", CREDENTIALS, "/{CredentialSid}", Accounts, Ignored, nothing),
        (
            "DELETE",
            CREDENTIALS,
            "/{CredentialSid}",
            Accounts,
            Ignored,
            nothing,
        ),
    ];
    let listed = rows.map(|(method, parent, path, audience, codes, form)| {
        ((method, format!("{parent}{path}")), (audience, codes, form))
    });
    assert_eq!(OPERATIONS.len(), listed.len(), "every operation is listed once");
    OPERATIONS
        .iter()
        .map(|operation| {
            let matches = |((method, path), _): &&((&str, String), _)| {
                *method == operation.method && path == operation.path
            };
            let found = listed.iter().find(matches);
            let (_, (audience, codes, form)) =
                found.unwrap_or_else(|| panic!("{operation:?} is not listed: who may use it?"));
            Sample {
                operation: *operation,
                audience: *audience,
                codes: *codes,
                form: *form,
            }
        })
        .collect()
}

/// The messaging service of the samples.
pub(crate) const MESSAGING_SERVICE: &str = "MG0123456789abcdef0123456789abcdef";

/// A phone number that no test has used so far.
fn next_phone_number() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("+4915112{:06}", NEXT.fetch_add(1, Ordering::Relaxed))
}

type Form = Vec<(&'static str, String)>;

fn nothing(_: &Everything) -> Form {
    Vec::new()
}

fn text(form: &[(&'static str, &str)]) -> Form {
    form.iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}
