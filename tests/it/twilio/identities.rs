//! What users may be called: as Twilio has it, or as the operator allows.

use countersign::app::Policy;
use countersign::domain::text::IdentityRule;
use countersign::flows::check_store::check_store;
use countersign::flows::store_format;

use crate::support::stores::new_store;
use crate::support::{Service, TestApp};

fn with(identities: IdentityRule) -> Policy {
    Policy {
        identities,
        ..crate::doubles::policy()
    }
}

#[tokio::test]
async fn short_names_and_addresses_are_taken_where_the_operator_allows_them() {
    let server = TestApp::with(new_store().await, with(IdentityRule::Wide)).await;
    let client = server.client();
    let service = Service::create(&client).await;
    let totp = [("FriendlyName", "Phone"), ("FactorType", "totp")];
    for (identity, in_path) in [
        ("ada", "ada"),
        ("7", "7"),
        ("ada@example.com", "ada%40example.com"),
        ("ada+owl@example.com", "ada%2Bowl%40example.com"),
        ("user-0001", "user-0001"),
    ] {
        let path = format!("{}/Entities/{in_path}", service.path);
        let factor = client.post(format!("{path}/Factors"), &totp).await.ok();
        assert_eq!(factor["identity"], identity);
        assert_eq!(client.get(&path).await.ok()["identity"], identity);
    }
    // None is another one, or the beginning of one.
    let listed = client
        .get(format!("{}/Entities/ada/Factors", service.path))
        .await
        .ok();
    assert_eq!(listed["factors"].as_array().unwrap().len(), 1);
    let entities = format!("{}/Entities", service.path);
    client.post(&entities, &[("Identity", "Grace_H.")]).await.ok();
    for refused in ["", ".", "..", "@ada", "+ada", "a b", "a/b", &"x".repeat(65)] {
        let form = [("Identity", refused)];
        let number = client.post(&entities, &form).await.code();
        assert!([20001, 60306].contains(&number), "{refused:?}: {number}");
    }
    // A server notes the format when it starts.
    store_format::check(&server.app).await.unwrap();
    let report = check_store(&server.app).await.unwrap();
    assert!(report.problems().is_empty(), "{:?}", report.problems());

    let narrow = server.with_policy(with(IdentityRule::Narrow));
    let client = narrow.client();
    let ada = client.post(&entities, &[("Identity", "ada")]).await;
    ada.refused(400, 60306).naming("8 to 64 characters");
    client
        .get(format!("{entities}/ada%40example.com"))
        .await
        .refused(400, 60306);
    client.get(format!("{entities}/user-0001")).await.ok();
    let listed = client.get(&entities).await.ok();
    assert_eq!(listed["entities"].as_array().unwrap().len(), 6);
}
