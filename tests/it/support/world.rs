//! What tests begin with: a service, and users with verified factors.

use countersign::app::Policy;
use countersign::domain::push_guard::PushLimits;

use super::{Answer, Authenticator, Client, Device, TestApp};

/// A service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) sid: String,
    pub(crate) path: String,
}

/// A user of a service.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) service: Service,
    pub(crate) identity: String,
    /// The path of the entity.
    pub(crate) path: String,
}

/// A challenge that asks for a number, and what the login page shows.
#[derive(Clone, Debug)]
pub(crate) struct NumberChallenge {
    pub(crate) path: String,
    pub(crate) number: String,
}

impl NumberChallenge {
    /// A number of the right form that is not the right one.
    pub(crate) fn wrong(&self, nth: usize) -> String {
        let (digits, numbers) = (
            self.number.len(),
            10_usize.pow(u32::try_from(self.number.len()).unwrap()),
        );
        let right: usize = self.number.parse().unwrap();
        format!("{:0digits$}", (right + 1 + nth % (numbers - 1)) % numbers)
    }
}

/// A TOTP factor, and the app that shows its codes.
#[derive(Clone, Debug)]
pub(crate) struct Totp {
    pub(crate) sid: String,
    pub(crate) path: String,
    pub(crate) app: Authenticator,
    /// Where its challenges are created.
    pub(crate) challenges: String,
}

impl Service {
    /// A new service.
    pub(crate) async fn create(client: &Client<'_>) -> Self {
        Self::create_with(client, &[]).await
    }

    /// A new service with these settings.
    pub(crate) async fn create_with(client: &Client<'_>, settings: &[(&str, &str)]) -> Self {
        let form = [&[("FriendlyName", "Owl Bank")], settings].concat();
        let sid = client.post("/v2/Services", &form).await.ok()["sid"]
            .as_str()
            .unwrap()
            .to_owned();
        Self {
            path: format!("/v2/Services/{sid}"),
            sid,
        }
    }

    /// A user, who need not exist yet.
    pub(crate) fn user(&self, identity: &str) -> User {
        let path = format!("{}/Entities/{identity}", self.path);
        User {
            service: self.clone(),
            identity: identity.to_owned(),
            path,
        }
    }
}

impl User {
    /// The first user of a new service.
    pub(crate) async fn create(client: &Client<'_>) -> Self {
        Service::create(client).await.user("user-0001")
    }

    /// An unverified TOTP factor with a secret that nobody else has.
    pub(crate) async fn unverified_totp(
        &self,
        client: &Client<'_>,
        name: &str,
        form: &[(&str, &str)],
    ) -> Totp {
        let secret = format!("the secret of {name} of {}", self.identity);
        let mut app = Authenticator::new(secret.as_bytes());
        let secret = app.base32();
        let base = [
            ("FriendlyName", name),
            ("FactorType", "totp"),
            ("Binding.Secret", secret.as_str()),
        ];
        let answer = client
            .post(format!("{}/Factors", self.path), &[&base, form].concat())
            .await;
        let body = answer.ok();
        let config = &body["config"];
        app.algorithm = match config["alg"].as_str().unwrap() {
            "sha256" => "sha256",
            "sha512" => "sha512",
            _ => "sha1",
        };
        app.digits = u32::try_from(config["code_length"].as_u64().unwrap()).unwrap();
        app.period = config["time_step"].as_u64().unwrap();
        let sid = body["sid"].as_str().unwrap().to_owned();
        let challenges = format!("{}/Challenges", self.path);
        Totp {
            path: format!("{}/Factors/{sid}", self.path),
            sid,
            app,
            challenges,
        }
    }

    /// A verified TOTP factor. The code that proved it was that of two steps before now.
    pub(crate) async fn totp(&self, server: &TestApp, client: &Client<'_>) -> Totp {
        self.totp_with(server, client, "app", &[]).await
    }

    /// The same with a name and a configuration.
    pub(crate) async fn totp_with(
        &self,
        server: &TestApp,
        client: &Client<'_>,
        name: &str,
        form: &[(&str, &str)],
    ) -> Totp {
        let totp = self.unverified_totp(client, name, form).await;
        let answer = totp.verify(client, &totp.app.code(server)).await;
        assert_eq!(answer.ok()["status"], "verified");
        server.wait(2 * totp.app.period);
        totp
    }

    /// A verified push factor.
    pub(crate) async fn device(&self, server: &TestApp, client: &Client<'_>) -> Device {
        let mut device = Device::new();
        device.enrol(client, &self.path).await.ok();
        assert_eq!(device.verify(server).await.ok()["status"], "verified");
        device
    }

    /// The answer to a new challenge of a push factor that asks for a number of so many digits.
    pub(crate) async fn number_challenge(
        &self,
        client: &Client<'_>,
        device: &Device,
        digits: &str,
    ) -> NumberChallenge {
        let form = [
            ("FactorSid", device.factor.as_str()),
            ("Details.Message", "Log in?"),
            ("Details.NumberMatching", digits),
        ];
        let created = client.post(format!("{}/Challenges", self.path), &form).await.ok();
        NumberChallenge {
            path: format!("{}/Challenges/{}", self.path, created["sid"].as_str().unwrap()),
            number: created["number_matching"]["number"].as_str().unwrap().to_owned(),
        }
    }

    /// The path of a new challenge of a push factor.
    pub(crate) async fn push_challenge(&self, client: &Client<'_>, device: &Device) -> String {
        let form = [
            ("FactorSid", device.factor.as_str()),
            ("Details.Message", "Log in?"),
        ];
        let answer = client.post(format!("{}/Challenges", self.path), &form).await;
        format!(
            "{}/Challenges/{}",
            self.path,
            answer.ok()["sid"].as_str().unwrap()
        )
    }
}

impl Totp {
    /// Tries to prove the enrolment.
    pub(crate) async fn verify(&self, client: &Client<'_>, code: &str) -> Answer {
        client.post(&self.path, &[("AuthPayload", code)]).await
    }

    /// A challenge that comes with its code.
    pub(crate) async fn check(&self, client: &Client<'_>, code: &str) -> Answer {
        client
            .post(
                &self.challenges,
                &[("FactorSid", &self.sid), ("AuthPayload", code)],
            )
            .await
    }

    /// The path of a challenge without a code.
    pub(crate) async fn challenge(&self, client: &Client<'_>) -> String {
        let answer = client.post(&self.challenges, &[("FactorSid", &self.sid)]).await;
        format!("{}/{}", self.challenges, answer.ok()["sid"].as_str().unwrap())
    }
}

/// Answers a challenge with a code.
pub(crate) async fn answer(client: &Client<'_>, challenge: &str, code: &str) -> Answer {
    client.post(challenge, &[("AuthPayload", code)]).await
}

/// The last part of a path: the identifier of what is there.
pub(crate) fn sid_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// The usual policy with the largest limits on pushes there can be, for tests that are about something else.
pub(crate) fn with_many_pushes() -> Policy {
    Policy {
        push: PushLimits {
            max_pending: PushLimits::LARGEST,
            max_since_success: PushLimits::LARGEST,
            ..PushLimits::default()
        },
        ..crate::doubles::policy()
    }
}

/// The usual policy with a limit on creations.
pub(crate) fn with_creation_limit(limit: u32) -> Policy {
    Policy {
        entity_creations_per_second: Some(limit),
        ..crate::doubles::policy()
    }
}
