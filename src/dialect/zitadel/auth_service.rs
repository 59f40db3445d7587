//! The first API: what users ask for themselves.

use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::auth::{TokenHolder, admit};
use super::details::details;
use super::error::{UserCall, failed, known, refused, wrong_code};
use super::policy::by_message;
use super::proto::zitadel::auth::v1::auth_service_server::AuthService;
use super::proto::zitadel::auth::v1::{
    AddMyAuthFactorOtpRequest, AddMyAuthFactorOtpResponse, AddMyAuthFactorOtpsmsRequest,
    AddMyAuthFactorOtpsmsResponse, GetMyPhoneRequest, GetMyPhoneResponse, HealthzRequest, HealthzResponse,
    ListMyAuthFactorsRequest, ListMyAuthFactorsResponse, RemoveMyAuthFactorOtpRequest,
    RemoveMyAuthFactorOtpResponse, RemoveMyAuthFactorOtpsmsRequest, RemoveMyAuthFactorOtpsmsResponse,
    RemoveMyPhoneRequest, RemoveMyPhoneResponse, ResendMyPhoneVerificationRequest,
    ResendMyPhoneVerificationResponse, SetMyPhoneRequest, SetMyPhoneResponse, VerifyMyAuthFactorOtpRequest,
    VerifyMyAuthFactorOtpResponse, VerifyMyPhoneRequest, VerifyMyPhoneResponse,
};
use super::proto::zitadel::user::v1::{
    AuthFactor, AuthFactorOtp, AuthFactorOtpsms, AuthFactorState, Phone, auth_factor,
};
use super::values::{code, number, too_short};
use crate::app::App;
use crate::flows::user::{self, NewPhone, PhoneProof, TotpState};

/// The user whose token is shown.
#[derive(Clone, Debug)]
pub(super) struct MyUser {
    pub(super) app: Arc<App>,
}

impl MyUser {
    async fn admit(&self, metadata: &MetadataMap) -> Result<TokenHolder, Status> {
        admit(&self.app, metadata).await
    }
}

#[tonic::async_trait]
impl AuthService for MyUser {
    async fn healthz(&self, _: Request<HealthzRequest>) -> Result<Response<HealthzResponse>, Status> {
        Ok(Response::new(HealthzResponse {}))
    }

    async fn get_my_phone(
        &self,
        request: Request<GetMyPhoneRequest>,
    ) -> Result<Response<GetMyPhoneResponse>, Status> {
        let TokenHolder { user, .. } = self.admit(request.metadata()).await?;
        let phone = user.phone.as_ref().map(|phone| Phone {
            phone: phone.number.as_str().to_owned(),
            is_phone_verified: phone.verified,
        });
        Ok(Response::new(GetMyPhoneResponse {
            details: Some(details(&user)),
            phone: Some(phone.unwrap_or_default()),
        }))
    }

    async fn set_my_phone(
        &self,
        request: Request<SetMyPhoneRequest>,
    ) -> Result<Response<SetMyPhoneResponse>, Status> {
        let TokenHolder { account, own, .. } = self.admit(request.metadata()).await?;
        let new = NewPhone {
            number: number("SetMyPhoneRequest.Phone", &request.get_ref().phone)?,
            keeps_verified: true,
            proof: PhoneProof::Code(Box::new(by_message())),
        };
        let set = user::set_phone(&self.app, account, &own, &new).await;
        let set = set.map_err(refused(UserCall::SetMyPhone))?;
        Ok(Response::new(SetMyPhoneResponse {
            details: Some(details(&set.user)),
        }))
    }

    async fn verify_my_phone(
        &self,
        request: Request<VerifyMyPhoneRequest>,
    ) -> Result<Response<VerifyMyPhoneResponse>, Status> {
        let TokenHolder { account, own, .. } = self.admit(request.metadata()).await?;
        let empty = || known(tonic::Code::InvalidArgument, "COMMAND-wMe9f", "Code is empty");
        let code = code("VerifyMyPhoneRequest.Code", &request.get_ref().code, empty)?;
        let call = UserCall::VerifyMyPhone;
        let verified = user::verify_phone(&self.app, account, &own, code).await;
        let user = verified.map_err(refused(call))?.ok_or_else(|| wrong_code(call))?;
        Ok(Response::new(VerifyMyPhoneResponse {
            details: Some(details(&user)),
        }))
    }

    async fn resend_my_phone_verification(
        &self,
        request: Request<ResendMyPhoneVerificationRequest>,
    ) -> Result<Response<ResendMyPhoneVerificationResponse>, Status> {
        let TokenHolder { account, own, .. } = self.admit(request.metadata()).await?;
        let sent = user::resend_phone_code(&self.app, account, &own, &by_message()).await;
        let sent = sent.map_err(refused(UserCall::ResendCode))?;
        Ok(Response::new(ResendMyPhoneVerificationResponse {
            details: Some(details(&sent.user)),
        }))
    }

    async fn remove_my_phone(
        &self,
        request: Request<RemoveMyPhoneRequest>,
    ) -> Result<Response<RemoveMyPhoneResponse>, Status> {
        let TokenHolder { account, own, .. } = self.admit(request.metadata()).await?;
        let removed = user::remove_phone(&self.app, account, &own).await;
        let user = removed.map_err(refused(UserCall::RemovePhone))?;
        Ok(Response::new(RemoveMyPhoneResponse {
            details: Some(details(&user)),
        }))
    }

    async fn list_my_auth_factors(
        &self,
        request: Request<ListMyAuthFactorsRequest>,
    ) -> Result<Response<ListMyAuthFactorsResponse>, Status> {
        let TokenHolder {
            account, own, user, ..
        } = self.admit(request.metadata()).await?;
        let totp = user::totp_state(&self.app, account, &own).await;
        let totp = totp.map_err(|fault| failed(&fault))?.map(|state| AuthFactor {
            state: match state {
                TotpState::Ready => AuthFactorState::Ready,
                TotpState::Unready => AuthFactorState::NotReady,
            }
            .into(),
            r#type: Some(auth_factor::Type::Otp(AuthFactorOtp {})),
        });
        let by_sms = user.code_by_sms.then(|| AuthFactor {
            state: AuthFactorState::Ready.into(),
            r#type: Some(auth_factor::Type::OtpSms(AuthFactorOtpsms {})),
        });
        Ok(Response::new(ListMyAuthFactorsResponse {
            result: totp.into_iter().chain(by_sms).collect(),
        }))
    }

    async fn add_my_auth_factor_otp(
        &self,
        request: Request<AddMyAuthFactorOtpRequest>,
    ) -> Result<Response<AddMyAuthFactorOtpResponse>, Status> {
        let TokenHolder { account, own, .. } = self.admit(request.metadata()).await?;
        let added = user::add_totp(&self.app, account, &own).await;
        let (user, enrolled) = added.map_err(refused(UserCall::AddTotp))?;
        Ok(Response::new(AddMyAuthFactorOtpResponse {
            url: enrolled.uri.to_text().to_string(),
            secret: enrolled.secret().to_string(),
            details: Some(details(&user)),
        }))
    }

    async fn verify_my_auth_factor_otp(
        &self,
        request: Request<VerifyMyAuthFactorOtpRequest>,
    ) -> Result<Response<VerifyMyAuthFactorOtpResponse>, Status> {
        let TokenHolder { account, own, .. } = self.admit(request.metadata()).await?;
        let (field, call) = ("VerifyMyAuthFactorOTPRequest.Code", UserCall::VerifyTotp);
        let code = code(field, &request.get_ref().code, || too_short(field))?;
        let verified = user::verify_totp(&self.app, account, &own, code).await;
        let user = verified.map_err(refused(call))?.ok_or_else(|| wrong_code(call))?;
        Ok(Response::new(VerifyMyAuthFactorOtpResponse {
            details: Some(details(&user)),
        }))
    }

    async fn remove_my_auth_factor_otp(
        &self,
        request: Request<RemoveMyAuthFactorOtpRequest>,
    ) -> Result<Response<RemoveMyAuthFactorOtpResponse>, Status> {
        let TokenHolder { account, own, .. } = self.admit(request.metadata()).await?;
        let removed = user::remove_totp(&self.app, account, &own).await;
        let user = removed.map_err(refused(UserCall::RemoveTotp))?;
        Ok(Response::new(RemoveMyAuthFactorOtpResponse {
            details: Some(details(&user)),
        }))
    }

    async fn add_my_auth_factor_otpsms(
        &self,
        request: Request<AddMyAuthFactorOtpsmsRequest>,
    ) -> Result<Response<AddMyAuthFactorOtpsmsResponse>, Status> {
        let TokenHolder { account, own, .. } = self.admit(request.metadata()).await?;
        let added = user::set_code_by_sms(&self.app, account, &own, true).await;
        let user = added.map_err(refused(UserCall::AddSms))?;
        Ok(Response::new(AddMyAuthFactorOtpsmsResponse {
            details: Some(details(&user)),
        }))
    }

    async fn remove_my_auth_factor_otpsms(
        &self,
        request: Request<RemoveMyAuthFactorOtpsmsRequest>,
    ) -> Result<Response<RemoveMyAuthFactorOtpsmsResponse>, Status> {
        let TokenHolder { account, own, .. } = self.admit(request.metadata()).await?;
        let removed = user::set_code_by_sms(&self.app, account, &own, false).await;
        let user = removed.map_err(refused(UserCall::RemoveSms))?;
        Ok(Response::new(RemoveMyAuthFactorOtpsmsResponse {
            details: Some(details(&user)),
        }))
    }
}
