-- What people say.

create table messages (
    id integer primary key not null,
    user_created text references directus_users (id) on delete set null,
    date_created integer not null,
    content text,
    user_updated text references directus_users (id) on delete set null,
    date_updated integer
) strict;

create index messages_date_created on messages (date_created);
create index messages_user_created on messages (user_created);
create index messages_user_updated on messages (user_updated) where user_updated is not null;
