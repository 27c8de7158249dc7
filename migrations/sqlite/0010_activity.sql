-- Who changed what, item by item, and what messages were after each change. Made of the events, and
-- gone with them.

create table directus_activity (
    -- The event's `seq` * 100000 + the item's place in it.
    id integer primary key not null,
    action text not null,
    "user" text,
    timestamp integer not null,
    ip text,
    user_agent text,
    collection text not null,
    item text not null,
    comment text
) strict;

create index directus_activity_item on directus_activity (item, collection);
create index directus_activity_timestamp on directus_activity (timestamp);

create trigger event_log_deleted after delete on event_log begin
    delete from directus_activity where id between old.seq * 100000 and old.seq * 100000 + 99999;
end;

-- The last event that owes no lines: those of creates of messages are written afterwards.
insert into chinwag_counters (name, value) values ('directus_activity', 0);

-- What happened before there was this table, apart from what is owed. Of sign-ins those are left whose
-- sessions still last. (That they also noted the time of access shows here, and no more from now on.)
insert into directus_activity (id, action, "user", timestamp, ip, user_agent, collection, item)
select event.seq * 100000 + key.key, 'login', session."user", event.date_created, session.ip,
    session.user_agent, 'directus_users', session."user"
from event_log as event, json_each(event.keys) as key
join directus_sessions as session on session.id = key.value
where event.collection = 'directus_sessions' and event.action = 'create'
union all
select event.seq * 100000 + key.key, event.action, event.actor, event.date_created, null, null,
    event.collection, key.value
from event_log as event, json_each(event.keys) as key
where event.collection <> 'directus_sessions' and key.key < 100000
    and not (event.collection = 'messages' and event.action = 'create');

-- What an item was after a change is what it was before the next one or, without a next one, what it
-- is. Rows in `event_log` leave out what is null, and say instants as clients see them.
create view directus_revisions as
select
    id, id as activity, collection, item, data,
    case when before is null then data else (
        select json_group_object(field.key, field.value)
        from json_each(data) as field
        where field.value is not before ->> field.key
    ) end as delta,
    null as parent, null as version
from (
    select
        activity.id, activity.collection, activity.item,
        event.before -> ('$[' || (activity.id % 100000) || ']') as before,
        coalesce(
            (
                select json_patch(
                    '{"id":null,"user_created":null,"date_created":null,"content":null,'
                        || '"user_updated":null,"date_updated":null}',
                    later.before -> ('$[' || (next.id % 100000) || ']')
                )
                from directus_activity as next
                join event_log as later on later.seq = next.id / 100000
                where next.item = activity.item and next.collection = activity.collection
                    and next.id > activity.id
                order by next.id
                limit 1
            ),
            (
                select json_object(
                    'id', id,
                    'user_created', user_created,
                    'date_created', strftime('%Y-%m-%dT%H:%M:%S', date_created / 1000, 'unixepoch')
                        || format('.%03dZ', date_created % 1000),
                    'content', content,
                    'user_updated', user_updated,
                    'date_updated', strftime('%Y-%m-%dT%H:%M:%S', date_updated / 1000, 'unixepoch')
                        || format('.%03dZ', date_updated % 1000)
                )
                from messages
                where messages.id = cast(activity.item as integer)
            )
        ) as data
    from directus_activity as activity
    join event_log as event on event.seq = activity.id / 100000
    where activity.collection = 'messages' and activity.action in ('create', 'update')
);
