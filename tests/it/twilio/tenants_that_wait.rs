//! Long polls of two tenants that want all places there are.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{Answer, Client, Credentials, Device, TestApp, User};
use countersign::app::Policy;

/// An account and its users.
struct Tenant {
    credentials: Credentials,
    users: Vec<User>,
    /// The first user's.
    device: Device,
}

impl Tenant {
    async fn enter(server: &TestApp) -> Self {
        let credentials = server.another_account().await;
        let client = server.client_of(&credentials);
        let first = User::create(&client).await;
        let device = first.device(server, &client).await;
        let mut users = vec![first];
        for _ in 1..USERS {
            let user = User::create(&client).await;
            user.device(server, &client).await;
            users.push(user);
        }
        Self {
            credentials,
            users,
            device,
        }
    }

    fn client<'a>(&self, server: &'a TestApp) -> Client<'a> {
        server.client_of(&self.credentials)
    }

    /// So many begin to wait, one after another, in turn for each user.
    async fn polls(&self, server: &TestApp, many: usize) -> Vec<JoinHandle<Answer>> {
        let mut polls = Vec::new();
        for number in 0..many {
            let path = format!(
                "{}/Challenges?Status=pending&Wait=60",
                self.users[number % USERS].path
            );
            polls.push(tokio::spawn(self.client(server).getting(&path)));
            settle().await;
        }
        polls
    }
}

/// Lets everybody do what can be done without time going by.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// How those were answered that no longer wait.
async fn ended(polls: &mut Vec<JoinHandle<Answer>>) -> Vec<u16> {
    settle().await;
    let mut statuses = Vec::new();
    let mut waiting = Vec::new();
    for poll in polls.drain(..) {
        if poll.is_finished() {
            statuses.push(poll.await.unwrap().status);
        } else {
            waiting.push(poll);
        }
    }
    *polls = waiting;
    statuses
}

/// A tenant that has all places gives up what another one wants, and two that want them all have as many each.
#[tokio::test(start_paused = true)]
async fn two_tenants_that_want_twice_what_there_is_wait_side_by_side() {
    let policy = Policy {
        max_waiters: 16,
        ..crate::doubles::policy()
    };
    let server = TestApp::in_memory().await.with_policy(policy);
    let (one, other) = (Tenant::enter(&server).await, Tenant::enter(&server).await);
    let began = Instant::now();
    // One of them alone, with twice as many as there are places.
    let mut greedy = one.polls(&server, 32).await;
    assert_eq!(ended(&mut greedy).await, [429; 16]);
    // The other one wants as much. It gets half, for which the oldest of the greedy one end early.
    let mut fair = other.polls(&server, 32).await;
    assert_eq!(ended(&mut fair).await, [429; 24]);
    assert_eq!(ended(&mut greedy).await, [200; 8]);
    // Nobody pushes anybody out any more, whoever comes first.
    for tenant in [&one, &other, &one] {
        assert_eq!(ended(&mut tenant.polls(&server, 16).await).await, [429; 16]);
    }
    assert_eq!((greedy.len(), fair.len()), (8, 8));
    assert_eq!(began.elapsed(), Duration::ZERO);
    // Those who wait are told: of eight that ask for eight users in turn, one is the first user's.
    other.users[0]
        .push_challenge(&other.client(&server), &other.device)
        .await;
    assert_eq!(ended(&mut fair).await, [200; 8 / USERS]);
    assert_eq!(ended(&mut greedy).await.len(), 0);
}

/// So many wait for one user's challenges then that it is not this that limits them.
const USERS: usize = 8;
