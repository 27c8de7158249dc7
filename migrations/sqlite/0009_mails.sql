-- Mail that is to be sent. Neither addresses nor tokens are in it: both are looked up or made when a
-- mail leaves, see domain/mails.

create table chinwag_mails (
    id text primary key not null,
    "user" text not null references directus_users (id) on delete cascade,
    -- What it is about: registration, invitation, reset.
    kind text not null,
    -- The page that its link leads to; null for the usual one.
    url text,
    -- From when on its link is no good.
    expires integer not null,
    -- How often it has been tried in vain.
    attempts integer not null,
    date_created integer not null,
    -- When to try next; null once it has been sent.
    date_next integer
) strict;

create index chinwag_mails_next on chinwag_mails (date_next);
create index chinwag_mails_user on chinwag_mails ("user");
