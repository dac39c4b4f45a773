// Package cloudevent turns an event of vSphere into the event that the log keeps: one line of
// CloudEvents 1.0 JSON, and beside it the fields that filters need. Transcode makes it from
// the XML, and Encode, twenty times as slow with the decoding, from what govmomi decodes;
// the result is the same.
//
// It promises the data that this product has always given, its shape v0, to the byte:
// what plain encoding/json made of govmomi's types up to v0.30, when they had no json
// tags. That is:
//
//   - Members are the Go field names, in declaration order, those of embedded structs
//     in their place. Struct tags count for nothing.
//   - Nothing is left out. An absent pointer, slice or interface is null; an absent
//     string, number or bool is its zero value.
//   - Times are RFC 3339 in the zone vCenter gave; only the envelope's time is UTC.
//   - A value in an interface is written as itself, without the name of its type. A
//     managed object reference is {"Type":…,"Value":…}.
//   - Strings are escaped as encoding/json does, < > & included.
//
// Types that govmomi had then have no more fields now than they had then, and a field
// that has become a pointer since is never null: shape.go lists them, generated from a
// recording of v0.30.4. Types that came later are written whole. When govmomi is
// upgraded, "go test -run TestRecord -update" brings shape.go up to date; testdata/oracle
// makes the recordings, and says how.
//
// Three things differ from what v0.30 gave:
//
//   - Optional values that govmomi has made plain since, among them
//     CpuIncompatible1ECX.Aes and many bools of HostCapability, are false or zero where
//     they were null: absent and zero can no longer be told apart.
//   - Byte arrays such as HostSubSpecification.Data hold the bytes that vCenter sent;
//     v0.30 kept the digits of the last one.
//   - What JSON cannot hold (NaN, an infinity, a year beyond 9999) is null; v0.30
//     failed.
//
// Encode is for values from an XML decoder but holds for any: it never panics on nil
// pointers, unknown types or cycles, and its result is always one line of valid JSON.
//
// Reading events from vCenter, and what to do with one that cannot be decoded, is left
// to internal/vcenter; epochs of keys to internal/collector.
package cloudevent
