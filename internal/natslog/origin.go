package natslog

import (
	"context"
	"maps"
	"strconv"

	"vstream"
)

// Metadata of a stream.
const (
	// formatKey says that a stream is ours, and how it is written.
	formatKey, format = "vstream.format", "1"
	// instanceKey and epochKey are those of Origin.
	instanceKey, epochKey = "vstream.instance", "vstream.epoch"
	// tagKey is the tag of the log. A log that is older than tags has it from what it has kept
	// as its origin, and no entry before that changes.
	tagKey = "vstream.tag"
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
// keys are. The first that is ever kept gives the log its tag.
func (l *Log) SetOrigin(ctx context.Context, instance string, epoch uint32) error {
	return l.keepMetadata(ctx, func(metadata map[string]string) {
		tag := tagOf(metadata)
		metadata[instanceKey], metadata[epochKey] = instance, strconv.FormatUint(uint64(epoch), 10)
		if metadata[tagKey] = tag; tag == "" {
			metadata[tagKey] = vstream.TagOf(instance, epoch)
		}
	})
}

// Tag implements [vstream.Log]. It waits for nobody.
func (l *Log) Tag() string {
	if tag := l.tag.Load(); tag != nil {
		return *tag
	}
	return ""
}

// learnTagLocked takes over the tag that a stream had when it was asked about last. Called
// under mu.
func (l *Log) learnTagLocked(s *stream) {
	tag := tagOf(s.CachedInfo().Config.Metadata)
	l.tag.Store(&tag)
}

// learnTag takes over the tag that another replica may have given the stream.
func (l *Log) learnTag(s *stream) {
	if l.Tag() != "" { // it stays what it is
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream == s {
		l.learnTagLocked(s)
	}
}

// tagOf returns the tag of a stream with this metadata.
func tagOf(metadata map[string]string) string {
	if tag := metadata[tagKey]; tag != "" {
		return tag
	}
	epoch, _ := strconv.ParseUint(metadata[epochKey], 10, 32)
	return vstream.TagOf(metadata[instanceKey], uint32(epoch))
}

// keepMetadata keeps with the stream what change makes of what is kept.
func (l *Log) keepMetadata(ctx context.Context, change func(metadata map[string]string)) error {
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
	change(config.Metadata)
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
		l.learnTagLocked(l.stream)
	}
	return nil
}
