//! One number, and all protocols: what is counted of it is counted in one place. Wrong codes are in `counters`.

use std::sync::Arc;

use countersign::app::Policy;
use countersign::dialect::signal::proto::{
    CreateRegistrationSessionRequest, CreateRegistrationSessionResponse, MessageTransport,
    SendVerificationCodeRequest, SendVerificationCodeResponse,
    create_registration_session_response as created,
};
use countersign::dialect::zitadel::proto::zitadel::auth::v1::{GetMyPhoneRequest, GetMyPhoneResponse};
use countersign::dialect::zitadel::proto::zitadel::user::v2::{
    SendPhoneVerificationCode, SetPhoneRequest, SetPhoneResponse, set_phone_request,
};
use countersign::domain::fraud::settings::Settings;
use countersign::store::memory::MemoryStore;

use super::ground::{Ground, next_user};
use super::telegram;
use crate::support::messages::next_number;
use crate::support::rpc::{Answered, NAMED_USERS, OWN_USER, REGISTRATION};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Signal,
    Telegram,
    Twilio,
    Vonage,
    Zitadel,
}

impl Protocol {
    const ALL: [Self; 5] = [
        Self::Signal,
        Self::Telegram,
        Self::Twilio,
        Self::Vonage,
        Self::Zitadel,
    ];

    /// Whether a code is sent to the number.
    async fn sends(self, ground: &Ground, number: &str) -> bool {
        match self {
            Self::Signal => signal(ground, number).await,
            Self::Telegram => {
                let caller = telegram::client(ground, &next_user());
                telegram::send_code(&caller, number).await.is_ok()
            }
            Self::Twilio => twilio(ground, number).await,
            Self::Vonage => vonage(ground, number).await,
            Self::Zitadel => zitadel(ground, number).await,
        }
    }
}

async fn signal(ground: &Ground, number: &str) -> bool {
    let token = ground.signal_token().await;
    let asked = CreateRegistrationSessionRequest {
        e164: number[1..].parse().unwrap(),
        rate_limit_collation_key: next_user(),
        ..CreateRegistrationSessionRequest::default()
    };
    let path = format!("{REGISTRATION}/CreateSession");
    let begun: CreateRegistrationSessionResponse = ground.call(&path, &token, &asked).await.unwrap();
    let Some(created::Response::SessionMetadata(session)) = begun.response else {
        panic!("{begun:?}");
    };
    let asked = SendVerificationCodeRequest {
        session_id: session.session_id,
        transport: MessageTransport::Sms.into(),
        ..SendVerificationCodeRequest::default()
    };
    let path = format!("{REGISTRATION}/SendVerificationCode");
    let sent: SendVerificationCodeResponse = ground.call(&path, &token, &asked).await.unwrap();
    sent.error.is_none()
}

async fn twilio(ground: &Ground, number: &str) -> bool {
    let form = [("FriendlyName", "Owl Bank")];
    let service = ground.twilio("POST", "/v2/Services", &form).await.1;
    let path = format!("/v2/Services/{}/Verifications", service["sid"].as_str().unwrap());
    let form = [("To", number), ("Channel", "sms")];
    let (status, answer) = ground.twilio("POST", &path, &form).await;
    assert!([201, 403, 429].contains(&status), "{answer}");
    status == 201
}

async fn vonage(ground: &Ground, number: &str) -> bool {
    let form = [("number", &number[1..]), ("brand", "Owl Bank")];
    let (_, answer) = ground.form("POST", "/verify/json", &form).await;
    let status = answer["status"].as_str().unwrap();
    assert!(["0", "7"].contains(&status), "{answer}");
    status == "0"
}

async fn zitadel(ground: &Ground, number: &str) -> bool {
    let user = next_user();
    let token = ground.user_token(&user, false).await;
    let path = format!("{OWN_USER}/GetMyPhone");
    let _: GetMyPhoneResponse = ground.call(&path, &token, &GetMyPhoneRequest {}).await.unwrap();
    let backend = ground.user_token("a-backend", true).await;
    let wanted = set_phone_request::Verification::SendCode(SendPhoneVerificationCode {});
    let asked = SetPhoneRequest {
        user_id: user,
        phone: number.to_owned(),
        verification: Some(wanted),
    };
    let path = format!("{NAMED_USERS}/SetPhone");
    let set: Answered<SetPhoneResponse> = ground.call(&path, &backend, &asked).await;
    set.is_ok()
}

/// Whichever comes last, the others used the day's codes up; with one more a day it would have sent.
#[tokio::test]
async fn a_days_codes_of_a_number_are_counted_over_all_protocols() {
    for per_day in [4, 5] {
        let policy = Policy {
            toll_fraud: Settings {
                number_per_day: Some(per_day),
                ..Settings::off()
            },
            ..crate::doubles::policy()
        };
        let ground = Ground::with(Arc::new(MemoryStore::new()), policy).await;
        for last in Protocol::ALL {
            let number = next_number();
            for first in Protocol::ALL.into_iter().filter(|first| *first != last) {
                assert!(first.sends(&ground, &number).await, "{first:?} before {last:?}");
            }
            assert_eq!(
                last.sends(&ground, &number).await,
                per_day == 5,
                "{last:?}, {per_day} a day"
            );
        }
    }
}
