//! What every engine must do: one named test per promise of [`Store`].
//!
//! To add a promise: write `async fn name(store: &dyn Store)` in one of the modules and list it in [`contract_tests!`].

pub(crate) mod commits;
pub(crate) mod expiry;
pub(crate) mod exports;
pub(crate) mod races;
pub(crate) mod reads;

use super::{Batch, Order, Scan, Store, StoreError, Version};
use crate::domain::time::Timestamp;

/// Runs the suite on an engine. `$fixture` makes an object whose `store()` is an empty `&dyn Store`.
macro_rules! contract_tests {
    ($fixture:expr) => {
        crate::store::contract::contract_tests!(@ $fixture;
            reads::{
                a_put_entry_is_read_back,
                a_missing_key_is_none,
                an_empty_value_is_not_a_missing_one,
                many_keys_are_read_in_the_order_of_their_names,
                no_keys_are_no_entries,
                a_scan_is_in_byte_order_both_ways,
                a_scan_stays_within_its_prefix,
                a_prefix_of_ff_bytes_has_an_end,
                a_scan_begins_behind_its_after_key,
                a_scan_begins_behind_a_key_that_is_gone,
                pages_add_up_to_the_whole,
                a_limit_of_zero_is_empty,
            }
            commits::{
                a_batch_applies_as_a_whole,
                a_conflict_changes_nothing,
                absent_is_asserted,
                a_version_is_asserted,
                an_assertion_on_a_missing_key_fails,
                assertions_alone_are_checked,
                versions_never_come_back,
                every_write_changes_the_version,
                a_put_wins_over_a_delete_of_the_same_key,
                the_last_put_of_a_key_counts,
                deleting_nothing_is_fine,
                a_new_entry_is_like_any_other,
                an_entry_that_was_not_new_is_overwritten,
                oversized_keys_and_values_are_refused,
                statistics_count_commits_and_conflicts,
                a_closed_store_refuses_everything,
            }
            expiry::{
                the_earliest_expiry_comes_first,
                expiry_is_inclusive_and_limited,
                an_overwritten_expiry_is_forgotten,
                a_deleted_expiry_is_forgotten,
                an_expired_entry_is_still_read,
                expired_versions_can_be_asserted,
                the_same_expiry_survives_an_overwrite,
                pages_of_what_expired_add_up_to_the_whole,
            }
            races::{
                parallel_increments_are_never_lost,
                one_of_many_creators_wins,
                a_commit_is_visible_when_it_returns,
                none_of_many_entries_goes_back,
            }
            exports::{
                an_export_holds_all_entries_in_order,
                an_export_shows_one_moment,
                an_abandoned_export_does_no_harm,
            }
        );
    };
    (@ $fixture:expr; $($module:ident::{ $($name:ident,)+ })+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let fixture = $fixture;
                crate::store::contract::$module::$name(fixture.store()).await;
            }
        )+)+
    };
}
pub(crate) use contract_tests;

/// Commits `batch` and expects it to apply.
async fn apply(store: &dyn Store, batch: Batch) {
    store.commit(batch).await.unwrap();
}

async fn put(store: &dyn Store, key: &[u8], value: &[u8]) {
    apply(store, Batch::new().put(key.to_vec(), value.to_vec())).await;
}

async fn version(store: &dyn Store, key: &[u8]) -> Version {
    store.get(key).await.unwrap().unwrap().version
}

async fn value(store: &dyn Store, key: &[u8]) -> Option<Vec<u8>> {
    store.get(key).await.unwrap().map(|entry| entry.value)
}

/// The keys that a scan finds.
async fn keys(
    store: &dyn Store,
    prefix: &[u8],
    after: Option<&[u8]>,
    order: Order,
    limit: usize,
) -> Vec<Vec<u8>> {
    let scan = Scan {
        prefix: prefix.to_vec(),
        after: after.map(<[u8]>::to_vec),
        order,
        limit,
    };
    store
        .scan(scan)
        .await
        .unwrap()
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

/// The first of what has expired, each in which version.
pub(crate) async fn expired(
    store: &dyn Store,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(Vec<u8>, Version)>, StoreError> {
    let page = store.expired(now, None, limit).await?.entries.into_iter();
    Ok(page.map(|(key, entry)| (key, entry.version)).collect())
}
