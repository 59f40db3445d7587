//! How often a request asks the store. The same in Twilio's protocol, which names the service in each request, reads once less:
//! see `signal/round_trips.rs`.

use std::sync::Arc;

use countersign::store::counting::CountingStore;
use countersign::store::memory::MemoryStore;

use super::world::Verify;
use crate::support::TestApp;

#[tokio::test]
async fn each_request_commits_once_and_reads_no_more_than_it_needs() {
    let store = Arc::new(CountingStore::new(MemoryStore::new()));
    let verify = Verify::of(TestApp::on(store.clone()).await);
    // The first request of an account makes its service.
    verify.begin("12015550100", &[]).await;
    store.take();
    let id = verify.begin("12015550101", &[]).await;
    let trips = store.take();
    // The account with which service it is; that service, with what is known of the number; what is taken of budgets.
    assert_eq!((trips.reads(), trips.commit), (3, 1));
    verify.check(&id, "0000000000").await;
    let trips = store.take();
    // The account; the service with the request; what is known of its number.
    assert_eq!((trips.reads(), trips.commit), (3, 1));
}
