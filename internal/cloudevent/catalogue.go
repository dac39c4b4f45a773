package cloudevent

import (
	"strings"

	"github.com/vmware/govmomi/vim25/types"

	"vstream"
)

// maxCatalogue is how much memory a catalogue takes at most, in bytes. That of a vCenter 8
// takes about one million.
const maxCatalogue = 8 << 20

// Catalogue returns what info, the eventInfo of a vCenter's EventDescription, says of each
// type of events, once each. Of one that is too long, the end is left out.
func Catalogue(info []types.EventDescriptionEventDetail) []vstream.EventType {
	catalogue := make([]vstream.EventType, 0, min(len(info), maxCatalogue/typeBytes))
	places := map[[2]string]int{}
	left := maxCatalogue
	for i := range info {
		name, class := typeOf(&info[i])
		if name == "" {
			continue
		}
		t := vstream.EventType{
			Name: name, Class: class, Category: info[i].Category,
			Description: info[i].Description, LongDescription: info[i].LongDescription,
		}
		if left -= typeBytes + len(t.Name) + len(t.Category) + len(t.Description) + len(t.LongDescription); left < 0 {
			break
		}
		if place, again := places[[2]string{name, class}]; again {
			catalogue[place] = t
			continue
		}
		places[[2]string{name, class}] = len(catalogue)
		catalogue = append(catalogue, t)
	}
	return catalogue
}

// typeBytes is what an EventType takes beside its texts.
const typeBytes = 128

// typeOf returns of which type of events an entry tells, as the short name and the class of
// vstream.Event; the name is empty when it is none in particular.
//
// All entries for EventEx have the same key, as do those for ExtendedEvent; what they
// are about stands in their format, "<eventTypeId>|<text>".
func typeOf(info *types.EventDescriptionEventDetail) (name, class string) {
	switch info.Key {
	case "EventEx":
		class = "eventex"
	case "ExtendedEvent":
		class = "extendedevent"
	default:
		return info.Key, "event"
	}
	if id, _, ok := strings.Cut(info.FullFormat, "|"); ok {
		name = strings.Clone(id)
	}
	return name, class
}
