//! Telegram's login codes, by the methods of its schema.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::dialect::telegram::rpc::{RpcCaller, RpcError, call};
use countersign::dialect::telegram::schema::{
    AUTH_SEND_CODE, AUTH_SENT_CODE, AUTH_SIGN_IN, AUTH_SIGN_IN_OLDER, CODE_SETTINGS,
};
use countersign::dialect::telegram::settings::LoginSettings;
use countersign::dialect::telegram::tl::{TlReader, TlWriter};
use countersign::domain::client_key::KeyLives;
use countersign::domain::text::DialectName;
use countersign::flows::client_key::{ClientKeyName, keep};

use super::ground::{Ground, next_user};
use super::{Kind, Spoken, Subject, Target, Verdict, Way};
use crate::support::messages::another_code;
use crate::telegram::raw::unbounded;

pub(super) fn spoken() -> Spoken {
    let evaluates = EVALUATES.map(|(name, evaluates)| (name.to_owned(), evaluates));
    Spoken {
        described: described(),
        evaluates: evaluates.into(),
        ways: vec![
            Arc::new(SignIn { is_older: false }),
            Arc::new(SignIn { is_older: true }),
        ],
    }
}

/// What the methods do with codes. A new one has to say that here.
const EVALUATES: [(&str, bool); 15] = [
    ("AUTH_SEND_CODE", false),
    ("AUTH_RESEND_CODE", false),
    ("AUTH_RESEND_CODE_OLDER", false),
    ("AUTH_SIGN_IN", true),
    ("AUTH_SIGN_IN_OLDER", true),
    ("AUTH_CANCEL_CODE", false),
    ("AUTH_LOG_OUT", false),
    ("AUTH_LOG_OUT_OLDER", false),
    ("HELP_GET_CONFIG", false),
    ("USERS_GET_USERS", false),
    ("UPDATES_GET_STATE", false),
    ("UPDATES_GET_DIFFERENCE", false),
    ("UPDATES_GET_DIFFERENCE_OLDER", false),
    ("HTTP_WAIT", false),
    ("AUTH_BIND_TEMP_AUTH_KEY", false),
];

/// The methods that the dialect tells apart, as they stand in its source: what they do is in one `match`.
fn described() -> Vec<String> {
    let source = include_str!("../../../src/dialect/telegram/rpc/mod.rs");
    let arms = source.lines().filter_map(|line| line.trim().split_once(" => "));
    let names = arms.flat_map(|(pattern, _)| pattern.split(" | "));
    let is_name = |name: &&str| {
        name.len() > 1
            && name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    names.filter(is_name).map(str::to_owned).collect()
}

/// A program with a key of its own.
pub(super) fn client(ground: &Ground, key: &str) -> RpcCaller {
    let app = ground.wired().expect("its methods are called within the test");
    let key_lives = KeyLives {
        logged_in: Duration::from_hours(24),
        otherwise: Duration::from_hours(24),
    };
    RpcCaller {
        key: ClientKeyName::of(app, &DialectName::parse("telegram").unwrap(), key.as_bytes()),
        app: Arc::clone(app),
        settings: Arc::new(LoginSettings {
            apps: Vec::new(),
            account: None,
            key_lives,
        }),
        layer: Some(229),
        peer: "192.0.2.1".parse().unwrap(),
        requests: unbounded(),
        // What one network may do is not what is tried here.
        gate: Arc::default(),
        complaints: Arc::default(),
    }
}

/// Has a code sent to the number; what names the attempt.
pub(super) async fn send_code(caller: &RpcCaller, number: &str) -> Result<String, RpcError> {
    let method = TlWriter::of(AUTH_SEND_CODE)
        .string(number)
        .int(1)
        .string("any")
        .word(CODE_SETTINGS)
        .word(0)
        .done();
    let sent = call(caller, &method).await?;
    let mut reader = TlReader::new(&sent);
    assert_eq!(reader.word(), Ok(AUTH_SENT_CODE));
    let (_flags, _kind, _length) = (reader.word(), reader.word(), reader.int());
    Ok(reader.string().unwrap().to_owned())
}

struct SignIn {
    is_older: bool,
}

#[async_trait]
impl Way for SignIn {
    fn call(&self) -> &'static str {
        if self.is_older {
            "AUTH_SIGN_IN_OLDER"
        } else {
            "AUTH_SIGN_IN"
        }
    }

    fn kind(&self) -> Kind {
        Kind::Number
    }

    fn evaluates(&self) -> usize {
        5
    }

    /// A process is spoken to behind a handshake: see `telegram/kills.rs`.
    fn reaches_processes(&self) -> bool {
        false
    }

    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target {
        let Subject::Number(number) = subject else {
            panic!("codes are sent to numbers")
        };
        let key = next_user();
        let caller = client(ground, &key);
        keep(
            &caller.app,
            caller.key,
            &[7; 256],
            caller.settings.key_lives,
            None,
        )
        .await
        .unwrap();
        let attempt = send_code(&caller, number).await.unwrap();
        let right = ground.message_code(&format!("VE{attempt}")).await;
        Target {
            at: vec![number.clone(), attempt],
            token: key,
            wrong: right.as_deref().map(another_code).unwrap(),
            right,
        }
    }

    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict {
        const CODE: u32 = 1;
        let caller = client(ground, &target.token);
        let method = if self.is_older {
            TlWriter::of(AUTH_SIGN_IN_OLDER)
        } else {
            TlWriter::of(AUTH_SIGN_IN).word(CODE)
        };
        let method = method
            .string(&target.at[0])
            .string(&target.at[1])
            .string(code)
            .done();
        match call(&caller, &method).await {
            Ok(_) => Verdict::Right,
            Err(error) if error == RpcError::PHONE_CODE_INVALID => Verdict::Wrong,
            Err(error) if format!("{error:?}").contains("FLOOD_WAIT") => Verdict::Limited,
            Err(_) => Verdict::Refused,
        }
    }
}
