//! The second API: what is asked for a user by name, by that user or by whoever may manage users.

use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::auth::admit;
use super::details::details_v2;
use super::error::{UserCall, failed, known, refused, wrong_code};
use super::policy::{by_message, returned};
use super::proto::zitadel::user::v2::user_service_server::UserService;
use super::proto::zitadel::user::v2::{
    AddOtpsmsRequest, AddOtpsmsResponse, AuthFactor, AuthFactorOtp, AuthFactorOtpsms, AuthFactorState,
    AuthFactors, ListAuthenticationFactorsRequest, ListAuthenticationFactorsResponse, RegisterTotpRequest,
    RegisterTotpResponse, RemoveOtpsmsRequest, RemoveOtpsmsResponse, RemovePhoneRequest, RemovePhoneResponse,
    RemoveTotpRequest, RemoveTotpResponse, ResendPhoneCodeRequest, ResendPhoneCodeResponse, SetPhoneRequest,
    SetPhoneResponse, VerifyPhoneRequest, VerifyPhoneResponse, VerifyTotpRegistrationRequest,
    VerifyTotpRegistrationResponse, auth_factor, resend_phone_code_request, set_phone_request,
};
use super::values::{code, number, too_short};
use crate::app::App;
use crate::domain::entity::EntityName;
use crate::domain::sid::AccountSid;
use crate::flows::user::{self, ChangedPhone, NewPhone, PhoneProof, TotpState};

/// The users that whoever shows a token may act for.
#[derive(Clone, Debug)]
pub(super) struct NamedUsers {
    pub(super) app: Arc<App>,
}

impl NamedUsers {
    /// The account and the user that a call is about.
    async fn admit(&self, metadata: &MetadataMap, user: &str) -> Result<(AccountSid, EntityName), Status> {
        let holder = admit(&self.app, metadata).await?;
        Ok((holder.account, holder.user_named(user)?))
    }

    /// The same for what only whoever manages users may ask, their own user included: who reads their own code, or vouches for
    /// themselves, has any number verified.
    async fn admit_manager(
        &self,
        metadata: &MetadataMap,
        user: &str,
    ) -> Result<(AccountSid, EntityName), Status> {
        let holder = admit(&self.app, metadata).await?;
        holder.require_manager()?;
        Ok((holder.account, holder.user_named(user)?))
    }
}

#[tonic::async_trait]
impl UserService for NamedUsers {
    async fn set_phone(
        &self,
        request: Request<SetPhoneRequest>,
    ) -> Result<Response<SetPhoneResponse>, Status> {
        use set_phone_request::Verification as Proof;
        let message = request.get_ref();
        let (metadata, named) = (request.metadata(), &message.user_id);
        let ((account, name), proof) = match message.verification {
            Some(Proof::SendCode(_)) | None => (
                self.admit(metadata, named).await?,
                PhoneProof::Code(Box::new(by_message())),
            ),
            Some(Proof::ReturnCode(_)) => (
                self.admit_manager(metadata, named).await?,
                PhoneProof::Code(Box::new(returned())),
            ),
            Some(Proof::IsVerified(true)) => {
                (self.admit_manager(metadata, named).await?, PhoneProof::Vouched)
            }
            Some(Proof::IsVerified(false)) => {
                self.admit_manager(metadata, named).await?;
                return Err(Status::invalid_argument(
                    "invalid SetPhoneRequest.IsVerified: it must be true; leave it out to have a code sent",
                ));
            }
        };
        let new = NewPhone {
            number: number("SetPhoneRequest.Phone", &message.phone)?,
            keeps_verified: false,
            proof,
        };
        let set = user::set_phone(&self.app, account, &name, &new).await;
        let set = set.map_err(refused(UserCall::SetPhone))?;
        Ok(Response::new(SetPhoneResponse {
            details: Some(details_v2(&set.user)),
            verification_code: revealed(&set),
        }))
    }

    async fn resend_phone_code(
        &self,
        request: Request<ResendPhoneCodeRequest>,
    ) -> Result<Response<ResendPhoneCodeResponse>, Status> {
        use resend_phone_code_request::Verification as Proof;
        let message = request.get_ref();
        let (metadata, named) = (request.metadata(), &message.user_id);
        let ((account, name), issuing) = match message.verification {
            Some(Proof::SendCode(_)) | None => (self.admit(metadata, named).await?, by_message()),
            Some(Proof::ReturnCode(_)) => (self.admit_manager(metadata, named).await?, returned()),
        };
        let sent = user::resend_phone_code(&self.app, account, &name, &issuing).await;
        let sent = sent.map_err(refused(UserCall::ResendCode))?;
        Ok(Response::new(ResendPhoneCodeResponse {
            details: Some(details_v2(&sent.user)),
            verification_code: revealed(&sent),
        }))
    }

    async fn verify_phone(
        &self,
        request: Request<VerifyPhoneRequest>,
    ) -> Result<Response<VerifyPhoneResponse>, Status> {
        let message = request.get_ref();
        let (account, name) = self.admit(request.metadata(), &message.user_id).await?;
        let empty = || known(tonic::Code::InvalidArgument, "COMMAND-Fia4a", "Code is empty");
        let field = "VerifyPhoneRequest.VerificationCode";
        let code = code(field, &message.verification_code, empty)?;
        let call = UserCall::VerifyPhone;
        let verified = user::verify_phone(&self.app, account, &name, code).await;
        let user = verified.map_err(refused(call))?.ok_or_else(|| wrong_code(call))?;
        Ok(Response::new(VerifyPhoneResponse {
            details: Some(details_v2(&user)),
        }))
    }

    async fn remove_phone(
        &self,
        request: Request<RemovePhoneRequest>,
    ) -> Result<Response<RemovePhoneResponse>, Status> {
        let named = &request.get_ref().user_id;
        let (account, name) = self.admit(request.metadata(), named).await?;
        let removed = user::remove_phone(&self.app, account, &name).await;
        let user = removed.map_err(refused(UserCall::RemovePhone))?;
        Ok(Response::new(RemovePhoneResponse {
            details: Some(details_v2(&user)),
        }))
    }

    async fn register_totp(
        &self,
        request: Request<RegisterTotpRequest>,
    ) -> Result<Response<RegisterTotpResponse>, Status> {
        let named = &request.get_ref().user_id;
        let (account, name) = self.admit(request.metadata(), named).await?;
        let added = user::add_totp(&self.app, account, &name).await;
        let (user, enrolled) = added.map_err(refused(UserCall::AddTotp))?;
        Ok(Response::new(RegisterTotpResponse {
            details: Some(details_v2(&user)),
            uri: enrolled.uri.to_text().to_string(),
            secret: enrolled.secret().to_string(),
        }))
    }

    async fn verify_totp_registration(
        &self,
        request: Request<VerifyTotpRegistrationRequest>,
    ) -> Result<Response<VerifyTotpRegistrationResponse>, Status> {
        let message = request.get_ref();
        let (account, name) = self.admit(request.metadata(), &message.user_id).await?;
        let (field, call) = ("VerifyTOTPRegistrationRequest.Code", UserCall::VerifyTotp);
        let code = code(field, &message.code, || too_short(field))?;
        let verified = user::verify_totp(&self.app, account, &name, code).await;
        let user = verified.map_err(refused(call))?.ok_or_else(|| wrong_code(call))?;
        Ok(Response::new(VerifyTotpRegistrationResponse {
            details: Some(details_v2(&user)),
        }))
    }

    async fn remove_totp(
        &self,
        request: Request<RemoveTotpRequest>,
    ) -> Result<Response<RemoveTotpResponse>, Status> {
        let named = &request.get_ref().user_id;
        let (account, name) = self.admit(request.metadata(), named).await?;
        let removed = user::remove_totp(&self.app, account, &name).await;
        let user = removed.map_err(refused(UserCall::RemoveTotp))?;
        Ok(Response::new(RemoveTotpResponse {
            details: Some(details_v2(&user)),
        }))
    }

    async fn add_otpsms(
        &self,
        request: Request<AddOtpsmsRequest>,
    ) -> Result<Response<AddOtpsmsResponse>, Status> {
        let named = &request.get_ref().user_id;
        let (account, name) = self.admit(request.metadata(), named).await?;
        let added = user::set_code_by_sms(&self.app, account, &name, true).await;
        let user = added.map_err(refused(UserCall::AddSms))?;
        Ok(Response::new(AddOtpsmsResponse {
            details: Some(details_v2(&user)),
        }))
    }

    async fn remove_otpsms(
        &self,
        request: Request<RemoveOtpsmsRequest>,
    ) -> Result<Response<RemoveOtpsmsResponse>, Status> {
        let named = &request.get_ref().user_id;
        let (account, name) = self.admit(request.metadata(), named).await?;
        let removed = user::set_code_by_sms(&self.app, account, &name, false).await;
        let user = removed.map_err(refused(UserCall::RemoveSms))?;
        Ok(Response::new(RemoveOtpsmsResponse {
            details: Some(details_v2(&user)),
        }))
    }

    async fn list_authentication_factors(
        &self,
        request: Request<ListAuthenticationFactorsRequest>,
    ) -> Result<Response<ListAuthenticationFactorsResponse>, Status> {
        let message = request.get_ref();
        let (account, name) = self.admit(request.metadata(), &message.user_id).await?;
        let user = user::fetch(&self.app, account, &name).await;
        let user = user.map_err(refused(UserCall::ListFactors))?;
        let totp = user::totp_state(&self.app, account, &name).await;
        let totp = totp.map_err(|fault| failed(&fault))?.map(|state| {
            let state = match state {
                TotpState::Ready => AuthFactorState::Ready,
                TotpState::Unready => AuthFactorState::NotReady,
            };
            (AuthFactors::Otp, state, auth_factor::Type::Otp(AuthFactorOtp {}))
        });
        let by_sms = user.code_by_sms.then(|| {
            let kind = auth_factor::Type::OtpSms(AuthFactorOtpsms {});
            (AuthFactors::OtpSms, AuthFactorState::Ready, kind)
        });
        let wanted = |list: &[i32], value: i32| list.is_empty() || list.contains(&value);
        let result = totp
            .into_iter()
            .chain(by_sms)
            .filter(|(kind, state, _)| {
                wanted(&message.auth_factors, (*kind).into()) && wanted(&message.states, (*state).into())
            })
            .map(|(_, state, kind)| AuthFactor {
                state: state.into(),
                r#type: Some(kind),
            });
        Ok(Response::new(ListAuthenticationFactorsResponse {
            result: result.collect(),
        }))
    }
}

/// The code, for whoever asked for it.
fn revealed(issued: &ChangedPhone) -> Option<String> {
    issued.code.as_ref().map(|code| code.reveal().to_owned())
}
