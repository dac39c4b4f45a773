package index

// A Field is what of an event a filter parameter tests.
type Field int

// The fields, in the order of internal/filter.
const (
	Type Field = iota
	Class
	Severity
	VM
	Host
	Cluster
	Datacenter
	Datastore
	Network
	User
	VCenter
)

// A Filter tests events field by field.
type Filter interface {
	All() bool                           // passes everything
	Tests(field Field) bool              // has a test of this field
	Test(field Field, value string) bool // true where it has none
	TestChain(chain int32) bool
}
