-- What an operator sets by the interface: one row, which is always there.

create table directus_settings (
    id integer primary key not null check (id = 1),
    -- Null: what PROJECT_NAME says.
    project_name text,
    project_descriptor text,
    project_url text,
    project_color text not null default '#6644FF',
    default_language text not null default 'en-US',
    default_appearance text not null default 'auto',
    public_note text,
    auth_login_attempts integer default 25,
    auth_password_policy text,
    public_registration integer not null default 0,
    public_registration_verify_email integer not null default 1,
    public_registration_role text references directus_roles (id) on delete set null,
    public_registration_email_filter text
) strict;

insert into directus_settings (id) values (1);
