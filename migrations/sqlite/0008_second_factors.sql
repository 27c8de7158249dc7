-- What a second factor leaves behind beside its secret, which is in directus_users.tfa_secret, sealed.

create table chinwag_second_factors (
    id text primary key not null references directus_users (id) on delete cascade,
    -- The last time step whose code was used: none of it or before is taken again.
    step integer not null,
    -- Digests of the recovery codes that are left, with spaces between.
    recovery_codes text not null
) strict;
