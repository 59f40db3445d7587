//! Forms: JSON Schemas of what a push factor's requests hold.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::Call;
use super::error::ApiError;
use super::json as answer;

/// `GET /v2/Forms/{FormType}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    call.account()?;
    if call.name("FormType") != Some("form-push") {
        return Err(call.not_found());
    }
    let forms = json!({
        "form_type": "form-push",
        "forms": {
            "create_factor": schema(
                &[
                    ("FriendlyName", text(1, 64)),
                    ("FactorType", json!({"const": "push"})),
                    ("Binding.Alg", json!({"const": "ES256"})),
                    ("Binding.PublicKey", text(124, 124)),
                    ("Config.AppId", text(0, 100)),
                    ("Config.NotificationPlatform", json!({"enum": ["apn", "fcm", "none"]})),
                    ("Config.NotificationToken", text(32, 255)),
                    ("Config.SdkVersion", text(1, 64)),
                    ("Metadata", text(2, 1024)),
                ],
                &[
                    "FriendlyName",
                    "FactorType",
                    "Binding.PublicKey",
                    "Config.AppId",
                    "Config.NotificationPlatform",
                    "Config.SdkVersion",
                ],
            ),
            "verify_factor": schema(&[("AuthPayload", text(88, 96))], &["AuthPayload"]),
            "create_challenge": schema(
                &[
                    ("FactorSid", json!({"type": "string", "pattern": "^YF[0-9a-fA-F]{32}$"})),
                    ("ExpirationDate", json!({"type": "string", "format": "date-time"})),
                    ("Details.Message", text(1, 256)),
                    ("Details.Fields", json!({"type": "array", "items": {"type": "string"}, "maxItems": 20})),
                    ("HiddenDetails", text(2, 1024)),
                ],
                &["FactorSid", "Details.Message"],
            ),
        },
        "form_meta": {},
        "url": call.own_url(),
    });
    Ok(answer::resource(StatusCode::OK, &forms))
}

fn schema(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: serde_json::Map<_, _> = properties
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn text(shortest: usize, longest: usize) -> Value {
    json!({"type": "string", "minLength": shortest, "maxLength": longest})
}
