# One push for a page, with a stream for each source and severity.
def nanoseconds: (sub("\\.[0-9]+"; "") | fromdate | tostring) + ((capture("\\.(?<f>[0-9]+)").f // "") + "000000000")[:9];
select(length > 0) | {streams: (group_by([.source, .severity]) | map({
  stream: {job: "vsphere", source: .[0].source, severity: .[0].severity},
  values: map([(.time | nanoseconds), tojson])}))}
