//! The calls as requests with JSON: the paths of the published HTTP API.

use axum::http::{HeaderMap, Uri};

use crate::web::rpc::json::JsonRoute;

/// Whether a request with this head is for this dialect. Other dialects have paths below `/v2`, too.
#[must_use]
pub fn claims(uri: &Uri, _: &HeaderMap) -> bool {
    let prefixes = ["/zitadel.", "/auth/v1/", "/v2/users/"];
    prefixes.iter().any(|prefix| uri.path().starts_with(prefix))
}

/// One for each call.
pub(super) const ROUTES: &[JsonRoute] = &[
    route("GET", "/auth/v1/healthz", "zitadel.auth.v1.AuthService/Healthz"),
    route(
        "GET",
        "/auth/v1/users/me/phone",
        "zitadel.auth.v1.AuthService/GetMyPhone",
    ),
    route(
        "PUT",
        "/auth/v1/users/me/phone",
        "zitadel.auth.v1.AuthService/SetMyPhone",
    ),
    route(
        "POST",
        "/auth/v1/users/me/phone/_verify",
        "zitadel.auth.v1.AuthService/VerifyMyPhone",
    ),
    route(
        "POST",
        "/auth/v1/users/me/phone/_resend_verification",
        "zitadel.auth.v1.AuthService/ResendMyPhoneVerification",
    ),
    route(
        "DELETE",
        "/auth/v1/users/me/phone",
        "zitadel.auth.v1.AuthService/RemoveMyPhone",
    ),
    route(
        "POST",
        "/auth/v1/users/me/auth_factors/_search",
        "zitadel.auth.v1.AuthService/ListMyAuthFactors",
    ),
    route(
        "POST",
        "/auth/v1/users/me/auth_factors/otp",
        "zitadel.auth.v1.AuthService/AddMyAuthFactorOTP",
    ),
    route(
        "POST",
        "/auth/v1/users/me/auth_factors/otp/_verify",
        "zitadel.auth.v1.AuthService/VerifyMyAuthFactorOTP",
    ),
    route(
        "DELETE",
        "/auth/v1/users/me/auth_factors/otp",
        "zitadel.auth.v1.AuthService/RemoveMyAuthFactorOTP",
    ),
    route(
        "POST",
        "/auth/v1/users/me/auth_factors/otp_sms",
        "zitadel.auth.v1.AuthService/AddMyAuthFactorOTPSMS",
    ),
    route(
        "DELETE",
        "/auth/v1/users/me/auth_factors/otp_sms",
        "zitadel.auth.v1.AuthService/RemoveMyAuthFactorOTPSMS",
    ),
    route(
        "POST",
        "/v2/users/{user_id}/phone",
        "zitadel.user.v2.UserService/SetPhone",
    ),
    route(
        "POST",
        "/v2/users/{user_id}/phone/resend",
        "zitadel.user.v2.UserService/ResendPhoneCode",
    ),
    route(
        "POST",
        "/v2/users/{user_id}/phone/verify",
        "zitadel.user.v2.UserService/VerifyPhone",
    ),
    route(
        "DELETE",
        "/v2/users/{user_id}/phone",
        "zitadel.user.v2.UserService/RemovePhone",
    ),
    route(
        "POST",
        "/v2/users/{user_id}/totp",
        "zitadel.user.v2.UserService/RegisterTOTP",
    ),
    route(
        "POST",
        "/v2/users/{user_id}/totp/verify",
        "zitadel.user.v2.UserService/VerifyTOTPRegistration",
    ),
    route(
        "DELETE",
        "/v2/users/{user_id}/totp",
        "zitadel.user.v2.UserService/RemoveTOTP",
    ),
    route(
        "POST",
        "/v2/users/{user_id}/otp_sms",
        "zitadel.user.v2.UserService/AddOTPSMS",
    ),
    route(
        "DELETE",
        "/v2/users/{user_id}/otp_sms",
        "zitadel.user.v2.UserService/RemoveOTPSMS",
    ),
    route(
        "POST",
        "/v2/users/{user_id}/authentication_factors/_search",
        "zitadel.user.v2.UserService/ListAuthenticationFactors",
    ),
];

const fn route(method: &'static str, path: &'static str, call: &'static str) -> JsonRoute {
    JsonRoute { method, path, call }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::super::DESCRIPTORS;
    use super::*;

    #[test]
    fn each_call_has_one_route_that_is_claimed() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let methods = pool.services().flat_map(|service| {
            let name = service.full_name().to_owned();
            let calls: Vec<_> = service
                .methods()
                .map(|method| format!("{name}/{}", method.name()))
                .collect();
            calls
        });
        let mut methods: Vec<_> = methods.collect();
        methods.sort_unstable();
        let mut routed: Vec<_> = ROUTES.iter().map(|route| route.call).collect();
        routed.sort_unstable();
        assert_eq!(routed, methods);
        for route in ROUTES {
            let path = route.path.replace("{user_id}", "a-user-1");
            assert!(claims(&path.parse().unwrap(), &HeaderMap::new()), "{path}");
            let call = format!("/{}", route.call);
            assert!(claims(&call.parse().unwrap(), &HeaderMap::new()), "{call}");
        }
    }

    #[test]
    fn paths_of_others_are_theirs() {
        for path in [
            "/v2/Services",
            "/v2/usersx",
            "/v2/users",
            "/v2",
            "/auth",
            "/auth/v2/x",
            "/",
            "/zitadel",
        ] {
            assert!(!claims(&path.parse().unwrap(), &HeaderMap::new()), "{path}");
        }
    }

    /// The fields of a request that has no body are all in its path.
    #[test]
    fn what_is_asked_without_a_body_needs_none() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        for route in ROUTES
            .iter()
            .filter(|route| matches!(route.method, "GET" | "DELETE"))
        {
            let (service, name) = route.call.split_once('/').unwrap();
            let service = pool.get_service_by_name(service).unwrap();
            let method = service.methods().find(|method| method.name() == name).unwrap();
            for field in method.input().fields() {
                assert!(
                    route.path.contains(&format!("{{{}}}", field.name())),
                    "{}",
                    route.call
                );
            }
        }
    }
}
