//! A server that is killed between two calls has counted what it answered, and keeps what it said of a user.

use countersign::dialect::zitadel::proto::zitadel::auth::v1::{
    GetMyPhoneRequest, GetMyPhoneResponse, SetMyPhoneRequest, SetMyPhoneResponse, VerifyMyPhoneRequest,
    VerifyMyPhoneResponse,
};
use tempfile::TempDir;
use tonic::Code;

use crate::doubles::watch;
use crate::serving::process::{Process, stdout_of};
use crate::support::rpc::{Answered, OWN_USER, RpcConnection};

/// A server, and a user of it.
struct Life {
    server: Process,
    caller: RpcConnection,
}

impl Life {
    async fn begin(data: &TempDir) -> Self {
        let server = Process::start(data.path());
        let caller = RpcConnection::to(&server.url).await;
        Self { server, caller }
    }

    /// What follows a kill (SIGKILL) right after an answer.
    async fn again(self, data: &TempDir) -> Self {
        self.server.signal("KILL");
        assert_eq!(self.server.wait(), None, "it was killed");
        Self::begin(data).await
    }

    async fn guess(&self, token: &str) -> Code {
        let asked = VerifyMyPhoneRequest {
            code: "WRONG0".to_owned(),
        };
        let path = format!("{OWN_USER}/VerifyMyPhone");
        let answer: Answered<VerifyMyPhoneResponse> = self.caller.call(&path, Some(token), &asked).await;
        answer.unwrap_err().0
    }
}

#[tokio::test]
async fn no_kill_gives_back_a_guess_or_loses_a_number() {
    let data = TempDir::new().unwrap();
    let life = Life::begin(&data).await;
    let token = stdout_of(data.path(), &["token", "create", "--user", "user-ada-01"]);
    let token = token.trim_end();
    watch::secret(token);
    let asked = SetMyPhoneRequest {
        phone: "+12015550100".to_owned(),
    };
    let path = format!("{OWN_USER}/SetMyPhone");
    let set: SetMyPhoneResponse = life.caller.call(&path, Some(token), &asked).await.unwrap();
    let mut life = life.again(&data).await;
    for _ in 0..5 {
        for _ in 0..2 {
            assert_eq!(life.guess(token).await, Code::InvalidArgument);
        }
        life = life.again(&data).await;
    }
    assert_eq!(life.guess(token).await, Code::ResourceExhausted);
    let path = format!("{OWN_USER}/GetMyPhone");
    let kept: GetMyPhoneResponse = life
        .caller
        .call(&path, Some(token), &GetMyPhoneRequest {})
        .await
        .unwrap();
    assert_eq!(kept.phone.unwrap().phone, "+12015550100");
    assert_eq!(kept.details, set.details, "guesses change nothing of the user");
}
