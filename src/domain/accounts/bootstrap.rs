//! Data that the first start creates: an administrator, the default roles and policies and, with
//! `--demo`, the state at the end of the tutorial. Afterwards the database is authoritative.

use serde_json::json;
use uuid::Uuid;

use crate::config::BootstrapConfig;
use crate::domain::Error;
use crate::domain::accounts;
use crate::domain::accounts::{Accounts, MEMBER};
use crate::domain::auth::password_policy;
use crate::model::collection::SINGLE_KEY;
use crate::model::id;
use crate::model::schema::access;
use crate::model::schema::messages;
use crate::model::schema::permissions;
use crate::model::schema::policies;
use crate::model::schema::roles;
use crate::model::schema::settings;
use crate::model::schema::users;
use crate::model::schema::{ACCESS, MESSAGES, PERMISSIONS, POLICIES, ROLES, SETTINGS, USERS};
use crate::model::{Action, Collection, Column, Field, Key, Row};
use crate::store::{Mutation, Precondition, Store};

/// The administrator's address if `ADMIN_EMAIL` is not set.
const ADMIN_EMAIL: &str = "admin@example.com";

/// The account that anonymous writes are attributed to with `--demo`. It has no password.
const GUEST_EMAIL: &str = "guest@example.com";

/// The fields of their own account that members may update.
static OWN_FIELDS: [&Field; 9] = [
    users::first_name.field(),
    users::last_name.field(),
    users::password.field(),
    users::avatar.field(),
    users::title.field(),
    users::description.field(),
    users::language.field(),
    users::appearance.field(),
    users::tfa_secret.field(),
];

/// The demo accounts: first name, address and password. The passwords are public.
pub const DEMO_LOGINS: [(&str, &str, &str); 2] =
    [("Alice", "alice@example.com", "chinwag-alice"), ("Bob", "bob@example.com", "chinwag-bob")];

/// The result of the bootstrap.
#[derive(Debug, Default)]
pub struct Bootstrapped {
    /// The address and password of a new administrator, if this start generated the password.
    pub admin: Option<(String, String)>,
    /// The account that anonymous creates are attributed to.
    pub public_user: Option<Uuid>,
}

/// Creates the missing rows.
///
/// # Errors
/// [`Error::InvalidPayload`] if `PUBLIC_USER` matches no account; when the store fails.
pub async fn run(
    config: &BootstrapConfig,
    store: &Store,
    accounts: &Accounts,
) -> Result<Bootstrapped, Error> {
    let mut done = Bootstrapped::default();
    let defaults = if store.all(&POLICIES).await?.is_empty() {
        let defaults = Defaults::new();
        let email = config.admin_email.as_deref().unwrap_or(ADMIN_EMAIL);
        let (password, generated) = match &config.admin_password {
            Some(password) => {
                if password_policy::is_common(&password.0) {
                    tracing::warn!("ADMIN_PASSWORD is a very common password: change it");
                }
                (password.0.clone(), false)
            }
            None => (accounts::generate(), true),
        };
        let admin = accounts
            .row(id::fresh(), email, Some("Admin"), Some(&password))
            .await?
            .with(&users::last_name, "User")
            .with(&users::role, defaults.admin_role);
        accounts.commit(defaults.ops(admin)).await?;
        done.admin = generated.then(|| (email.to_owned(), password));
        Some(defaults)
    } else {
        None
    };
    if config.demo {
        demo(store, accounts, defaults.as_ref()).await?;
    }
    done.public_user = public_user(config, store).await?;
    Ok(done)
}

/// Resolves `PUBLIC_USER`, an address or an id. With `--demo` it defaults to the guest account.
async fn public_user(config: &BootstrapConfig, store: &Store) -> Result<Option<Uuid>, Error> {
    let name = match config.public_user.as_deref() {
        Some("") => return Ok(None),
        Some(name) => name,
        None if config.demo => GUEST_EMAIL,
        None => return Ok(None),
    };
    let row = match Uuid::try_parse(name) {
        Ok(id) => store.find(&USERS, Key::Uuid(id)).await?,
        Err(_) => store.find_user_by_email(name).await?,
    };
    let user = row.and_then(|row| row.get(&users::id));
    if user.is_none() && config.public_user.is_some() {
        return Err(Error::payload(format!(
            "PUBLIC_USER is \"{name}\", but no account has this email address or id"
        )));
    }
    Ok(user)
}

/// Adds the final state of the tutorial: visitors may read and create messages and read names;
/// Alice and Bob have the Public policy and may edit and delete their messages. Sign-up is open.
async fn demo(store: &Store, accounts: &Accounts, fresh: Option<&Defaults>) -> Result<(), Error> {
    if store.find_user_by_email(GUEST_EMAIL).await?.is_some() {
        return Ok(());
    }
    let (public, member) = match fresh {
        Some(defaults) => (Some(defaults.public_policy), Some(defaults.member_policy)),
        None => (find_public(store).await?, find(store, &POLICIES, &policies::name, MEMBER).await?),
    };
    let mut users = vec![accounts.row(id::fresh(), GUEST_EMAIL, Some("Guest"), None).await?];
    let mut access = Vec::new();
    for (name, email, password) in DEMO_LOGINS {
        if store.find_user_by_email(email).await?.is_some() {
            continue;
        }
        let id = id::fresh();
        users.push(accounts.row(id, email, Some(name), Some(password)).await?);
        access.extend(
            [public, member]
                .into_iter()
                .flatten()
                .map(|policy| grant(policy).with(&access::user, id)),
        );
    }
    let names = [&users::first_name, &users::last_name].map(Column::field);
    let permissions = public.map(|public| {
        vec![
            permission(public, &MESSAGES, Action::Create, &[]),
            permission(public, &MESSAGES, Action::Read, &[]),
            permission(public, &USERS, Action::Read, &names),
        ]
    });
    let member = match fresh {
        Some(defaults) => Some(defaults.member_role),
        None => find(store, &ROLES, &roles::name, MEMBER).await?,
    };
    accounts
        .commit(vec![
            Mutation::Create { collection: &PERMISSIONS, rows: permissions.unwrap_or_default() },
            Mutation::Create { collection: &USERS, rows: users },
            Mutation::Create { collection: &ACCESS, rows: access },
            registration(member),
        ])
        .await
}

/// Returns the change that opens sign-up. New accounts are members, without address verification.
fn registration(role: Option<Uuid>) -> Mutation {
    let set = vec![
        settings::public_registration.to(true),
        settings::public_registration_verify_email.to(false),
        settings::public_registration_role.to(role),
    ];
    Mutation::update(&SETTINGS, Key::Integer(SINGLE_KEY), set, Precondition::None)
}

async fn find_public(store: &Store) -> Result<Option<Uuid>, Error> {
    let access = store.all(&ACCESS).await?;
    let public = access
        .iter()
        .find(|row| row.get(&access::user).is_none() && row.get(&access::role).is_none())
        .and_then(|row| row.get(&access::policy));
    Ok(public)
}

/// Returns the key of the first row with a name.
async fn find(
    store: &Store,
    collection: &'static Collection,
    name: &Column<str>,
    text: &str,
) -> Result<Option<Uuid>, Error> {
    let rows = store.all(collection).await?;
    let found = rows.iter().find(|row| row.get(name) == Some(text));
    Ok(found.and_then(|row| row[collection.key()].as_uuid()))
}

/// The ids of the roles and policies that the first start creates.
struct Defaults {
    admin_role: Uuid,
    admin_policy: Uuid,
    member_role: Uuid,
    member_policy: Uuid,
    public_policy: Uuid,
}

impl Defaults {
    fn new() -> Self {
        Self {
            admin_role: id::fresh(),
            admin_policy: id::fresh(),
            member_role: id::fresh(),
            member_policy: id::fresh(),
            public_policy: id::fresh(),
        }
    }

    fn ops(&self, admin: Row) -> Vec<Mutation> {
        let own = json!({"user_created": {"_eq": "$CURRENT_USER"}});
        let oneself = json!({"id": {"_eq": "$CURRENT_USER"}});
        let member = self.member_policy;
        vec![
            Mutation::Create {
                collection: &ROLES,
                rows: vec![
                    role(self.admin_role, "Administrator", "verified"),
                    role(self.member_role, MEMBER, "supervised_user_circle"),
                ],
            },
            Mutation::Create {
                collection: &POLICIES,
                rows: vec![
                    policy(self.admin_policy, "Administrator", "verified", true),
                    policy(member, MEMBER, "badge", false),
                    policy(self.public_policy, "Public", "public", false),
                ],
            },
            Mutation::Create { collection: &USERS, rows: vec![admin] },
            Mutation::Create {
                collection: &ACCESS,
                rows: vec![
                    grant(self.admin_policy).with(&access::role, self.admin_role),
                    grant(member).with(&access::role, self.member_role),
                    grant(self.public_policy),
                ],
            },
            Mutation::Create {
                collection: &PERMISSIONS,
                rows: vec![
                    permission(member, &MESSAGES, Action::Create, &[]),
                    permission(member, &MESSAGES, Action::Read, &[]),
                    permission(member, &MESSAGES, Action::Update, &[&messages::content])
                        .with(&permissions::permissions, own.clone()),
                    permission(member, &MESSAGES, Action::Delete, &[])
                        .with(&permissions::permissions, own),
                    permission(
                        member,
                        &USERS,
                        Action::Read,
                        &[&users::id, &users::first_name, &users::last_name],
                    ),
                    permission(member, &USERS, Action::Update, &OWN_FIELDS)
                        .with(&permissions::permissions, oneself),
                ],
            },
        ]
    }
}

fn role(id: Uuid, name: &str, icon: &str) -> Row {
    Row::new(&ROLES).with(&roles::id, id).with(&roles::name, name).with(&roles::icon, icon)
}

fn policy(id: Uuid, name: &str, icon: &str, admin: bool) -> Row {
    Row::new(&POLICIES)
        .with(&policies::id, id)
        .with(&policies::name, name)
        .with(&policies::icon, icon)
        .with(&policies::admin_access, admin)
        .with(&policies::app_access, admin)
}

/// An access row for a policy. Without a role or an account it applies to the public.
fn grant(policy: Uuid) -> Row {
    Row::empty(&ACCESS).with(&access::id, id::fresh()).with(&access::policy, policy)
}

/// A permission for these fields, or for all if the list is empty.
fn permission(
    policy: Uuid,
    collection: &'static Collection,
    action: Action,
    fields: &[&Field],
) -> Row {
    let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    Row::empty(&PERMISSIONS)
        .with(&permissions::policy, policy)
        .with(&permissions::collection, collection.name)
        .with(&permissions::action, action)
        .with(&permissions::fields, if names.is_empty() { json!(["*"]) } else { json!(names) })
}
