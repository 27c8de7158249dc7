//! The named values of accounts, their sessions and their mails.

use crate::model::named::named;

/// The provider of accounts that sign in with a password.
pub const DEFAULT_PROVIDER: &str = "default";

named! {
    /// The status of an account.
    pub enum AccountStatus {
        /// The only status in which it can be used.
        Active = "active",
        /// Not yet in use.
        Draft = "draft",
        /// Invited, and its user has not yet chosen a password.
        Invited = "invited",
        /// Registered, and its email address is not yet confirmed.
        Unverified = "unverified",
        /// No longer in use.
        Archived = "archived",
        /// Locked by an administrator.
        Suspended = "suspended",
    }
}

named! {
    /// How the tokens of a session are delivered to the client.
    pub enum SessionMode {
        /// Both tokens in the body.
        Json = "json",
        /// The refresh token in a cookie.
        Cookie = "cookie",
        /// One session token in a cookie.
        Session = "session",
    }
}

named! {
    /// The purpose of a mail and of its link.
    pub enum MailKind {
        /// Sign-up: the new user proves access to the address.
        Registration = "registration",
        /// Invitation: the user of a new account chooses its password.
        Invitation = "invitation",
        /// Reset of a forgotten password.
        Reset = "reset",
    }
}
