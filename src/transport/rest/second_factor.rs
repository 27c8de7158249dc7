//! `/users/me/tfa`, `/users/me/tfa/…` and `/users/{id}/tfa/disable`: two-factor sign-in.

use poem_openapi::Object;
use serde_json::json;

use crate::domain::{Error, Forbidden};
use crate::model::schema::USERS;
use crate::model::schema::settings;
use crate::transport::rest::envelope;
use crate::transport::rest::fields::body;
use crate::transport::rest::openapi::docs::operations;
use crate::transport::rest::openapi::parameters;
use crate::transport::rest::operation::{Reply, RequestContext};

operations! {
    /// Read the state of your second factor
    ///
    /// Whether your account has one, and the number of unused recovery codes. Needs no
    /// permission.
    GET "/users/me/tfa" => state, SignedIn, TAG, "readTwoFactorState"
        .returns::<FactorState>(
            "The state of the second factor.",
            json!({"enabled": true, "recovery_codes_left": 9}),
        )
        .secret();

    /// Generate a secret for a second factor
    ///
    /// Enter it in an authenticator app, and send it to `enable` with a code from the app.
    /// Nothing is stored before that.
    POST "/users/me/tfa/generate" => generate, SignedIn, TAG, "generateTwoFactorSecret"
        .takes::<PasswordAgain>(json!({"password": "correct horse battery"}))
        .returns::<NewFactor>(
            "A secret for an authenticator app.",
            json!({
                "secret": SECRET,
                "otpauth_url": "otpauth://totp/chinwag:alice%40example.com?secret=\
                    GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&period=30&digits=6&algorithm=SHA1\
                    &issuer=chinwag",
            }),
        )
        .fails([Error::payload("there already is a second factor: disable it first")])
        .secret();

    /// Enable the second factor of your own account
    ///
    /// From then on a sign-in needs `otp`. Needs the permission to update your own
    /// `tfa_secret`, unless a policy requires a second factor.
    POST "/users/me/tfa/enable" => enable, SignedIn, TAG, "enableTwoFactor"
        .takes::<FactorProof>(json!({"secret": SECRET, "otp": "287082"}))
        .fails([Error::payload("\"otp\" is invalid"), Error::collection(USERS.name)])
        .secret();

    /// Disable the second factor of your own account
    ///
    /// With a code from the app, or a recovery code.
    POST "/users/me/tfa/disable" => disable, SignedIn, TAG, "disableTwoFactor"
        .takes::<Otp>(json!({"otp": "287082"}))
        .fails([Error::payload("\"otp\" is invalid")])
        .secret();

    /// Generate recovery codes
    ///
    /// Each is valid for one sign-in, as `otp`, if the app is lost. Earlier codes become
    /// invalid.
    POST "/users/me/tfa/recovery-codes" => codes, SignedIn, TAG, "makeRecoveryCodes"
        .takes::<PasswordAgain>(json!({"password": "correct horse battery"}))
        .returns::<RecoveryCodes>(
            "The codes. They are shown only once.",
            json!({"recovery_codes": ["ABCD-EFGH-IJKL-MNOP"]}),
        )
        .fails([Error::payload("there is no second factor yet: enable one first")])
        .secret();

    /// Disable the second factor of an account
    ///
    /// For a user who has lost the app. For administrators.
    POST "/users/{id}/tfa/disable" => remove, Administrators, TAG, "disableTwoFactorOfUser"
        .with([parameters::named("account")])
        .fails([Error::Forbidden(Forbidden::Item)]);
}

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

const TAG: &str = "Users";

body! {
    struct PasswordAgain {
        /// The password of your own account, again.
        password: String,
    }

    struct FactorProof {
        /// The secret, in base32.
        secret: String,
        /// A code from the authenticator app.
        otp: String,
    }

    struct Otp {
        /// A code from the authenticator app.
        otp: String,
    }
}

#[derive(Object)]
struct FactorState {
    enabled: bool,
    recovery_codes_left: i64,
}

#[derive(Object)]
struct NewFactor {
    /// The secret, in base32.
    secret: String,
    /// The secret as a URL, for a QR code.
    otpauth_url: String,
}

#[derive(Object)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

async fn state(call: RequestContext) -> Reply {
    let state = call.context.services.auth.factor_state(call.actor()).await?;
    Ok(envelope::value(&FactorState {
        enabled: state.enabled,
        recovery_codes_left: i64::try_from(state.recovery_codes_left).unwrap_or(i64::MAX),
    }))
}

async fn generate(mut call: RequestContext) -> Reply {
    let PasswordAgain { password } = call.object().await?;
    let settings = call.context.services.settings.in_force().await?;
    let service =
        settings.text(&settings::project_name).unwrap_or(&call.context.config.server.project_name);
    let auth = &call.context.services.auth;
    let new = auth.propose_factor(call.actor(), &password, service).await?;
    Ok(envelope::value(&NewFactor { secret: new.secret, otpauth_url: new.otpauth_url }))
}

async fn enable(mut call: RequestContext) -> Reply {
    let FactorProof { secret, otp } = call.object().await?;
    call.context.services.auth.enable_factor(call.actor(), &secret, &otp).await?;
    Ok(envelope::nothing())
}

async fn disable(mut call: RequestContext) -> Reply {
    let Otp { otp } = call.object().await?;
    call.context.services.auth.disable_factor(call.actor(), &otp).await?;
    Ok(envelope::nothing())
}

async fn codes(mut call: RequestContext) -> Reply {
    let PasswordAgain { password } = call.object().await?;
    let auth = &call.context.services.auth;
    let recovery_codes = auth.make_recovery_codes(call.actor(), &password).await?;
    Ok(envelope::value(&RecoveryCodes { recovery_codes }))
}

async fn remove(call: RequestContext) -> Reply {
    let user = call.part("id").ok_or(Error::Forbidden(Forbidden::Item))?;
    call.context.services.auth.remove_factor(call.actor(), user).await?;
    Ok(envelope::nothing())
}
