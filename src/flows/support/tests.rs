//! Whoever helps one user does not lose a count, touch another account, or wait for long lists.

use std::sync::Arc;
use std::time::Duration;

use super::delete::{DeletedUser, delete};
use super::find::{Search, UserHandle, find};
use super::report::{UserReport, report};
use super::reset::reset;
use super::unlock::{Unlocking, unlock};
use crate::app::App;
use crate::domain::audit::AuditOutcome;
use crate::domain::challenge::{Challenge, ChallengeStatus};
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::factor::{Factor, FactorStatus, Refusal};
use crate::domain::service::ServiceChanges;
use crate::domain::sid::{AccountSid, ChallengeSid, FactorSid};
use crate::domain::text::{FriendlyName, Identity, ServiceName};
use crate::domain::time::Timestamp;
use crate::doubles::{ManualClock, TestParts};
use crate::flows::challenge::NewChallenge;
use crate::flows::factor::NewTotpFactor;
use crate::flows::{Error, access_token, account, audit, challenge, factor, reading, service, user};
use crate::store::{Batch, keys};

struct HelpedUser {
    app: Arc<App>,
    clock: Arc<ManualClock>,
    account: AccountSid,
    name: EntityName,
}

impl HelpedUser {
    async fn begin() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let parts = TestParts {
            clock: clock.clone(),
            ..TestParts::default()
        };
        let app = Arc::new(parts.wire());
        let account = new_account(&app).await;
        let shop = ServiceName::parse("Owl Bank").unwrap();
        let service = service::create(&app, account, shop, ServiceChanges::default()).await;
        let name = EntityName {
            service: service.unwrap().sid,
            identity: Identity::parse("user-0001").unwrap(),
        };
        Self {
            app,
            clock,
            account,
            name,
        }
    }

    /// A factor that is verified.
    async fn enrol(&self) -> (EntityScope, FactorSid) {
        let new = NewTotpFactor {
            friendly_name: FriendlyName::parse("Phone").unwrap(),
            secret: None,
            algorithm: None,
            skew: None,
            code_length: None,
            time_step: None,
            metadata: None,
        };
        let enrolled = factor::create_totp(&self.app, self.account, None, &self.name, new).await;
        let (scope, sid) = {
            let enrolled = enrolled.unwrap();
            (enrolled.scope.clone(), enrolled.factor.sid)
        };
        self.change(&scope, sid, |factor| factor.status = FactorStatus::Verified)
            .await;
        (scope, sid)
    }

    async fn factor(&self, scope: &EntityScope, sid: FactorSid) -> Factor {
        let key = keys::factor(scope, sid);
        reading::Reading::new(&self.app).get(&key).await.unwrap().unwrap()
    }

    async fn change(&self, scope: &EntityScope, sid: FactorSid, with: impl FnOnce(&mut Factor)) {
        let mut reading = reading::Reading::new(&self.app);
        let key = keys::factor(scope, sid);
        let mut factor: Factor = reading.get(&key).await.unwrap().unwrap();
        with(&mut factor);
        let batch = factor::put(&self.app, Batch::new(), key, &factor).unwrap();
        reading.commit(batch).await.unwrap();
    }

    async fn ask(
        &self,
        factor: FactorSid,
        code: Option<&str>,
    ) -> Result<Challenge, Error<crate::domain::challenge::Refusal>> {
        let asked =
            challenge::create(&self.app, self.account, &self.name, &new_challenge(factor), code).await;
        asked.map(|(_, challenge)| challenge)
    }

    async fn found(&self, text: &str, limit: usize) -> UserReport {
        let handles = UserHandle::meanings(text);
        let mut place = None;
        let found = loop {
            match find(&self.app, self.account, None, &handles, place)
                .await
                .unwrap()
            {
                Search::Over(found) => break found,
                Search::GoesOn(further) => place = Some(further),
            }
        };
        report(&self.app, self.account, &handles, found, limit, true)
            .await
            .unwrap()
            .unwrap()
    }
}

async fn new_account(app: &App) -> AccountSid {
    let name = FriendlyName::parse("An account").unwrap();
    account::create(app, name).await.unwrap().account.sid
}

fn new_challenge(factor: FactorSid) -> NewChallenge {
    NewChallenge {
        factor,
        expires_at: None,
        message: None,
        fields: crate::domain::challenge::Fields::default(),
        hidden_details: None,
        number_matching: None,
        shows_date: |_| Ok(false),
    }
}

/// Each wrong code counts that is given at the same time, before the unlocking or behind it: as the audit log has them in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_failure_is_lost_while_a_user_is_unlocked() {
    for round in 0..20 {
        let world = Arc::new(HelpedUser::begin().await);
        let (scope, sid) = world.enrol().await;
        world.ask(sid, Some("000000")).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..9 {
            let (world, scope) = (Arc::clone(&world), scope.clone());
            tasks.spawn(async move {
                let asked = audit::AuditScope::of_operator(number);
                let unlocks = number == round % 9;
                let work = async {
                    if unlocks {
                        unlock(&world.app, world.account, &world.name, scope.entity)
                            .await
                            .unwrap();
                    } else {
                        world.ask(sid, Some("000000")).await.unwrap();
                    }
                };
                audit::within(asked, work).await;
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        let all = audit::list::WantedEntries {
            is_wanted: &|_| true,
            limit: 100,
        };
        let [latest] = audit::list::latest(&world.app, world.account, [all])
            .await
            .unwrap();
        let decisions = latest
            .entries
            .iter()
            .filter_map(|(_, entry)| entry.decision.as_ref());
        let since: Vec<_> = decisions
            .take_while(|decision| decision.outcome != AuditOutcome::Done)
            .filter(|decision| decision.outcome == AuditOutcome::Refused)
            .collect();
        let factor = world.factor(&scope, sid).await;
        assert_eq!(usize::try_from(factor.failures.count()).unwrap(), since.len());
    }
}

#[tokio::test]
async fn what_ended_for_good_and_what_was_used_stays_so() {
    let world = HelpedUser::begin().await;
    let (scope, sid) = world.enrol().await;
    let now = world.app.clock.now();
    world
        .change(&scope, sid, |factor| {
            (0..100).for_each(|_| factor.failures.fail(now));
            factor.status = FactorStatus::Disabled;
        })
        .await;
    let unlocked = unlock(&world.app, world.account, &world.name, scope.entity)
        .await
        .unwrap();
    assert_eq!(unlocked[0].what, Unlocking::Disabled);
    assert_eq!(world.factor(&scope, sid).await.failures.count(), 100);

    let (scope, sid) = world.enrol().await;
    world
        .change(&scope, sid, |factor| {
            let crate::domain::factor::FactorKind::Totp(totp) = &mut factor.kind else {
                panic!("it is one of codes")
            };
            totp.accepted.accept(60_000_000);
            (0..12).for_each(|_| factor.failures.fail(now));
        })
        .await;
    unlock(&world.app, world.account, &world.name, scope.entity)
        .await
        .unwrap();
    let factor = world.factor(&scope, sid).await;
    assert_eq!(factor.failures.count(), 0);
    let crate::domain::factor::FactorKind::Totp(totp) = &factor.kind else {
        panic!("it is one of codes")
    };
    assert_eq!(totp.accepted.last(), Some(60_000_000));
    assert_eq!(totp.last_use(), Some(Timestamp::from_seconds(1_800_000_000)));
}

#[tokio::test]
async fn nobody_of_another_account_or_of_an_earlier_time_is_touched() {
    let world = HelpedUser::begin().await;
    let (scope, sid) = world.enrol().await;
    world.ask(sid, Some("000000")).await.unwrap();
    let elsewhere = new_account(&world.app).await;
    let unlocked = unlock(&world.app, elsewhere, &world.name, scope.entity).await;
    assert!(matches!(unlocked, Err(Error::Refused(Refusal::NotFound))));
    let taken = reset(&world.app, elsewhere, &world.name, Some(scope.entity)).await;
    assert!(matches!(taken, Err(Error::Refused(Refusal::NotFound))));
    // One of the same name is another.
    let other = crate::domain::sid::EntitySid::from_bytes([7; 16]);
    let unlocked = unlock(&world.app, world.account, &world.name, other).await;
    assert!(matches!(unlocked, Err(Error::Refused(Refusal::NotFound))));
    let taken = reset(&world.app, world.account, &world.name, Some(other)).await;
    assert!(matches!(taken, Err(Error::Refused(Refusal::NotFound))));
    assert_eq!(world.factor(&scope, sid).await.failures.count(), 1);
    for name in [sid.to_string(), "user-0001".to_owned(), scope.entity.to_string()] {
        let handles = UserHandle::meanings(&name);
        let found = find(&world.app, elsewhere, None, &handles, None).await.unwrap();
        let Search::Over(found) = found else {
            panic!("there is nothing to look at")
        };
        assert!(found.places.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn of_ten_thousand_challenges_the_latest_are_shown_and_those_that_wait_are_ended() {
    let world = HelpedUser::begin().await;
    let (scope, sid) = world.enrol().await;
    let sample = world.ask(sid, None).await.unwrap();
    for _ in 0..100 {
        let mut batch = Batch::new();
        for _ in 0..100 {
            let now = world.app.clock.now();
            let mut copy = sample.clone();
            copy.sid = ChallengeSid::generate(now, world.app.sids.as_ref());
            let key = keys::challenge(&scope, copy.sid);
            let until = now + Duration::from_hours(24);
            batch = batch.put_new_record_until(key, &copy, until).unwrap();
            let marker = keys::pending(&scope, sid).key(copy.sid.as_bytes());
            batch = batch.mark_new_until(marker, copy.expires_at);
        }
        world.app.store.commit(batch).await.unwrap();
    }
    let report = world.found("user-0001", 20).await;
    let place = &report.places[0];
    assert_eq!((place.challenges.len(), place.has_more_challenges), (20, true));
    assert!(
        place
            .challenges
            .is_sorted_by_key(|challenge| std::cmp::Reverse(challenge.sid))
    );
    let taken = reset(&world.app, world.account, &world.name, Some(scope.entity))
        .await
        .unwrap();
    assert_eq!((taken.factors, taken.challenges), (1, super::reset::MOST_ENDED));
    world.clock.advance(Duration::from_secs(1));
    let report = world.found("user-0001", 20).await;
    let now = world.app.clock.now();
    for challenge in &report.places[0].challenges {
        assert_eq!(challenge.status(now), ChallengeStatus::Expired);
    }
    // Of the others nobody is asked any more, either.
    let first = challenge::list(
        &world.app,
        crate::flows::access::Actor::Account(world.account),
        &world.name,
        challenge::ChallengeFilter::default(),
        crate::flows::page::PageRequest {
            size: 1,
            cursor: crate::flows::page::Cursor::Start,
            order: crate::flows::page::Order::Ascending,
        },
    );
    let (_, first) = first.await.unwrap();
    let update = challenge::ChallengeUpdate {
        answer: None,
        metadata: Some(crate::domain::text::Attributes::default()),
    };
    let actor = crate::flows::access::Actor::Account(world.account);
    let answered = challenge::answer(&world.app, actor, &world.name, first.items[0].sid, &update).await;
    assert!(matches!(
        answered,
        Err(Error::Refused(crate::domain::challenge::Refusal::NotFound))
    ));
}

/// Of a factor among more entities than are looked at in one go.
#[tokio::test]
async fn a_factor_is_found_by_its_sid_however_many_entities_there_are() {
    let mut world = HelpedUser::begin().await;
    let (scope, sid) = world.enrol().await;
    let mut batch = Batch::new();
    for number in 0..10_500 {
        let identity = Identity::parse(&format!("other-{number:06}")).unwrap();
        let entity = crate::domain::sid::EntitySid::generate(world.app.clock.now(), world.app.sids.as_ref());
        let key = keys::entity_order(world.name.service).key(entity.as_bytes());
        batch = batch.put_new_record(key, &identity).unwrap();
    }
    world.app.store.commit(batch).await.unwrap();
    let handles = UserHandle::meanings(&sid.to_string());
    let first = find(&world.app, world.account, None, &handles, None)
        .await
        .unwrap();
    assert!(matches!(first, Search::GoesOn(_)), "{first:?}");
    let report = world.found(&sid.to_string(), 20).await;
    assert_eq!(report.places[0].place.name, world.name);
    assert_eq!(report.places[0].factors[0].factor.sid, sid);
    // Those that were created long after it are not looked at.
    world.clock.advance(Duration::from_hours(1));
    world.name.identity = Identity::parse("user-0002").unwrap();
    let (_, later) = world.enrol().await;
    let handles = UserHandle::meanings(&later.to_string());
    let found = find(&world.app, world.account, None, &handles, None)
        .await
        .unwrap();
    assert!(matches!(found, Search::Over(found) if found.places.len() == 1));
    assert_ne!(scope.entity.as_bytes(), &[0; 16]);
}

impl HelpedUser {
    /// A user whose number is verified, and who gets codes there as a factor.
    async fn give_codes_by_sms(&self) {
        let number = crate::domain::phone::PhoneNumber::parse("+4915112345678", None).unwrap();
        let new = user::NewPhone {
            number,
            keeps_verified: false,
            proof: user::PhoneProof::Vouched,
        };
        user::ensure(&self.app, self.account, &self.name).await.unwrap();
        user::set_phone(&self.app, self.account, &self.name, &new)
            .await
            .unwrap();
        user::set_code_by_sms(&self.app, self.account, &self.name, true)
            .await
            .unwrap();
    }
}

/// With factors of other kinds, without them, and without an entity.
#[tokio::test]
async fn codes_by_text_message_are_no_factor_of_a_user_who_was_reset() {
    let world = HelpedUser::begin().await;
    world.give_codes_by_sms().await;
    let taken = reset(&world.app, world.account, &world.name, None).await.unwrap();
    assert_eq!((taken.factors, taken.code_by_sms), (0, true));
    let user = user::fetch(&world.app, world.account, &world.name).await.unwrap();
    assert!(!user.code_by_sms && user.phone.is_some_and(|phone| phone.verified));
    let again = reset(&world.app, world.account, &world.name, None).await.unwrap();
    assert_eq!(again, super::reset::ResetUser::default());

    let (scope, _) = world.enrol().await;
    for factors in [1, 0] {
        user::set_code_by_sms(&world.app, world.account, &world.name, true)
            .await
            .unwrap();
        // Who has an entity by now is not meant by whoever saw none.
        let taken = reset(&world.app, world.account, &world.name, None).await;
        assert!(matches!(taken, Err(Error::Refused(Refusal::NotFound))));
        let taken = reset(&world.app, world.account, &world.name, Some(scope.entity)).await;
        let taken = taken.unwrap();
        assert_eq!((taken.factors, taken.code_by_sms), (factors, true));
        let user = user::fetch(&world.app, world.account, &world.name).await.unwrap();
        assert!(!user.code_by_sms);
    }
}

/// Also what waits, what is over, and what would begin it all anew; of nobody else.
#[tokio::test]
async fn nothing_is_left_of_a_user_who_was_deleted_and_all_of_the_others() {
    let world = HelpedUser::begin().await;
    world.give_codes_by_sms().await;
    let (scope, sid) = world.enrol().await;
    let other = HelpedUser {
        app: world.app.clone(),
        clock: world.clock.clone(),
        account: world.account,
        name: EntityName {
            service: world.name.service,
            identity: Identity::parse("user-0002").unwrap(),
        },
    };
    let (others, others_factor) = other.enrol().await;
    let sample = world.ask(sid, None).await.unwrap();
    let mut batch = Batch::new();
    for _ in 0..1200 {
        let now = world.app.clock.now();
        let mut copy = sample.clone();
        copy.sid = ChallengeSid::generate(now, world.app.sids.as_ref());
        let key = keys::challenge(&scope, copy.sid);
        batch = batch.put_new_record_until(key, &copy, copy.expires_at).unwrap();
        let marker = keys::pending(&scope, sid).key(copy.sid.as_bytes());
        batch = batch.mark_new_until(marker, copy.expires_at);
    }
    world.app.store.commit(batch).await.unwrap();
    other.ask(others_factor, None).await.unwrap();
    let permit = async |name: &EntityName| {
        let life = crate::domain::access_token::TokenLife::default();
        let made = access_token::create(&world.app, world.account, name, None, life).await;
        made.unwrap().1
    };
    let (token, others_token) = (permit(&world.name).await, permit(&other.name).await);

    // Who is another, or of another account, is not meant.
    let elsewhere = new_account(&world.app).await;
    let another = crate::domain::sid::EntitySid::from_bytes([7; 16]);
    for (account, entity) in [
        (elsewhere, Some(scope.entity)),
        (world.account, Some(another)),
        (world.account, None),
    ] {
        let refused = delete(&world.app, account, &world.name, entity).await;
        assert!(matches!(refused, Err(Error::Refused(Refusal::NotFound))));
    }
    let deleted = delete(&world.app, world.account, &world.name, Some(scope.entity))
        .await
        .unwrap();
    let all = DeletedUser {
        entity: true,
        factors: 1,
        user: true,
        challenges: 1201,
        access_tokens: 1,
    };
    assert_eq!(deleted, all);

    let prefix = keys::below_service(world.name.service);
    let under_entity = [
        keys::challenges(&scope).bytes().to_vec(),
        keys::pending(&scope, sid).bytes().to_vec(),
    ];
    for prefix in prefix.chain(under_entity) {
        let scan = crate::store::Scan {
            prefix,
            after: None,
            order: crate::store::Order::Ascending,
            limit: 100,
        };
        for (key, entry) in reading::Reading::new(&world.app).scan(scan).await.unwrap() {
            let named = String::from_utf8_lossy(&key).contains("user-0001");
            let is_told = String::from_utf8_lossy(&entry.value).contains("user-0001");
            assert!(!named && !is_told, "{:?}", keys::KeyParts::parse(&key));
        }
    }
    let service = world.name.service;
    let foresee = |_| reading::Foreseen::default();
    let shown = async |text: &str| {
        access_token::authenticate(&world.app, service, text, foresee)
            .await
            .is_ok()
    };
    assert!(!shown(&token).await && shown(&others_token).await);
    assert_eq!(other.factor(&others, others_factor).await.sid, others_factor);
    let left = other.found("user-0002", 20).await;
    assert_eq!(left.places[0].challenges.len(), 1);
    // Nobody is deleted twice, nor whoever is enrolled anew with whom was meant before.
    let again = delete(&world.app, world.account, &world.name, Some(scope.entity)).await;
    assert!(matches!(again, Err(Error::Refused(Refusal::NotFound))));
    world.enrol().await;
    let again = delete(&world.app, world.account, &world.name, Some(scope.entity)).await;
    assert!(matches!(again, Err(Error::Refused(Refusal::NotFound))));
}
