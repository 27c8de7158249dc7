-- Who is recognised by a provider is one account. What was set by hand before, when nobody signed in so,
-- stays with the first account that has it.

update directus_users set external_identifier = null
where external_identifier is not null and rowid not in (
    select min(rowid) from directus_users group by provider, external_identifier
);

create unique index directus_users_identity on directus_users (provider, external_identifier);
