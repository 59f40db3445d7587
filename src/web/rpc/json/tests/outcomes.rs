//! What the server learns of an answer in JSON.

use tonic::Code;

use super::*;
use crate::dialect::Stranger;

const VERIFY: &str = "/auth/v1/users/me/phone/_verify";

/// The answer to a request that the service refuses with `status`.
async fn refused(status: &Status) -> Response<Body> {
    let world = JsonWorld::new();
    *world.answer.lock().unwrap() = Err(status.clone());
    let Ok(response) = world.json.oneshot(request("POST", VERIFY, "{}")).await;
    response
}

#[tokio::test]
async fn who_is_not_known_is_a_stranger_and_nobody_else() {
    for code in (1..=16).map(Code::from_i32) {
        let answer = refused(&Status::new(code, "so it is")).await;
        let stranger = answer.extensions().get::<Stranger>().is_some();
        assert_eq!(stranger, code == Code::Unauthenticated, "{code}");
    }
}
