// Package simulator is a vCenter to try things on: govmomi's vcsim, served over TLS as
// a vCenter is, with a small site in it where something happens all the time.
//
// It promises a SOAP endpoint that any vSphere client can log in to, with any user name
// and any password that are not empty; events at about the rate that was asked for, of
// some sixty classes, most of them harmless, a few warnings and errors, each with a
// readable message, a user, and names and references of objects that exist; and an
// inventory and memory that stay bounded over days. Given the same random source and
// the same site, Run decides the same things in the same order.
//
// What vcsim can do is really done, by govmomi clients of several users over the same
// TLS port that everybody uses: power, suspend, reset, reconfigure, clone, create,
// destroy, snapshots, folders, port groups, maintenance mode, logins. What vcsim does
// without telling, or cannot do at all, is posted as the events a vCenter would have
// written: tasks, alarms, lost hosts, vMotion, DRS, failed logins, EventEx.
//
// It leaves out what vcsim leaves out: permissions, the filters for users, categories
// and tags, and more than the newest 1000 events of history. It is no load generator
// for the inventory: above what real operations can give, the rest of the rate is made
// of posted events.
package simulator
