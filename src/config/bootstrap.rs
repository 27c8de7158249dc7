//! Data created on a first start.

use crate::config::Secret;

settings! {
    /// Data created on a first start.
    pub struct BootstrapConfig {
        /// The address of the administrator.
        admin_email: Option<String> = group(Some) {
            /// The address of the administrator created at the first start. Later it has no effect.
            email = setting("ADMIN_EMAIL", "admin@example.com", email);
        };
        /// The administrator's password, at least 8 characters. Not set: generated and printed
        /// once. Later it has no effect; use `chinwag users password`.
        admin_password: Option<Secret> = secret("ADMIN_PASSWORD", secret(8));
        /// The address or id of the account that messages of the public are attributed to. Not set:
        /// none, with `--demo` its guest account. Empty (`PUBLIC_USER=`): none, also with `--demo`.
        public_user: Option<String> = even_empty("PUBLIC_USER");
        /// `--demo`: the state at the end of the tutorial.
        demo: bool = computed(false);
    }
}
