package vstream

// EventType is what a vCenter says of one type of events. Its texts are the vCenter's, in the
// language of its session, and may be empty but for the name.
type EventType struct {
	Name        string // as Event.Type
	Class       string // as Event.Class
	Description string // a few words, for people
	Category    string // info, warning, error or user: the severity of its events, unless they bring their own
	// LongDescription holds causes and what to do, as XML: an EventLongDescription with a
	// description and any number of cause elements, each with a description and actions.
	LongDescription string
}
