-- The connection by which a guest said it, where the protocol of topics names guests by theirs.

alter table messages add column guest text;

-- As before, with the new column in `data`.
drop view directus_revisions;
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
                        || '"user_updated":null,"date_updated":null,"guest":null}',
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
                        || format('.%03dZ', date_updated % 1000),
                    'guest', guest
                )
                from messages
                where messages.id = cast(activity.item as integer)
            )
        ) as data
    from directus_activity as activity
    join event_log as event on event.seq = activity.id / 100000
    where activity.collection = 'messages' and activity.action in ('create', 'update')
);
