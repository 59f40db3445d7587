//! What must hold for entries that belong to no service: the store's own, and what is counted against toll fraud.

use super::walk::{Here, Walk};
use crate::domain::toll_fraud::PrefixBlock;
use crate::domain::toll_fraud::budget::Taken;
use crate::flows::push::web_push;
use crate::flows::store_format::FORMAT;
use crate::store::keys::Place;
use crate::store::records::{StoreFormat, VapidKeyRecord};

impl Walk<'_> {
    pub(super) fn check_format(&mut self, here: &Here<'_>) {
        let Some(format) = self.decode::<StoreFormat>(here) else {
            return;
        };
        if format.version != FORMAT {
            self.blame(
                here,
                format_args!("it is {}, this program reads {FORMAT}", format.version),
            );
        }
        if format.master_key_id != self.app.vault.key_id().as_bytes() {
            self.blame(here, "its secrets are sealed under another master key");
        }
    }

    pub(super) fn check_vapid_key(&mut self, here: &Here<'_>) {
        let Some(record) = self.decode::<VapidKeyRecord>(here) else {
            return;
        };
        if let Err(error) = web_push::open(self.app, &record) {
            self.blame(here, format_args!("it does not open: {error}"));
        }
    }

    /// Counters and blocks outlive what they were made for, so there is nothing to look up.
    pub(super) fn check_toll_fraud(&mut self, here: &Here<'_>) {
        if matches!(here.place, Place::Budget(_)) {
            self.decode::<Taken>(here);
        } else {
            self.decode::<PrefixBlock>(here);
        }
    }
}
