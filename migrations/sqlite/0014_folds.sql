-- Texts are compared by their folds.

-- Addresses that are not in ASCII: these are folded one by one, where the unique index knows the folds of
-- all others. It cannot be unique itself, since an earlier version may have let in two addresses that
-- fold to the same text; the writer refuses any more of them.
create index directus_users_email_beyond_ascii on directus_users (email) where email glob '*[^ -~]*';

-- The index for searches has folds from now on. It is made anew.
update chinwag_search set seq = -1, below = null;
