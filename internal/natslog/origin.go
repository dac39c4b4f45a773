package natslog

import (
	"context"
	"maps"
	"strconv"
)

// Metadata of a stream.
const (
	// formatKey says that a stream is ours, and how it is written.
	formatKey, format = "vstream.format", "1"
	// instanceKey and epochKey are those of Origin.
	instanceKey, epochKey = "vstream.instance", "vstream.epoch"
	// mendedKey is up to which sequence number it does not matter what is missing.
	mendedKey = "vstream.mended"
)

// Origin returns what SetOrigin kept.
func (l *Log) Origin() (instance string, epoch uint32) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.stream == nil {
		return "", 0
	}
	metadata := l.stream.CachedInfo().Config.Metadata
	n, _ := strconv.ParseUint(metadata[epochKey], 10, 32)
	return metadata[instanceKey], uint32(n)
}

// SetOrigin keeps with the log which vCenter its events come from, and in which epoch its
// keys are.
func (l *Log) SetOrigin(ctx context.Context, instance string, epoch uint32) error {
	return l.keepMetadata(ctx, map[string]string{instanceKey: instance, epochKey: strconv.FormatUint(uint64(epoch), 10)})
}

// keepMetadata keeps some values with the stream.
func (l *Log) keepMetadata(ctx context.Context, values map[string]string) error {
	l.mu.RLock()
	s, generation := l.stream, l.generation
	l.mu.RUnlock()
	if s == nil {
		return l.unavailable(nil)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, writeTimeout, errNoAnswer)
	defer cancel()
	info, err := s.Info(ctx)
	if err != nil {
		return l.unavailable(err)
	}
	config := info.Config
	config.Metadata = map[string]string{} // info's own is others' to read
	maps.Copy(config.Metadata, info.Config.Metadata)
	maps.Copy(config.Metadata, values)
	changed, err := s.js.UpdateStream(ctx, config)
	if err != nil {
		return l.unavailable(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream.js == s.js && l.generation == generation {
		with := *s
		with.Stream = changed
		l.stream = &with
	}
	return nil
}
