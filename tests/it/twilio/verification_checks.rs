//! Checks of codes: many at once count as many, the right one is right once, and nobody checks what is not his.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use countersign::domain::time::Timestamp;
use countersign::store::memory::MemoryStore;
use countersign::store::{
    Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Scan, Statistics, Store, StoreError,
};
use serde_json::json;

use crate::support::messages::another_code;
use crate::support::{Service, TestApp, all_at_once};

const NUMBER: &str = "+4915112345678";

/// `AuthQuake`: however many come at once, five are evaluated, and the right code among the late ones is too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_wrong_codes_at_once_are_five() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let created = service.send(&client, NUMBER, &[]).await.text("sid");
    let code = server.message_code(&created).await;
    let path = format!("{}/VerificationCheck", service.path);
    let wrong = another_code(&code);
    let guesses = (0..100).map(|_| client.posting(&path, &[("To", NUMBER), ("Code", &wrong)]));
    let answers = all_at_once(guesses).await;
    let evaluated = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(evaluated, 5);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.refused(429, 60202);
    }
    service.check(&client, NUMBER, &code).await.refused(429, 60202);
    let verification = server.verification(&created).await;
    assert_eq!(verification.codes[0].failures, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_right_code_a_hundred_times_at_once_is_right_once() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let created = service.send(&client, NUMBER, &[]).await.text("sid");
    let code = server.message_code(&created).await;
    let path = format!("{}/VerificationCheck", service.path);
    let guesses = (0..100).map(|nth| {
        let name = if nth % 2 == 0 {
            ("To", NUMBER)
        } else {
            ("VerificationSid", created.as_str())
        };
        client.posting(&path, &[name, ("Code", &code)])
    });
    let answers = all_at_once(guesses).await;
    let approved = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(approved, 1);
    for answer in answers {
        if answer.status == 201 {
            assert_eq!(answer.ok()["status"], "approved");
        } else {
            answer.refused(404, 20404);
        }
    }
}

#[tokio::test]
async fn a_check_says_of_what_it_is() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let created = service.send(&client, NUMBER, &[]).await.text("sid");
    let path = format!("{}/VerificationCheck", service.path);
    let before = server.dump().await;
    client
        .post(&path, &[("Code", "123456")])
        .await
        .refused(400, 60221);
    let refused = client.post(&path, &[("To", NUMBER)]).await;
    refused.refused(400, 60200).naming("Code");
    for bad in ["123", "12345678901", "abcdef", "12_34_56", "1234\u{b2}56"] {
        let refused = service.check(&client, NUMBER, bad).await;
        refused.refused(400, 60200).naming("Code");
    }
    for (name, value) in [
        ("VerificationSid", "VA0123456789abcdef0123456789abcdef"),
        ("To", "nobody"),
    ] {
        let refused = client.post(&path, &[(name, value), ("Code", "123456")]).await;
        refused.refused(400, 60200).naming(name);
    }
    for (name, value) in [
        ("VerificationSid", "VE0123456789abcdef0123456789abcdef"),
        ("To", "+4915112345679"),
        ("To", "nobody@example.com"),
    ] {
        let refused = client.post(&path, &[(name, value), ("Code", "123456")]).await;
        refused.refused(404, 20404);
    }
    assert_eq!(server.dump().await, before);
    // Blanks within a code are how people type it.
    let code = server.message_code(&created).await;
    let spaced = format!(" {} {}\n", &code[..3], &code[3..]);
    assert_eq!(
        service.check(&client, NUMBER, &spaced).await.ok()["status"],
        "approved"
    );
}

/// Neither another account nor another service learns anything of a verification, not even that there is one.
#[tokio::test]
async fn a_verification_is_checked_in_its_own_service_only() {
    let server = TestApp::new().await;
    let client = server.client();
    let stranger = server.another_account().await;
    let service = Service::create(&client).await;
    let other = Service::create(&client).await;
    let theirs = Service::create(&server.client_of(&stranger)).await;
    let created = service.send(&client, NUMBER, &[]).await.text("sid");
    let code = server.message_code(&created).await;
    let before = server.dump().await;
    for (client, place) in [
        (server.client(), &other),
        (server.client_of(&stranger), &theirs),
        (server.client_of(&stranger), &service),
    ] {
        for name in [("VerificationSid", created.as_str()), ("To", NUMBER)] {
            let path = format!("{}/VerificationCheck", place.path);
            client
                .post(path, &[name, ("Code", &code)])
                .await
                .refused(404, 20404);
        }
        for name in [created.as_str(), NUMBER] {
            let path = format!("{}/Verifications/{name}", place.path);
            client.get(&path).await.refused(404, 20404);
            client
                .post(&path, &[("Status", "approved")])
                .await
                .refused(404, 20404);
        }
    }
    assert_eq!(server.dump().await, before);
    assert_eq!(
        service.check(&client, NUMBER, &code).await.ok()["status"],
        "approved"
    );
}

/// A new verification, or another channel, gives no more guesses: fifty wrong codes a day is what a number has.
#[tokio::test]
async fn wrong_codes_add_up_over_verifications() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let mut evaluated = 0;
    for _ in 0..120 {
        let sent = service.send(&client, NUMBER, &[]).await;
        if sent.status == 201 {
            let code = server.message_code(&sent.text("sid")).await;
            for _ in 0..5 {
                let checked = service.check(&client, NUMBER, &another_code(&code)).await;
                match checked.status {
                    201 => evaluated += 1,
                    _ => assert_eq!((checked.status, checked.code()), (429, 60202)),
                }
            }
        }
        server.wait(600);
    }
    assert!((10..=50).contains(&evaluated), "{evaluated} in 20 hours");
}

#[tokio::test]
async fn the_attempts_of_a_verification_are_its_own_and_convert_with_it() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let created = service.send(&client, NUMBER, &[]).await.text("sid");
    server.wait(1);
    let again = service.send(&client, NUMBER, &[]).await.ok();
    service.send(&client, "+4915112345679", &[]).await.ok();
    let code = server.message_code(&created).await;
    service.check(&client, NUMBER, &code).await.ok();
    let mut expected: Vec<_> = again["send_code_attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|send| send["attempt_sid"].clone())
        .collect();
    expected.reverse();
    let found = |query: String| {
        let client = client.clone();
        async move {
            let listed = client.get(format!("/v2/Attempts?{query}")).await.ok();
            let items = listed["attempts"].as_array().unwrap().clone();
            items.iter().map(|item| item["sid"].clone()).collect::<Vec<_>>()
        }
    };
    let by_sid = format!("VerificationSid={created}");
    assert_eq!(found(by_sid.clone()).await, expected);
    assert_eq!(
        found(format!("{by_sid}&VerifyServiceSid={}", service.sid)).await,
        expected
    );
    assert_eq!(found(format!("{by_sid}&PageSize=1")).await, expected[..1]);
    assert_eq!(found(format!("{by_sid}&Channel=call")).await.len(), 0);
    let converted = found(format!("{by_sid}&Status=converted")).await;
    assert!(!converted.is_empty());
    // When the verification itself is gone, its attempts are still found.
    server.wait(2 * 24 * 3600);
    server.sweep().await;
    client
        .get(format!("{}/Verifications/{created}", service.path))
        .await
        .refused(404, 20404);
    assert_eq!(found(by_sid).await, expected);
    let summary = client
        .get("/v2/Attempts/Summary?DestinationPrefix=%2B49151")
        .await
        .ok();
    assert_eq!(summary["total_attempts"], json!(3));
}

/// A store that answers no read from the commit on that comes after `breaks` was set, until it is mended.
#[derive(Debug, Default)]
struct FailsAfterCommit {
    store: MemoryStore,
    breaks: AtomicBool,
    is_broken: AtomicBool,
}

impl FailsAfterCommit {
    fn require_whole(&self) -> Result<(), StoreError> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("broken for the test".to_owned()));
        }
        Ok(())
    }

    fn mend(&self) {
        self.breaks.store(false, Ordering::SeqCst);
        self.is_broken.store(false, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for FailsAfterCommit {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.require_whole()?;
        self.store.get(key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.require_whole()?;
        self.store.get_many(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        self.require_whole()?;
        self.store.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.store.commit(batch).await?;
        self.is_broken
            .fetch_or(self.breaks.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok(())
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        self.store.expired(now, after, limit).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        self.store.export().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }

    fn statistics(&self) -> Statistics {
        self.store.statistics()
    }
}

/// Who is told that a check failed sends it again, and one wrong code counts twice.
#[tokio::test]
async fn a_wrong_code_that_counts_is_answered_as_one_though_the_store_fails_then() {
    let store = Arc::new(FailsAfterCommit::default());
    let server = TestApp::on(store.clone()).await;
    let client = server.client();
    let service = Service::create(&client).await;
    let created = service.send(&client, NUMBER, &[]).await.text("sid");
    let wrong = another_code(&server.message_code(&created).await);
    store.breaks.store(true, Ordering::SeqCst);
    let checked = service.check(&client, NUMBER, &wrong).await;
    assert!(
        store.is_broken.load(Ordering::SeqCst),
        "the wrong code is committed"
    );
    store.mend();
    let checked = checked.ok();
    assert_eq!(checked["valid"], false, "{checked}");
    assert!(checked.get("codes_paused_until").is_none(), "{checked}");
    assert_eq!(server.verification(&created).await.codes[0].failures, 1);
}
