-- What searches and long lists go by.

-- The trigrams of what messages say: ASCII letters in lower case and behind each text two characters of
-- filling, so that every pair of characters begins one (see store/search). Keys alone, no positions: a
-- find is only a candidate, and the messages themselves decide.
create virtual table chinwag_search_texts using fts5 (
    content,
    content = '',
    contentless_delete = 1,
    detail = none,
    tokenize = 'trigram case_sensitive 1'
);

-- The same by trigram, for words of one or two characters.
create virtual table chinwag_search_terms using fts5vocab ('chinwag_search_texts', 'instance');

-- One row: how far the index has come.
create table chinwag_search (
    -- The last event that is in it; -1 to make it anew.
    seq integer not null,
    -- While it is being made: messages with smaller keys are not in it yet. Null once it is whole.
    below integer
) strict;

insert into chinwag_search (seq, below) values (-1, null);

-- An author's messages, the accounts of a role and the access to policies, each in their usual order.
drop index messages_user_created;
create index messages_user_created on messages (user_created, date_created);
drop index directus_users_role;
create index directus_users_role on directus_users (role, id);
drop index directus_access_role;
create index directus_access_role on directus_access (role, id);
drop index directus_access_user;
create index directus_access_user on directus_access ("user", id);
drop index directus_access_policy;
create index directus_access_policy on directus_access (policy, id);

-- Addresses as they are written, for filters and orders: the unique index knows them in lower case.
create index directus_users_email_written on directus_users (email, id);
