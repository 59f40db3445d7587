//! What must hold for the store's own entries.

use super::walk::{Here, Walk};
use crate::flows::Fault;
use crate::flows::push::web_push;
use crate::flows::store_format::FORMAT;
use crate::store::records::{StoreFormat, VapidKeyRecord};

impl Walk<'_> {
    pub(super) fn check_format(&mut self, here: &Here<'_>) -> Result<(), Fault> {
        let format: StoreFormat = here.record()?;
        if format.version != FORMAT {
            self.blame(
                here,
                format_args!("it is {}, this program reads {FORMAT}", format.version),
            );
        }
        if format.master_key_id != self.app.vault.key_id().as_bytes() {
            self.blame(here, "its secrets are sealed under another master key");
        }
        Ok(())
    }

    pub(super) fn check_vapid_key(&mut self, here: &Here<'_>) -> Result<(), Fault> {
        let record: VapidKeyRecord = here.record()?;
        if let Err(error) = web_push::open(self.app, &record) {
            self.blame(here, format_args!("it does not open: {error}"));
        }
        Ok(())
    }
}
