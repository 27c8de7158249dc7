//! The requirement that an administrator remains. It is checked within the transaction, so that two
//! concurrent changes cannot remove the last two together.

use sqlx::{Row as _, SqliteConnection};

use crate::model::Field;
use crate::model::schema::access;
use crate::model::schema::policies;
use crate::model::schema::roles;
use crate::model::schema::users;
use crate::model::schema::{ACCESS, POLICIES, ROLES, USERS};
use crate::store::StoreError;
use crate::store::write::Mutation;

/// Tests for an active account that is an administrator directly, through its role or through an
/// ancestor of that role, and that remains one when all unfinished deletions have ended.
const EXISTS: &str = "\
    with recursive gone (id) as (\
        select key from chinwag_deletions \
        where collection in ('directus_users', 'directus_roles', 'directus_policies')\
    ), granting (id) as (\
        select id from directus_policies where admin_access = 1 and id not in gone\
    ), admins (role) as (\
        select role from directus_access \
        where role is not null and role not in gone and policy in granting \
        union select id from directus_roles join admins on parent = admins.role \
        where id not in gone\
    ) select exists (\
        select 1 from directus_users where status = 'active' and id not in gone \
        and (role in admins or id in (\
            select \"user\" from directus_access where \"user\" is not null and policy in granting\
        ))\
    )";

/// The fields that decide whether an account is an administrator.
static GROUNDS: [&Field; 7] = [
    users::status.field(),
    users::role.field(),
    roles::parent.field(),
    policies::admin_access.field(),
    access::user.field(),
    access::role.field(),
    access::policy.field(),
];

/// Returns whether an operation may take rights away from an administrator.
pub(super) fn may_take_away(op: &Mutation) -> bool {
    match op {
        Mutation::Delete { collection, .. } => {
            [&USERS, &ROLES, &POLICIES, &ACCESS].contains(collection)
        }
        Mutation::Update { set, .. } => set.iter().any(|(field, _)| GROUNDS.contains(field)),
        Mutation::Erase { .. } => true,
        Mutation::Create { .. }
        | Mutation::DeleteWhere { .. }
        | Mutation::Finish { .. }
        | Mutation::ProjectActivity => false,
    }
}

/// Returns whether there is an active administrator.
pub(super) async fn exist(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let row = sqlx::query(EXISTS).fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>(0)? != 0)
}
