# Two lines for each event, as _bulk takes them. The id is the event's own, so that one that is sent twice is there once.
.[] | {index: {_id: "\(.source) \(.id)"}}, (. + {"@timestamp": .time})
