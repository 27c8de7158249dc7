-- Until which event the index for searches has nothing left of texts that were deleted or edited.

-- The last event that left trigrams of such texts in its segments.
alter table chinwag_search add column stale integer not null default 0;
-- The last event up to which they have been merged away.
alter table chinwag_search add column purged integer not null default 0;

-- What was deleted before this is not known.
update chinwag_search set stale = max(seq, 0);

-- Merges leave one segment on each level, so that the merge of all of them has few to read.
insert into chinwag_search_texts (chinwag_search_texts, rank) values ('usermerge', 2);
