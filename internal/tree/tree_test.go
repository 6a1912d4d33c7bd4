package tree

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func file(text string) File { return File{Mode: ModeFile, Data: []byte(text)} }
func link(to string) File   { return File{Mode: ModeLink, Data: []byte(to)} }

func TestCheckPath(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"a", "a/b.txt", ".github/x", ".gitignore", "a/.rustgen", "é/ü", "a b", strings.Repeat("x", 255)} {
		if err := CheckPath(p); err != nil {
			t.Errorf("%q is refused: %v", p, err)
		}
	}
	for _, p := range []string{
		"", ".", "..", "/a", "a/", "a//b", "./a", "a/./b", "a/..", "../a", "a/../../b", `a\b`, `..\a`, "a\x00b", "a\nb", "a\x1b[1m",
		"a\x7fb", "\xff", ".git/config", ".GIT/config", "a/.git/hooks/x", "a/.Git", ".rustgen/answers.yaml", ".RustGen/x", ".rustgen",
		strings.Repeat("x", 256),
	} {
		if CheckPath(p) == nil {
			t.Errorf("%q is taken", p)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := Tree{"a": file("x"), "b/c": file("y"), "b/d": link("c"), "b/e": link("../a"), "f": link("b/c"), "g": link("gone")}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for what, bad := range map[string]Tree{
		"both a file and the directory":       {"a": file(""), "a/b": file("")},
		"differ only in case":                 {"a": file(""), "A": file("")},
		`"Dir" and "dir" differ only in case`: {"Dir/a": file(""), "dir/b": file("")},
		`"A" and "a" differ only in case`:     {"A/x": file(""), "a": file("")},
		"is not a relative path":              {"a": link("/etc/passwd")},
		"leads outside":                       {"a/b": link("../../x")},
		`link "up" leads outside, to ".."`:    {"up": link("..")},
		"is not a clean path":                 {"a": link("b/../../x")},
		`leads to "", which is not`:           {"a": link("")},
		"leads to \"a\\x00b\"":                {"a": link("a\x00b")},
		`path "../x" is not`:                  {"../x": file("")},
	} {
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v gives %v, want %s", bad.Paths(), err, what)
		}
	}
}

func TestHashAndEqual(t *testing.T) {
	t.Parallel()
	base := Tree{"a": file("x"), "b": file("y")}
	same := Tree{"b": file("y"), "a": file("x")}
	if !base.Equal(same) || base.Hash() != same.Hash() {
		t.Error("equal trees differ")
	}
	for what, other := range map[string]Tree{
		"bytes": {"a": file("x"), "b": file("z")},
		"mode":  {"a": file("x"), "b": {Mode: ModeExec, Data: []byte("y")}},
		"link":  {"a": file("x"), "b": link("y")},
		"path":  {"a": file("x"), "c": file("y")},
		"fewer": {"a": file("x")},
		"moved": {"a": file("xb"), "b": file("")},
	} {
		if base.Equal(other) || base.Hash() == other.Hash() {
			t.Errorf("%s: different trees are equal", what)
		}
	}
}

func TestArchive(t *testing.T) {
	t.Parallel()
	tree := Tree{
		"a": file("text\r\n"), "empty": file(""), "bin/run": {Mode: ModeExec, Data: []byte{0, 0xff}}, "l": link("a"),
		strings.Repeat("long/", 40) + "ü": file(strings.Repeat("x", 1<<16)),
	}
	first, err := tree.Archive()
	if err != nil {
		t.Fatal(err)
	}
	second, err := tree.Clone().Archive()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("the same tree gives other bytes")
	}
	back, err := FromArchive(first)
	if err != nil {
		t.Fatal(err)
	}
	if !back.Equal(tree) {
		t.Errorf("it comes back as %v", back.Paths())
	}
	for cut := range first {
		if _, err := FromArchive(first[:cut]); err == nil {
			t.Fatalf("cut at byte %d of %d, it is taken", cut, len(first))
		}
	}
	if _, err := FromArchive(append(bytes.Clone(first), 'x')); err == nil {
		t.Error("with a byte behind it, it is taken")
	}
}

// pack makes an archive that Archive would not.
func pack(t testing.TB, heads ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for _, h := range heads {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	regular := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	symlink := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	for what, data := range map[string][]byte{
		"climbs":              pack(t, regular("../x")),
		"absolute":            pack(t, regular("/etc/x")),
		"dotted":              pack(t, regular("./x")),
		"git":                 pack(t, regular(".git/config")),
		"record":              pack(t, regular(".rustgen/answers.yaml")),
		"twice":               pack(t, regular("a"), regular("a")),
		"through a link":      pack(t, symlink("a", "b"), regular("a/x")),
		"link outside":        pack(t, symlink("a", "../..")),
		"link absolute":       pack(t, symlink("a", "/etc")),
		"hard link":           pack(t, regular("a"), tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "a"}),
		"device":              pack(t, tar.Header{Typeflag: tar.TypeChar, Name: "a"}),
		"fifo":                pack(t, tar.Header{Typeflag: tar.TypeFifo, Name: "a"}),
		"directory":           pack(t, tar.Header{Typeflag: tar.TypeDir, Name: "a/"}),
		"case":                pack(t, regular("a"), regular("A")),
		"nothing":             nil,
		"not gzip":            []byte("hello"),
		"gzip of no tar":      gzipped(t, bytes.Repeat([]byte("x"), 600)),
		"more than it may be": pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: maxArchiveBytes}),
	} {
		if got, err := FromArchive(data); err == nil {
			t.Errorf("%s: taken as %v", what, got.Paths())
		}
	}
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Whatever the bytes, an archive is refused or gives a tree that can be written inside a directory and packed again.
func FuzzFromArchive(f *testing.F) {
	good, err := Tree{"a": file("x"), "b/c": {Mode: ModeExec, Data: []byte("y")}, "l": link("b/c")}.Archive()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(pack(f, tar.Header{Typeflag: tar.TypeReg, Name: "../x"}))
	f.Add(pack(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: ".."}))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := FromArchive(data)
		if err != nil {
			return
		}
		if err := tree.Check(); err != nil {
			t.Fatal(err)
		}
		again, err := tree.Archive()
		if err != nil {
			t.Fatal(err)
		}
		back, err := FromArchive(again)
		if err != nil || !back.Equal(tree) {
			t.Fatalf("it does not come back: %v", err)
		}
	})
}

// A path and a link that are taken stay inside the directory, as the file system itself resolves them.
func FuzzPathsStayInside(f *testing.F) {
	for _, seed := range [][2]string{{"a", "b"}, {"a/b", "../c"}, {"../a", "b"}, {"a", "/etc"}, {"a/b/c", "../../d"}, {"a", "b/../../c"}, {".git/x", "y"}, {"a", ".."}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, p, target string) {
		tree := Tree{p: link(target)}
		if tree.Check() != nil {
			return
		}
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			t.Errorf("path %q is taken", p)
		}
		if !filepath.IsLocal(filepath.Join(filepath.Dir(filepath.FromSlash(p)), filepath.FromSlash(target))) {
			t.Errorf("link %q to %q is taken", p, target)
		}
	})
}

func TestNormalMode(t *testing.T) {
	t.Parallel()
	for mode, want := range map[fs.FileMode]fs.FileMode{
		0o600: ModeFile, 0o644: ModeFile, 0o666: ModeFile, 0o700: ModeExec, 0o755: ModeExec, 0o011: ModeFile,
		fs.ModeSymlink | 0o777: ModeLink, os.ModeSetuid | 0o755: ModeExec,
	} {
		if got := NormalMode(mode); got != want {
			t.Errorf("%v is %v, want %v", mode, got, want)
		}
	}
}

func TestFromFS(t *testing.T) {
	files := fstest.MapFS{
		"a":           {Mode: 0o600, Data: []byte("1")},
		"b/run":       {Mode: 0o700, Data: []byte("2")},
		"b/link":      {Mode: fs.ModeSymlink | 0o777, Data: []byte("run")},
		".git/HEAD":   {Mode: 0o644},
		"b/.git/HEAD": {Mode: 0o644},
	}
	want := Tree{
		"a":      {Mode: ModeFile, Data: []byte("1")},
		"b/run":  {Mode: ModeExec, Data: []byte("2")},
		"b/link": {Mode: ModeLink, Data: []byte("run")},
	}
	got, err := FromFS(files, ".git")
	if err != nil || !got.Equal(want) {
		t.Errorf("%v, %v", got, err)
	}
	for p, mode := range map[string]string{"a": "100644", "b/run": "100755", "b/link": "120000"} {
		if got[p].GitMode() != mode {
			t.Errorf("%s: %s", p, got[p].GitMode())
		}
	}
}
