//! The data key of a code that is checked goes.

use super::*;
use crate::flows::data_keys::tests::replace_key;
use crate::flows::reading::{Admitted, Prior, Reading};
use crate::flows::store_format;

/// What was read to let somebody in is older than the keys when the code is checked.
#[tokio::test]
async fn a_right_code_that_was_read_before_its_key_went_is_approved() {
    let world = World::new().await;
    let app = &world.app;
    store_format::check(app).await.unwrap();
    let started = world.start(&to_ada()).await.unwrap();
    let right = world.code(&started);
    let mut reading = Reading::new(app);
    let place = keys::verification(started.service, started.sid);
    reading.prefetch([place.bytes()]).await.unwrap();
    let account = Admitted {
        who: world.account,
        prior: Prior::of(reading),
    };
    replace_key(app).await;
    assert!(app.vault.data_keys().is_single());
    let guess = Guess {
        code: Some(&right),
        ..Guess::default()
    };
    let which = VerificationName::Sid(started.sid);
    let checked = verification::check(app, account, world.service, &which, &guess).await;
    assert_eq!(
        checked.unwrap().verification.status(app.clock.now()),
        VerificationStatus::Approved
    );
}
