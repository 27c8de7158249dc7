-- What it takes to tell a client what it missed.

-- Who this database is, so that places in the order of another one are recognised.
create table chinwag_database (
    one integer primary key check (one = 1),
    -- 32 random bytes in hexadecimal, known to nobody else.
    seed text not null
) strict;

insert into chinwag_database (one, seed) values (1, lower(hex(randomblob(32))));

-- A JSON list of the rows as they were afterwards, in the order of the keys; null for a delete.
alter table event_log add column after text;

-- The last place whose events cannot be told again: older ones lack what they would be told by, or
-- are gone.
insert into chinwag_counters (name, value)
select 'log_floor', value from chinwag_counters where name = 'seq';

-- How far clients that ask for it by `recover` have got, so that they go on from there.
create table chinwag_positions (
    -- Whose it is; empty where the name alone says that.
    owner text not null,
    recover text not null,
    uid text not null,
    -- The last place that the client is known to have.
    seq integer not null,
    -- When that was confirmed.
    date_confirmed integer not null,
    primary key (owner, recover, uid)
) strict, without rowid;
