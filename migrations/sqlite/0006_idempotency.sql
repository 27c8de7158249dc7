-- What clients did under a key of their own choice, so that a repeat does not do it again.

create table chinwag_idempotency (
    -- The account that sent it; empty for the public.
    owner text not null,
    key text not null,
    -- A digest of what was sent: the same key with something else is no repeat.
    digest text not null,
    -- A JSON list of the keys of the items that it created.
    items text not null,
    -- The place of its first event; forgotten together with that.
    seq integer not null,
    primary key (owner, key)
) strict, without rowid;

create index chinwag_idempotency_seq on chinwag_idempotency (seq);
