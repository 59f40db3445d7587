//! Deletes a credential.

use super::fetch_credential::read_credential;
use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::domain::service::Service;
use crate::domain::sid::{AccountSid, CredentialSid, ServiceSid};
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, Order, Scan, keys, records};

/// Deletes a credential that no service uses.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::CredentialInUse`], [`Error::Failed`].
pub async fn delete_credential(app: &App, account: AccountSid, sid: CredentialSid) -> Result<(), Error> {
    retry_on_conflict(|| delete(app, account, sid)).await
}

async fn delete(app: &App, account: AccountSid, sid: CredentialSid) -> Result<(), Error> {
    let found = read_credential(app, account, sid).await?;
    // A service that comes to use it from here on writes its record anew, and the commit below fails.
    if let Some(service) = user(app, account, sid).await? {
        return Err(Refusal::CredentialInUse { service }.into());
    }
    let key = keys::credential(account, sid);
    let batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    app.store.commit(batch).await?;
    Ok(())
}

/// A service that uses the credential.
async fn user(app: &App, account: AccountSid, sid: CredentialSid) -> Result<Option<ServiceSid>, Error> {
    const CHUNK: usize = 200;
    let prefix = keys::services(account).bytes().to_vec();
    let mut after = None;
    loop {
        let services = app
            .store
            .scan(Scan {
                prefix: prefix.clone(),
                after,
                order: Order::Ascending,
                limit: CHUNK,
            })
            .await?;
        for (_, entry) in &services {
            let service: Service = records::decode(&entry.value)?;
            let push = &service.settings.push;
            if [push.apn_credential_sid, push.fcm_credential_sid].contains(&Some(sid)) {
                return Ok(Some(service.sid));
            }
        }
        match services.last() {
            Some((key, _)) if services.len() == CHUNK => after = Some(key.clone()),
            _ => return Ok(None),
        }
    }
}
