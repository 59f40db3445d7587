//! What is asked for is done.

use std::sync::Arc;

use super::*;
use crate::app::Policy;
use crate::crypto::master_key::MasterKey;
use crate::crypto::vault::Vault;
use crate::domain::entropy::SeededEntropy;
use crate::domain::time::{ManualClock, Timestamp};
use crate::flows::account::authenticate::authenticate;
use crate::store::memory::MemoryStore;

fn app() -> App {
    let entropy = SeededEntropy::new(1);
    App {
        store: Arc::new(MemoryStore::new()),
        clock: Arc::new(ManualClock::new(Timestamp::from_seconds(1_700_000_000))),
        vault: Arc::new(Vault::new(&MasterKey::generate(&entropy))),
        entropy: Arc::new(entropy),
        policy: Policy::default(),
    }
}

async fn created(app: &App, request: Request) -> NewSecret {
    match execute(app, request).await {
        Reply::Secret(secret) => secret,
        other => panic!("{other:?}"),
    }
}

async fn refused(app: &App, request: Request) -> String {
    match execute(app, request).await {
        Reply::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

fn create_account() -> Request {
    Request::CreateAccount {
        name: "Shop".to_owned(),
    }
}

#[tokio::test]
async fn credentials_work_until_they_are_replaced_revoked_or_suspended() {
    let app = app();
    let account = created(&app, create_account()).await;
    let works = async |user: &str, secret: &str| authenticate(&app, user, secret).await.is_ok();
    assert!(works(&account.sid, &account.secret).await);

    let key = created(
        &app,
        Request::CreateKey {
            account: None,
            name: "CI".to_owned(),
        },
    )
    .await;
    assert_eq!(key.account_sid, account.sid);
    assert!(works(&key.sid, &key.secret).await);

    let rotated = created(
        &app,
        Request::RotateToken {
            account: account.sid.clone(),
        },
    )
    .await;
    assert!(works(&account.sid, &rotated.secret).await && !works(&account.sid, &account.secret).await);

    execute(
        &app,
        Request::SuspendAccount {
            account: account.sid.clone(),
        },
    )
    .await;
    assert!(!works(&account.sid, &rotated.secret).await && !works(&key.sid, &key.secret).await);
    execute(
        &app,
        Request::ResumeAccount {
            account: account.sid.clone(),
        },
    )
    .await;
    assert!(works(&account.sid, &rotated.secret).await && works(&key.sid, &key.secret).await);

    execute(&app, Request::RevokeKey { key: key.sid.clone() }).await;
    assert!(!works(&key.sid, &key.secret).await);
}

#[tokio::test]
async fn lists_show_no_secret() {
    let app = app();
    let account = created(&app, create_account()).await;
    let key = created(
        &app,
        Request::CreateKey {
            account: None,
            name: "CI".to_owned(),
        },
    )
    .await;
    for (request, sid) in [
        (Request::ListAccounts, &account.sid),
        (Request::ListKeys { account: None }, &key.sid),
    ] {
        let reply = execute(&app, request).await;
        for json in [false, true] {
            let text = render::render(&reply, json).unwrap();
            assert!(
                text.contains(sid.as_str()) && text.contains("2023-11-14T22:13:20Z"),
                "{text}"
            );
            assert!(
                !text.contains(account.secret.as_str()) && !text.contains(key.secret.as_str()),
                "{text}"
            );
        }
    }
    assert!(!format!("{account:?}").contains(account.secret.as_str()));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let app = app();
    let keys = || Request::ListKeys { account: None };
    assert!(refused(&app, keys()).await.starts_with("there is no account"));
    created(&app, create_account()).await;
    created(&app, create_account()).await;
    assert!(refused(&app, keys()).await.ends_with("behind the command"));
    let unknown = format!("AC{}", "0".repeat(32));
    assert_eq!(
        refused(&app, Request::SuspendAccount { account: unknown }).await,
        "there is no such account"
    );
    let key = Request::RevokeKey {
        key: "SK1".to_owned(),
    };
    assert_eq!(
        refused(&app, key).await,
        "SK1 is no API key's SID: it must be SK and 32 hexadecimal digits"
    );
    assert!(
        refused(&app, Request::CreateAccount { name: String::new() })
            .await
            .starts_with("--name must be")
    );
}
