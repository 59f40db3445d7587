//! A database whose standby takes over, behind servers that go on.

use std::thread;
use std::time::{Duration, Instant};

use countersign::crypto::totp::{TotpSecret, code_at};
use countersign::domain::entropy::SystemEntropy;
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::domain::totp_algorithm::TotpAlgorithm;

use super::database::Servers;
use super::process::{Process, stdout_of};
use crate::postgres_server::{Cluster, ClusterOptions, Replication};
use crate::server_kill::client::{Answer, Client};

/// What a code did that a standby has not heard of must not be done again with it, and nobody has to start anything anew.
#[test]
fn a_code_whose_use_was_lost_is_not_taken_again() {
    let Some(primary) = Cluster::own(ClusterOptions::default()) else {
        return;
    };
    let database = primary.database();
    let servers = Servers::on(&database);
    let (one, other) = (servers.data("one", 1), servers.data("other", 1));
    stdout_of(&one, &["store", "migrate", "--store", &servers.url]);
    let standby = primary.standby(Replication::Asynchronous);
    let both = servers.url.replace(
        &format!("127.0.0.1:{}", database.address().port()),
        &format!(
            "127.0.0.1:{},127.0.0.1:{}",
            database.address().port(),
            standby.address().port()
        ),
    );
    let arguments = ["--store", &both];
    let mut server = Process::start_with(&one, &arguments, &[]);
    let (sid, token) = server.credentials();
    let neighbour = Process::start_with(&other, &arguments, &[]);
    let credentials = format!("{sid}:{token}");
    let connect = |server: &Process| Client::connect(server.url.trim_start_matches("http://"), &credentials);
    let mut client = connect(&server);

    let form = [("FriendlyName", "Fail over")];
    let service = client.call("POST", "/v2/Services", &form).unwrap().expect(201);
    let service = service["sid"].as_str().unwrap();
    let holder = Holder::enrol(&mut client, service, "user-0001");

    standby.stop_following(&database);
    let used = holder.code();
    assert_eq!(holder.check(&mut client, &used).expect(201)["status"], "approved");
    primary.kill();
    standby.promote();
    let promoted = Instant::now();
    server.wait_for_log("has lost what it had acknowledged, so epoch 1 begins");
    let begun = promoted.elapsed();
    for server in [&server, &neighbour] {
        let mut client = connect(server);
        let answer = until_it_is_answered(|| holder.check(&mut client, &used));
        assert_eq!(answer.expect(201)["status"], "pending", "it was used");
    }
    eprintln!(
        "the epoch began after {begun:?}, codes were checked after {:?}",
        promoted.elapsed()
    );
    // What is made now is as good as ever.
    let mut client = connect(&neighbour);
    let holder = Holder::enrol(&mut client, service, "user-0002");
    assert_eq!(
        holder.check(&mut client, &holder.code()).expect(201)["status"],
        "approved"
    );
}

/// Whoever has an authenticator app.
pub(super) struct Holder {
    entity: String,
    factor: String,
    secret: TotpSecret,
}

impl Holder {
    /// The code of the step before is the proof.
    pub(super) fn enrol(client: &mut Client, service: &str, identity: &str) -> Self {
        let secret = TotpSecret::generate(TotpAlgorithm::Sha1, &SystemEntropy);
        let entity = format!("/v2/Services/{service}/Entities/{identity}");
        let base32 = secret.to_base32();
        let form = [
            ("FactorType", "totp"),
            ("FriendlyName", "app"),
            ("Binding.Secret", base32.as_str()),
            ("Config.CodeLength", "8"),
        ];
        let factor = client.call("POST", &format!("{entity}/Factors"), &form);
        let factor = factor.unwrap().expect(201)["sid"].as_str().unwrap().to_owned();
        let holder = Self {
            entity,
            factor,
            secret,
        };
        let path = format!("{}/Factors/{}", holder.entity, holder.factor);
        let proof = [("AuthPayload", &*holder.code_of(now() - 1))];
        let verified = client.call("POST", &path, &proof).unwrap().expect(200);
        assert_eq!(verified["status"], "verified");
        holder
    }

    /// The newest code that is live, and will be for a while.
    pub(super) fn code(&self) -> String {
        self.code_of(now() + 1)
    }

    fn code_of(&self, step: u64) -> String {
        code_at(&self.secret, TotpAlgorithm::Sha1, 8, step)
            .unwrap()
            .reveal()
            .to_owned()
    }

    pub(super) fn check(&self, client: &mut Client, code: &str) -> Answer {
        let form = [("FactorSid", self.factor.as_str()), ("AuthPayload", code)];
        client
            .call("POST", &format!("{}/Challenges", self.entity), &form)
            .unwrap()
    }
}

/// The time step.
fn now() -> u64 {
    SystemClock.now().seconds() / 30
}

/// The answer, once there is one: the database may be away for some seconds.
fn until_it_is_answered(mut call: impl FnMut() -> Answer) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = call();
        if answer.status != 503 {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", answer.body);
        thread::sleep(Duration::from_millis(50));
    }
}
