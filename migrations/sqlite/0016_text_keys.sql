-- The integer keys that the request for a delete wrote as text: a JSON list; null where there are none.
alter table event_log add column text_keys text;
