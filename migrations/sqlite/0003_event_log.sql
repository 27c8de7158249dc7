-- The one order of everything, and the numbers that only rise.

create table event_log (
    seq integer primary key not null,
    collection text not null,
    action text not null,
    -- A JSON list of keys.
    keys text not null,
    actor text,
    date_created integer not null,
    -- A JSON list of the rows as they were before, in the order of the keys; null for a create.
    before text
) strict;

-- The last number given out under each name: `seq`, and the counted keys of a collection.
create table chinwag_counters (
    name text primary key not null,
    value integer not null
) strict, without rowid;

insert into chinwag_counters (name, value)
values ('seq', 0), ('messages', 0), ('directus_permissions', 0);
