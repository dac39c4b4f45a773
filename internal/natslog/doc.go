// Package natslog keeps event logs on NATS JetStream: embedded in this process, in a
// directory, or in a cluster that several processes share. It is the only package that
// knows NATS.
//
// Each vCenter's log is a stream. A message is an event: its payload the CloudEvent as
// every reader gets it (structured mode of the CloudEvents NATS binding), its headers the
// fields that filters need. In front of the stream is a window in memory, of the newest
// events, which serves the readers at the tail; older ones read from the stream.
//
// It promises what [vstream.Log] promises, and that an event that Append took survives a
// crash of the process and, with its disk, of the machine. Only who knows the end of a log
// can append to it: each batch names the message that it follows, and JetStream refuses
// it if that is not the last.
//
// Positions are offsets for the rest of the program. Sequence numbers of the stream stay in
// here: a stream that lost its tail in a crash gives the same ones again.
//
// Which of several processes collects is decided here too, by a lease; what to append is
// the collector's business.
package natslog
