package rustsrc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const service = `//! impl Fake for Nothing { fn no(&self) {} }
use crate::pb::ride::v1::rides_server::{Rides as Api, RidesServer};
use crate::pb::{self, ride::v1::*};
use tonic::{Request, Response, Status, Streaming};

/* impl Api for Comment { fn no(&self) {} /* nested */ } */
const TEXT: &str = r#"impl Api for Text { fn "no"(&self) {} }"#;
const QUOTE: char = '"';

fn helper() -> impl Fn(u8) -> u8 { |x| x }

impl<'a, T: Into<Vec<u8>>> From<&'a T> for Handlers where T: Clone {
    fn from(_: &'a T) -> Self { Self }
}

#[tonic::async_trait]
impl Api for Handlers {
    // fn commented(&self)
    #[tracing::instrument(skip_all, fields(fn = "no"))]
    async fn start(&self, request: Request<Ask>) -> Result<Response<Trip>, Status> {
        fn inner() {}
        let x = "}";
        match x { "{" => {}, _ => {} }
        Ok(Response::new(Trip { id: '}'.to_string() }))
    }

    type WatchStream = hotpath::Replies<Trip>;

    #[cfg(feature = "up")]
    async fn up(&self, request: Request<Streaming<Ask>>) -> Result<Response<Trip>, Status> { todo(request).await }
    handlers! { async fn generated(&self) {} }
    async fn r#type(&self) {}
}

mod inner {
    impl super::pb::ride::v1::drivers_server::Drivers for super::Handlers {}
}

#[cfg(test)]
mod tests {
    impl Api for Fake { async fn only_in_tests(&self) {} }
}
`

func TestImpls(t *testing.T) {
	t.Parallel()
	var seen []string
	for _, m := range Parse("src/handlers.rs", []byte(service)).Impls() {
		var functions []string
		for _, f := range m.Functions {
			functions = append(functions, fmt.Sprintf("%s:%d:%t", f.Name, f.Line, f.Streaming))
		}
		seen = append(seen, fmt.Sprintf("%s for %s at %d: %s; %s", strings.Join(m.Trait, "::"), m.Type, m.Line, functions, m.Types))
	}
	want := []string{
		"From for Handlers at 12: [from:13:false]; []",
		"crate::pb::ride::v1::rides_server::Rides for Handlers at 17: [start:20:false up:30:true generated:31:false type:32:false]; [WatchStream]",
		"super::pb::ride::v1::drivers_server::Drivers for Handlers at 36: []; []",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	source := `use hotpath::Policy;
pub(crate) const POLICIES: &[(&str, Policy)] = &[
    // ("Commented", Policy::light()),
    ("Score", Policy::cpu(D, E).heap(HEAP)),
    #[cfg(feature = "x")]
    ("v1.Rides/Watch", WATCH),
];
`
	table := Parse("src/policy.rs", []byte(source)).Policies()
	if got, want := fmt.Sprint(table.Entries), "[{Score 4} {v1.Rides/Watch 6}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if Parse("src/other.rs", []byte("const OTHER: u8 = 1;")).Policies() != nil {
		t.Error("a table where there is none")
	}
}

// No line that is there changes, wherever the brackets stand.
func TestInsertions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, source, want string }{
		{"a block", "impl A for H {\n    fn a() {}\n}\n", "impl A for H {\n    fn a() {}\n    new\n}\n"},
		{"an indented block", "mod m {\n    impl A for H {\n    }\n}\n", "mod m {\n    impl A for H {\n    new\n    }\n}\n"},
		{"an empty block", "impl A for H {}\n", "impl A for H {\n    new\n}\n"},
		{"a comment at the end", "impl A for H {\n    fn a() {} // }\n    // end }\n}\n", "impl A for H {\n    fn a() {} // }\n    // end }\n    new\n}\n"},
		{"line ends of Windows", "impl A for H {\r\n}\r\n", "impl A for H {\r\n    new\r\n}\r\n"},
		{"a table", "const POLICIES: &[(&str, P)] = &[\n    (\"A\", a()),\n];\n", "const POLICIES: &[(&str, P)] = &[\n    (\"A\", a()),\n    new\n];\n"},
		{"a table without its last comma", "const POLICIES: &[(&str, P)] = &[\n    (\"A\", a())\n];\n", "const POLICIES: &[(&str, P)] = &[\n    new\n    (\"A\", a())\n];\n"},
		{"an empty table", "const POLICIES: &[(&str, P)] = &[];\n", "const POLICIES: &[(&str, P)] = &[\n    new\n];\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := Parse("x.rs", []byte(c.source))
			var at Insertion
			if table := f.Policies(); table != nil {
				at = table.Add("    new\n")
			} else {
				at = f.Impls()[0].Into("    new\n")
			}
			if got := string(f.Insert([]Insertion{at})); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// What is being edited is read as far as it goes.
func FuzzParse(f *testing.F) {
	f.Add([]byte(service))
	f.Add([]byte("impl A for B { fn x("))
	f.Add([]byte("const POLICIES: &[(&str, P)] = &[(\"a"))
	f.Fuzz(func(t *testing.T, source []byte) {
		file := Parse("x.rs", source)
		for _, m := range file.Impls() {
			file.Insert([]Insertion{m.Into("x\n"), m.After("y\n")})
		}
		if table := file.Policies(); table != nil {
			file.Insert([]Insertion{table.Add("z\n")})
		}
	})
}
