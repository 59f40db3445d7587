//! What clients ask besides logging in: how the server is set up, who they are, what has changed.

use super::RpcCaller;
use super::errors::RpcError;
use super::policy::digits;
use crate::dialect::telegram::handshake::seconds;
use crate::dialect::telegram::schema::{
    AUTH_LOG_OUT_OLDER, AUTH_LOGGED_OUT, BOOL_FALSE, BOOL_TRUE, CONFIG, INPUT_USER_SELF,
    UPDATES_DIFFERENCE_EMPTY, UPDATES_STATE, USER_LAYER_186, USER_LAYER_198, USER_LAYER_205, USER_LAYER_218,
    USER_LAYER_229,
};
use crate::dialect::telegram::tl::{TlReader, TlWriter, VECTOR};
use crate::domain::client_key::ClientLogin;
use crate::domain::time::Timestamp;
use crate::flows::{Error, client_key};

/// How a user is written, which differs by the version of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserForm(u32);

impl UserForm {
    /// The form of a version; `None` where it is not known.
    #[must_use]
    pub fn of(layer: u32) -> Option<Self> {
        match layer {
            186 => Some(Self(USER_LAYER_186)),
            198 => Some(Self(USER_LAYER_198)),
            205 => Some(Self(USER_LAYER_205)),
            218..=227 => Some(Self(USER_LAYER_218)),
            229..=230 => Some(Self(USER_LAYER_229)),
            _ => None,
        }
    }

    /// Whoever is logged in: a number that stands for the phone number, and the phone number.
    pub(super) fn write(self, login: &ClientLogin) -> Vec<u8> {
        const ACCESS_HASH: u32 = 1;
        const PHONE: u32 = 1 << 4;
        const IS_SELF: u32 = 1 << 10;
        let user = i64::try_from(login.user).unwrap_or(1);
        TlWriter::of(self.0)
            .word(ACCESS_HASH | PHONE | IS_SELF)
            .word(0)
            .long(user)
            // Some clients do not expect that there is none.
            .long(user)
            .string(digits(login.destination.phone()))
            .done()
    }
}

/// Who is logged in, which has to be somebody.
///
/// # Errors
/// `AUTH_KEY_UNREGISTERED`
pub(super) async fn require_login(caller: &RpcCaller) -> Result<ClientLogin, RpcError> {
    match client_key::login(&caller.app, caller.key, caller.settings.key_lives).await {
        Ok(Some(login)) => Ok(login),
        Ok(None) | Err(Error::Refused(_)) => Err(RpcError::AUTH_KEY_UNREGISTERED),
        Err(Error::Failed(fault)) => Err(RpcError::of_fault(&fault)),
    }
}

/// `auth.logOut`: the key stays good for another login.
pub(super) async fn log_out(caller: &RpcCaller, constructor: u32) -> Result<Vec<u8>, RpcError> {
    match client_key::log_out(&caller.app, caller.key, caller.settings.key_lives).await {
        Ok(true) if constructor == AUTH_LOG_OUT_OLDER => Ok(TlWriter::of(BOOL_TRUE).done()),
        Ok(true) => Ok(TlWriter::of(AUTH_LOGGED_OUT).word(0).done()),
        Ok(false) | Err(Error::Refused(_)) => Err(RpcError::AUTH_KEY_UNREGISTERED),
        Err(Error::Failed(fault)) => Err(RpcError::of_fault(&fault)),
    }
}

/// `users.getUsers`: whoever is logged in, as often as asked for; others are nobody's business.
pub(super) async fn users(caller: &RpcCaller, mut reader: TlReader<'_>) -> Result<Vec<u8>, RpcError> {
    const MOST: usize = 100;
    let login = require_login(caller).await?;
    let form = caller
        .layer
        .and_then(UserForm::of)
        .ok_or(RpcError::AUTH_KEY_UNREGISTERED)?;
    let malformed = |_| RpcError::INPUT_FETCH_ERROR;
    let is_vector = reader.word().map_err(malformed)? == VECTOR;
    let asked = reader.count(4, MOST).map_err(malformed)?;
    if !is_vector {
        return Err(RpcError::INPUT_FETCH_ERROR);
    }
    let mut users = Vec::new();
    for _ in 0..asked {
        match reader.word() {
            Ok(INPUT_USER_SELF) => users.push(form.write(&login)),
            // Of other kinds nobody knows how long they are.
            _ => break,
        }
    }
    let count = u32::try_from(users.len()).unwrap_or(0);
    Ok(TlWriter::of(VECTOR).word(count).raw(&users.concat()).done())
}

/// `updates.getState`: nothing ever changes.
pub(super) async fn state(caller: &RpcCaller) -> Result<Vec<u8>, RpcError> {
    require_login(caller).await?;
    let (pts, qts, seq, unread) = (1, 0, 1, 0);
    Ok(TlWriter::of(UPDATES_STATE)
        .int(pts)
        .int(qts)
        .int(seconds(caller.app.clock.now()))
        .int(seq)
        .int(unread)
        .done())
}

/// `updates.getDifference`: there is none.
pub(super) async fn difference(caller: &RpcCaller) -> Result<Vec<u8>, RpcError> {
    require_login(caller).await?;
    let seq = 1;
    Ok(TlWriter::of(UPDATES_DIFFERENCE_EMPTY)
        .int(seconds(caller.app.clock.now()))
        .int(seq)
        .done())
}

/// `help.getConfig`: this is the only data center, wherever the client reached it. The numbers are those that clients know from
/// elsewhere; none of what they are for is done here.
pub(super) fn config(now: Timestamp) -> Vec<u8> {
    const HOUR: i32 = 3600;
    const DATA_CENTER: i32 = 2;
    let date = seconds(now);
    let before_urls = TlWriter::of(CONFIG)
        .word(0)
        .int(date)
        .int(date.saturating_add(HOUR))
        .word(BOOL_FALSE)
        .int(DATA_CENTER)
        .word(VECTOR)
        .word(0)
        .string("");
    // From chat_size_max to channels_read_media_period.
    let numbers = [
        200,
        200_000,
        100,
        210_000,
        5000,
        30_000,
        300_000,
        30_000,
        1500,
        60_000,
        2,
        172_800,
        i32::MAX,
        i32::MAX,
        2_419_200,
        200,
        604_800,
    ];
    // From call_receive_timeout_ms to call_packet_timeout_ms.
    let calls = [20_000, 90_000, 30_000, 10_000];
    let lengths = [1024, 4096, DATA_CENTER];
    let written = numbers
        .iter()
        .chain(&calls)
        .fold(before_urls, |written, number| written.int(*number));
    let written = written.string("");
    lengths
        .iter()
        .fold(written, |written, number| written.int(*number))
        .done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_written_only_for_versions_whose_form_is_known() {
        for (layer, form) in [
            (0, None),
            (133, None),
            (185, None),
            (186, Some(USER_LAYER_186)),
            (187, None),
            (198, Some(USER_LAYER_198)),
            (205, Some(USER_LAYER_205)),
            (217, None),
            (218, Some(USER_LAYER_218)),
            (227, Some(USER_LAYER_218)),
            (228, None),
            (229, Some(USER_LAYER_229)),
            (230, Some(USER_LAYER_229)),
            (231, None),
        ] {
            assert_eq!(UserForm::of(layer), form.map(UserForm), "{layer}");
        }
    }
}
