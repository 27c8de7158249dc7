//! `/users/me/tfa`, `/users/me/tfa/…` and `/users/{id}/tfa/disable`: two-factor sign-in.

use poem::http::Method;
use serde_json::json;

use crate::domain::Error;
use crate::domain::Forbidden;
use crate::model::schema::USERS;
use crate::transport::rest::envelope;
use crate::transport::rest::fields;
use crate::transport::rest::fields::require_text;
use crate::transport::rest::operation::Access;
use crate::transport::rest::operation::Content;
use crate::transport::rest::operation::Handler;
use crate::transport::rest::operation::Operation;
use crate::transport::rest::operation::OperationDocs;
use crate::transport::rest::operation::Reply;
use crate::transport::rest::operation::RequestContext;
use crate::transport::rest::operation::Success;
use crate::transport::rest::parameters;
use crate::transport::rest::schemas;

/// Returns the operations on second factors.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let own = |method, path: &str, handler: Handler, docs| {
        Operation::new(method, path, Access::SignedIn, handler, docs).secret()
    };
    vec![
        own(Method::GET, "/users/me/tfa", |call| Box::pin(state(call)), state_docs()),
        own(
            Method::POST,
            "/users/me/tfa/generate",
            |call| Box::pin(generate(call)),
            generate_docs(),
        ),
        own(Method::POST, "/users/me/tfa/enable", |call| Box::pin(enable(call)), enable_docs()),
        own(Method::POST, "/users/me/tfa/disable", |call| Box::pin(disable(call)), disable_docs()),
        own(
            Method::POST,
            "/users/me/tfa/recovery-codes",
            |call| Box::pin(codes(call)),
            codes_docs(),
        ),
        Operation::new(
            Method::POST,
            "/users/{id}/tfa/disable",
            Access::Administrators,
            |call| Box::pin(remove(call)),
            remove_docs(),
        ),
    ]
}

async fn state(call: RequestContext) -> Reply {
    let state = call.context.services.auth.factor_state(call.actor()).await?;
    Ok(envelope::data(&json!({
        "enabled": state.enabled,
        "recovery_codes_left": state.recovery_codes_left,
    })))
}

async fn generate(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    let password = require_text(&body, "password")?;
    let settings = call.context.services.settings.in_force().await?;
    let service = settings.project_name().unwrap_or(&call.context.config.server.project_name);
    let auth = &call.context.services.auth;
    let new = auth.propose_factor(call.actor(), password, service).await?;
    let data = json!({"secret": new.secret, "otpauth_url": new.otpauth_url});
    Ok(envelope::data(&data))
}

async fn enable(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    let (secret, otp) = (require_text(&body, "secret")?, require_text(&body, "otp")?);
    call.context.services.auth.enable_factor(call.actor(), secret, otp).await?;
    Ok(envelope::nothing())
}

async fn disable(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    call.context.services.auth.disable_factor(call.actor(), require_text(&body, "otp")?).await?;
    Ok(envelope::nothing())
}

async fn codes(mut call: RequestContext) -> Reply {
    let body = fields::object(call.body().await?)?;
    let auth = &call.context.services.auth;
    let codes = auth.make_recovery_codes(call.actor(), require_text(&body, "password")?).await?;
    Ok(envelope::data(&json!({"recovery_codes": codes})))
}

async fn remove(call: RequestContext) -> Reply {
    let user = call.part("id").ok_or(Error::Forbidden(Forbidden::Item))?;
    call.context.services.auth.remove_factor(call.actor(), user).await?;
    Ok(envelope::nothing())
}

const TAG: &str = "Users";

fn docs(id: &'static str, summary: &'static str, description: &'static str) -> OperationDocs {
    OperationDocs::new(TAG, id, summary, description)
}

fn state_docs() -> OperationDocs {
    OperationDocs {
        success: Success::json(
            "The state of the second factor.",
            schemas::data(schemas::reference("FactorState")),
            json!({"data": {"enabled": true, "recovery_codes_left": 9}}),
        ),
        ..docs(
            "readTwoFactorState",
            "Read the state of your second factor",
            "Whether your account has one, and the number of unused recovery codes. Needs no \
             permission.",
        )
    }
}

fn generate_docs() -> OperationDocs {
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let url = format!(
        "otpauth://totp/chinwag:alice%40example.com?secret={secret}&period=30&digits=6\
         &algorithm=SHA1&issuer=chinwag"
    );
    OperationDocs {
        request: Some(Content::json(
            schemas::reference("PasswordAgain"),
            json!({"password": "correct horse battery"}),
        )),
        success: Success::json(
            "A secret for an authenticator app.",
            schemas::data(schemas::reference("NewFactor")),
            json!({"data": {"secret": secret, "otpauth_url": url}}),
        ),
        failures: vec![
            Error::payload("\"password\" is required"),
            Error::payload("there already is a second factor: disable it first"),
        ],
        ..docs(
            "generateTwoFactorSecret",
            "Generate a secret for a second factor",
            "Enter it in an authenticator app, and send it to `enable` with a code from the app. \
             Nothing is stored before that.",
        )
    }
}

fn enable_docs() -> OperationDocs {
    OperationDocs {
        request: Some(Content::json(
            schemas::reference("FactorProof"),
            json!({"secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "otp": "287082"}),
        )),
        failures: vec![Error::payload("\"otp\" is invalid"), Error::collection(USERS.name)],
        ..docs(
            "enableTwoFactor",
            "Enable the second factor of your own account",
            "From then on a sign-in needs `otp`. Needs the permission to update your own \
             `tfa_secret`, unless a policy requires a second factor.",
        )
    }
}

fn disable_docs() -> OperationDocs {
    OperationDocs {
        request: Some(Content::json(schemas::reference("Otp"), json!({"otp": "287082"}))),
        failures: vec![Error::payload("\"otp\" is invalid")],
        ..docs(
            "disableTwoFactor",
            "Disable the second factor of your own account",
            "With a code from the app, or a recovery code.",
        )
    }
}

fn codes_docs() -> OperationDocs {
    OperationDocs {
        request: Some(Content::json(
            schemas::reference("PasswordAgain"),
            json!({"password": "correct horse battery"}),
        )),
        success: Success::json(
            "The codes. They are shown only once.",
            schemas::data(schemas::reference("RecoveryCodes")),
            json!({"data": {"recovery_codes": ["ABCD-EFGH-IJKL-MNOP"]}}),
        ),
        failures: vec![Error::payload("there is no second factor yet: enable one first")],
        ..docs(
            "makeRecoveryCodes",
            "Generate recovery codes",
            "Each is valid for one sign-in, as `otp`, if the app is lost. Earlier codes become \
             invalid.",
        )
    }
}

fn remove_docs() -> OperationDocs {
    OperationDocs {
        parameters: vec![parameters::account()],
        failures: vec![Error::Forbidden(Forbidden::Item)],
        ..docs(
            "disableTwoFactorOfUser",
            "Disable the second factor of an account",
            "For a user who has lost the app. For administrators.",
        )
    }
}
