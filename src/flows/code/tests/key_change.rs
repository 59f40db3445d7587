//! The data key of a code that is on its way goes.

use std::sync::Arc;

use super::world::{CodeWorld, codes};
use crate::app::App;
use crate::flows::data_keys::tests::replace_key;
use crate::flows::store_format;
use crate::store::Store;
use crate::store::gated::{GatedStore, StoreOperation};

/// Between the read of the verification and the opening of its code: the code was sealed anew before that, and is sent.
#[tokio::test]
async fn a_code_whose_key_goes_while_it_is_read_is_sent() {
    let mut world = CodeWorld::new(&["one"]).await;
    let app = Arc::clone(&world.app);
    store_format::check(&app).await.unwrap();
    world.text("123456").await;
    let gate = Arc::new(GatedStore::new(Arc::clone(&app.store)));
    let other = Arc::clone(&app);
    gate.at_next(StoreOperation::GetMany, async move { replace_key(&other).await });
    let store: Arc<dyn Store> = Arc::clone(&gate) as _;
    world.app = Arc::new(App {
        store,
        ..App::clone(&app)
    });
    world.deliver().await;
    assert!(gate.is_open() && app.vault.data_keys().is_single());
    assert_eq!(world.tries().await, [("one".to_owned(), "sent")]);
    assert!(codes(&world.senders[0]).contains("123456"));
}
