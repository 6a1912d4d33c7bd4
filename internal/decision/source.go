package decision

// Way is how an answer was given.
type Way int

// The ways.
const (
	ByFlag        Way = iota + 1 // the decision's own flag
	ByAssignment                 // --set ID=VALUE
	ByArgument                   // an argument of the command line
	ByEnvironment                // the decision's variable
	ByFile                       // an answers file
	ByPrompt                     // a person who was asked
	ByPlace                      // what lies around a new service
	ByRecord                     // the record of a service that exists
	ByDefault                    // the template set
)

// Source is where an answer was given.
type Source struct {
	Way Way
	// Name is the file, or the variable, or whatever else people know the source by.
	Name string
}

// FromFlag is the flag of a decision.
func FromFlag(id string) Source { return Source{ByFlag, "--" + id} }

// FromPrompt is a person who was asked.
func FromPrompt() Source { return Source{Way: ByPrompt} }

// FromArgument is an argument of the command line.
func FromArgument() Source { return Source{Way: ByArgument} }

// Explicit reports whether the source names this decision for this run. Such an answer is refused where the decision
// does not apply, while one that may serve many services (a file, the environment) is passed over with a warning.
func (s Source) Explicit() bool {
	return s.Way == ByFlag || s.Way == ByAssignment || s.Way == ByArgument
}

// label is how an error names the decision and the source of its answer.
func (s Source) label(id string) string {
	switch {
	case s.Way == ByFlag || s.Way == ByEnvironment:
		return s.Name
	case s.Way == ByAssignment:
		return s.Name + " " + id
	case s.Name == "":
		return id
	default:
		return s.Name + ": " + id
	}
}

// String is how people know the source; empty where it goes without saying.
func (s Source) String() string { return s.Name }

// place is how an error names the source of an answer to a decision that there is not.
func (s Source) place(id string) string {
	if s.Name == "" {
		return id
	}
	return s.Name
}
