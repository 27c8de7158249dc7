-- Who there is, and who may do what. Instants are milliseconds since 1970 in UTC, keys are lower-case
-- UUIDs, JSON is text.

create table directus_roles (
    id text primary key not null,
    name text not null,
    icon text,
    description text,
    parent text references directus_roles (id) on delete set null
) strict;

create index directus_roles_parent on directus_roles (parent);

create table directus_policies (
    id text primary key not null,
    name text not null,
    icon text,
    description text,
    ip_access text,
    enforce_tfa integer not null default 0,
    admin_access integer not null default 0,
    app_access integer not null default 0
) strict;

create table directus_users (
    id text primary key not null,
    first_name text,
    last_name text,
    email text,
    password text,
    location text,
    title text,
    description text,
    tags text,
    avatar text,
    language text,
    tfa_secret text,
    status text not null default 'active',
    role text references directus_roles (id) on delete set null,
    token text,
    last_access integer,
    last_page text,
    provider text not null default 'default',
    external_identifier text,
    auth_data text,
    email_notifications integer,
    appearance text,
    theme_dark text,
    theme_light text,
    theme_light_overrides text,
    theme_dark_overrides text,
    text_direction text
) strict;

create unique index directus_users_email on directus_users (lower(email));
create unique index directus_users_token on directus_users (token);
create index directus_users_role on directus_users (role);

create table directus_access (
    id text primary key not null,
    role text references directus_roles (id) on delete cascade,
    "user" text references directus_users (id) on delete cascade,
    policy text not null references directus_policies (id) on delete cascade,
    sort integer
) strict;

create index directus_access_role on directus_access (role);
create index directus_access_user on directus_access ("user");
create index directus_access_policy on directus_access (policy);

create table directus_permissions (
    id integer primary key not null,
    collection text not null,
    action text not null,
    permissions text,
    validation text,
    presets text,
    fields text,
    policy text not null references directus_policies (id) on delete cascade
) strict;

create index directus_permissions_policy on directus_permissions (policy);

-- One row for each chain of refresh tokens. The tokens are not in it, see domain/auth.
create table directus_sessions (
    id text primary key not null,
    "user" text not null references directus_users (id) on delete cascade,
    mode text not null,
    seed text not null,
    generation integer not null,
    date_created integer not null,
    date_rotated integer not null,
    expires integer not null,
    ip text,
    user_agent text
) strict;

create index directus_sessions_user on directus_sessions ("user", date_created);
create index directus_sessions_expires on directus_sessions (expires);
