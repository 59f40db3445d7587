//! Who calls.

use super::*;

/// What a call hears whose header `authorization` is this.
async fn call(world: &ZitadelWorld, header: Option<String>) -> Result<String, SeenStatus> {
    let mut request = Request::new(GetMyPhoneRequest {});
    if let Some(value) = header {
        request
            .metadata_mut()
            .insert("authorization", value.parse().unwrap());
    }
    let answer = seen(world.my().get_my_phone(request).await);
    answer.map(|answer| answer.details.unwrap().resource_owner)
}

#[tokio::test]
async fn only_a_token_of_a_user_lets_in_and_all_others_are_the_same() {
    let world = ZitadelWorld::new().await;
    let owner = Ok(world.account.to_string());
    assert_eq!(call(&world, Some(format!("Bearer {}", world.token))).await, owner);
    assert_eq!(call(&world, Some(format!("bearer {}", world.token))).await, owner);
    let missing = Err((Code::Unauthenticated, "auth header missing".to_owned(), None));
    assert_eq!(call(&world, None).await, missing);
    let new = |dialect: &str| NewBearerToken {
        dialect: DialectName::parse(dialect).unwrap(),
        user: None,
        friendly_name: FriendlyName::parse("backend").unwrap(),
        life: None,
    };
    let mut wrong = vec![
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {}", world.token),
        format!("Bearer {}x", world.token),
        world.token.clone(),
    ];
    for dialect in ["signal", NAME] {
        let (token, secret) = bearer_token::create(&world.app, world.account, new(dialect))
            .await
            .unwrap();
        wrong.push(format!(
            "Bearer {}",
            access::presented(token.sid, &secret).as_str()
        ));
    }
    let mut texts = std::collections::BTreeSet::new();
    for header in wrong {
        let (code, text, detail) = call(&world, Some(header)).await.unwrap_err();
        assert_eq!((code, detail), (Code::Unauthenticated, None));
        texts.insert(text);
    }
    assert_eq!(texts.len(), 1);
    let (sid, _) = world.token.split_once('_').unwrap();
    bearer_token::revoke(&world.app, sid.parse().unwrap())
        .await
        .unwrap();
    let revoked = call(&world, Some(format!("Bearer {}", world.token))).await;
    assert_eq!(code_of(revoked), Some(Code::Unauthenticated));
}

#[tokio::test]
async fn users_of_one_name_in_two_accounts_are_two() {
    let world = ZitadelWorld::new().await;
    let name = FriendlyName::parse("Another account").unwrap();
    let account = account::create(&world.app, name).await.unwrap().account.sid;
    let stranger = ZitadelWorld {
        token: token_of(&world.app, account, OWN, true).await,
        app: Arc::clone(&world.app),
        clock: Arc::clone(&world.clock),
        account,
    };
    world.set(NUMBER).await.unwrap();
    let (details, number, _) = stranger.get().await;
    assert_eq!(details.resource_owner, account.to_string());
    assert_eq!(number, "");
    let code = world.code().await;
    assert!(stranger.verify(&code).await.is_err());
    world.verify(&code).await.unwrap();
    assert_eq!(stranger.get().await.0.sequence, 1);
}
