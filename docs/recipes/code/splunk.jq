# An object for each event, as the HTTP Event Collector takes them.
def seconds: (sub("\\.[0-9]+"; "") | fromdate) + (capture("(?<f>\\.[0-9]+)").f // "0" | "0" + . | tonumber);
.[] | {time: (.time | seconds), host: (.data.Host.Name? // .source), source: .source, sourcetype: "vsphere:event", event: .}
