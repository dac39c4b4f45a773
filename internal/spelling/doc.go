// Package spelling guesses what somebody meant who misspelt a name.
//
// It promises a name from a list, or none when no name is near enough; what to do with
// the guess is left to others.
package spelling
