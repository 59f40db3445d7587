//! The methods that clients call, and what they are wrapped in.
//!
//! Whatever goes wrong in a method is answered with an error; a client that is not answered connects and asks again without a
//! pause.

mod account;
mod auth;
pub mod errors;
mod numbers;
mod policy;
mod wrapped;

use std::net::IpAddr;
use std::sync::Arc;

pub use self::account::UserForm;
pub use self::errors::RpcError;
pub use self::wrapped::{UnwrappedCall, unwrapped};

use super::admission::NetworkGate;
use super::complaints::Complaints;
use super::schema::{
    AUTH_BIND_TEMP_AUTH_KEY, AUTH_CANCEL_CODE, AUTH_LOG_OUT, AUTH_LOG_OUT_OLDER, AUTH_RESEND_CODE,
    AUTH_RESEND_CODE_OLDER, AUTH_SEND_CODE, AUTH_SIGN_IN, AUTH_SIGN_IN_OLDER, HELP_GET_CONFIG, HTTP_WAIT,
    UPDATES_GET_DIFFERENCE, UPDATES_GET_DIFFERENCE_OLDER, UPDATES_GET_STATE, USERS_GET_USERS,
};
use super::settings::LoginSettings;
use super::tl::TlReader;
use crate::app::App;
use crate::dialect::RequestRoom;
use crate::flows::client_key::ClientKeyName;

/// Who calls, and what is acted on.
#[derive(Clone, Debug)]
pub struct RpcCaller {
    /// What the calls act on.
    pub app: Arc<App>,
    /// What the operator chose.
    pub settings: Arc<LoginSettings>,
    /// The key that the client speaks with.
    pub key: ClientKeyName,
    /// The version of the schema that it speaks, if it ever said so.
    pub layer: Option<u32>,
    /// Where it is.
    pub peer: IpAddr,
    /// Where each call has its place while it is at work.
    pub requests: Arc<dyn RequestRoom>,
    /// How much its network may do.
    pub gate: Arc<NetworkGate>,
    /// What the operator is told.
    pub complaints: Arc<Complaints>,
}

impl RpcCaller {
    /// What the client is told of an error; the operator is told of it as well if it is his.
    #[must_use]
    pub fn told(&self, error: &RpcError) -> Vec<u8> {
        if let Some(why) = error.why() {
            self.complaints.log(why, self.app.clock.now());
        }
        error.write()
    }
}

/// Calls a method.
///
/// # Errors
/// What the client is to be told instead of a result ([`RpcCaller::told`]).
pub async fn call(caller: &RpcCaller, method: &[u8]) -> Result<Vec<u8>, RpcError> {
    let mut reader = TlReader::new(method);
    let constructor = reader.word().map_err(|_| RpcError::INPUT_METHOD_INVALID)?;
    match constructor {
        AUTH_SEND_CODE => auth::send_code(caller, reader).await,
        AUTH_RESEND_CODE | AUTH_RESEND_CODE_OLDER => auth::resend_code(caller, constructor, reader).await,
        AUTH_SIGN_IN | AUTH_SIGN_IN_OLDER => auth::sign_in(caller, constructor, reader).await,
        AUTH_CANCEL_CODE => auth::cancel_code(caller, reader).await,
        AUTH_LOG_OUT | AUTH_LOG_OUT_OLDER => account::log_out(caller, constructor).await,
        HELP_GET_CONFIG => Ok(account::config(caller.app.clock.now())),
        USERS_GET_USERS => account::users(caller, reader).await,
        UPDATES_GET_STATE => account::state(caller).await,
        UPDATES_GET_DIFFERENCE | UPDATES_GET_DIFFERENCE_OLDER => account::difference(caller).await,
        // One is for connections over HTTP, which this server does not speak; the other makes a temporary key as good as one for
        // good, and there is nothing that is kept from a temporary one.
        HTTP_WAIT | AUTH_BIND_TEMP_AUTH_KEY => Err(RpcError::INPUT_METHOD_INVALID),
        _ => {
            account::require_login(caller).await?;
            Err(RpcError::INPUT_METHOD_INVALID)
        }
    }
}
