package cloudevent

import (
	"strings"
	"unicode/utf8"

	"github.com/vmware/govmomi/vim25/types"
)

// cutDown returns a copy of ev, the part that all events have, with no text longer than
// most bytes.
func cutDown(ev *types.Event, most int) *types.Event {
	small := *ev
	cut := func(texts ...*string) {
		for _, s := range texts {
			*s = cutText(*s, most)
		}
	}
	cut(&small.UserName, &small.FullFormattedMessage, &small.ChangeTag)
	if a := small.Datacenter; a != nil {
		c := *a
		cut(&c.Name, &c.Datacenter.Type, &c.Datacenter.Value)
		small.Datacenter = &c
	}
	if a := small.ComputeResource; a != nil {
		c := *a
		cut(&c.Name, &c.ComputeResource.Type, &c.ComputeResource.Value)
		small.ComputeResource = &c
	}
	if a := small.Host; a != nil {
		c := *a
		cut(&c.Name, &c.Host.Type, &c.Host.Value)
		small.Host = &c
	}
	if a := small.Vm; a != nil {
		c := *a
		cut(&c.Name, &c.Vm.Type, &c.Vm.Value)
		small.Vm = &c
	}
	if a := small.Ds; a != nil {
		c := *a
		cut(&c.Name, &c.Datastore.Type, &c.Datastore.Value)
		small.Ds = &c
	}
	if a := small.Net; a != nil {
		c := *a
		cut(&c.Name, &c.Network.Type, &c.Network.Value)
		small.Net = &c
	}
	if a := small.Dvs; a != nil {
		c := *a
		cut(&c.Name, &c.Dvs.Type, &c.Dvs.Value)
		small.Dvs = &c
	}
	return &small
}

// cutText shortens s to most bytes, between characters, and shows that it did. It does
// not keep the rest of s in memory.
func cutText(s string, most int) string {
	const mark = "…"
	if len(s) <= most {
		return s
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.Clone(s[:end]) + mark
}
