//! The first API: what users ask for themselves.

use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::auth::{TokenHolder, admit};
use super::details::details;
use super::error::{PhoneCall, known, refused, wrong_code};
use super::policy::policy;
use super::proto::zitadel::auth::v1::auth_service_server::AuthService;
use super::proto::zitadel::auth::v1::{
    GetMyPhoneRequest, GetMyPhoneResponse, HealthzRequest, HealthzResponse, RemoveMyPhoneRequest,
    RemoveMyPhoneResponse, ResendMyPhoneVerificationRequest, ResendMyPhoneVerificationResponse,
    SetMyPhoneRequest, SetMyPhoneResponse, VerifyMyPhoneRequest, VerifyMyPhoneResponse,
};
use super::proto::zitadel::user::v1::Phone;
use super::values::{code, number};
use crate::app::App;
use crate::domain::verification::Content;
use crate::flows::user::{self, Issuing, NewPhone, PhoneProof};

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
        let set = set.map_err(refused(PhoneCall::SetMine))?;
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
        let asked = PhoneCall::VerifyMine;
        let verified = user::verify_phone(&self.app, account, &own, code).await;
        let user = verified
            .map_err(refused(asked))?
            .ok_or_else(|| wrong_code(asked))?;
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
        let sent = sent.map_err(refused(PhoneCall::Resend))?;
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
        let user = removed.map_err(refused(PhoneCall::Remove))?;
        Ok(Response::new(RemoveMyPhoneResponse {
            details: Some(details(&user)),
        }))
    }
}

/// A code that goes to the number.
fn by_message() -> Issuing {
    Issuing {
        policy: policy(),
        content: Content::default(),
        returned: false,
    }
}
