-- Deletions that take several transactions: what refers to the items is changed or deleted a step at a
-- time, and the items go last.

create table chinwag_deletions (
    collection text not null,
    key text not null,
    -- The account on whose behalf; null for the service itself.
    actor text,
    date_created integer not null,
    -- For an account that is erased: 1 if the items that it created are deleted as well, else 0; null for an
    -- ordinary deletion.
    erase_items integer,
    -- The place in event_log up to which nothing of an erased account is left.
    stripped integer not null,
    primary key (collection, key)
) strict, without rowid;
