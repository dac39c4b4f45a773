// Package vcentertest is a vCenter for tests, as far as readers of events see one: it
// keeps a history of events that the test writes, and fails in every way that a vCenter
// is known to fail, when the test says so and not otherwise.
//
//	vc := vcentertest.New(t) // listens on 127.0.0.1 until the test ends
//	vc.PostN(3000)           // what happened before anybody came
//	source := &vcenter.Source{URL: vc.URL(), SecretPath: vc.Secret(t), Insecure: true, …}
//	vc.Post(&types.VmPoweredOnEvent{})
//	vc.Inject(vcentertest.Fault{Method: "ReadNextEvents", After: 2, Kind: vcentertest.LostAnswer})
//	…
//	vc.Told()                // what the log must hold now
//	vc.Sessions(), vc.Collectors(), vc.Logins(), vc.Calls("ReadNextEvents")
//
// It promises that the answers are SOAP as a vCenter writes it, that a page of a reader
// moves on even when its answer is lost, that events appear to all readers at once with
// the return of Post, and that nothing of it is left when the test has ended. Nothing in
// it is random, and only what a client asks to wait for, and Trickle, takes time. All
// methods may be called at any time, from any goroutine.
//
// Where the behaviour of real vCenters is in doubt, the less comfortable reading is
// taken:
//
//   - Logout does not free collectors. A lost session takes its own with it.
//   - A pending WaitForUpdatesEx does not notice that its session is gone.
//   - latestPage is a ring in no order, and holds broken events as broken as they are.
//   - latestEvent shows events that the user may not read.
//   - Everything but RetrieveServiceContent and Login needs a session, CurrentTime too,
//     and a second Login in one session is an InvalidLogin.
//   - Without disableFullMessage=false events come without fullFormattedMessage.
//   - SetCollectorPageSize, RewindCollector, filters that are not faked and methods that
//     are not faked are faults, so that nobody comes to rely on them unnoticed.
//
// There is no inventory, no privileges, no VI/JSON, and no event that the test did not
// post: logging in is none. Entity filters are accepted and match everything.
package vcentertest
