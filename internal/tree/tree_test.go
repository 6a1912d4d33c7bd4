package tree

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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
		// What Windows and macOS read as .git or .rustgen, and what is printed as another path.
		"git~1/config", "GIT~1", ".git ./x", "a/.git.", ".git::$INDEX_ALLOCATION/x", ".git:x", ".g\u200cit/config", ".rustgen./x", ".rustgen /x",
		"a\u202etxt.exe", "a\u2066b", "\ufeffa", "a\u2028b",
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

// A service that exists may have a file that only Windows cannot hold.
func TestArchiveKeepsWhatOneSystemHolds(t *testing.T) {
	t.Parallel()
	if _, err := FromArchive(pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "a/aux.rs"})); err != nil {
		t.Error(err)
	}
}

// 182 bytes are not three gigabytes of memory.
func TestSparseArchiveTakesNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, version := range []string{"0.0", "0.1", "1.0"} {
		_, err := FromArchive(sparse(t, version, "300000000"))
		if err == nil || !strings.HasSuffix(err.Error(), `"a" is a sparse file`) {
			t.Errorf("sparse %s: %v", version, err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("reading took %d MiB", took>>20)
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
		"sparse in PAX 1.0":   sparse(t, "1.0", "3000000000"),
		"sparse in PAX 0.1":   sparse(t, "0.1", "1000000000000"),
		"sparse in PAX 0.0":   sparse(t, "0.0", "1000000000000"),
		"into git":            pack(t, symlink("a", ".git/hooks")),
		"into the record":     pack(t, symlink("d/a", "../.rustgen/tx")),
		"more than it may be": pack(t, tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: MaxBytes + 1}),
	} {
		if got, err := FromArchive(data); err == nil {
			t.Errorf("%s: taken as %v", what, got.Paths())
		}
	}
}

// sparse makes an archive of one file that is all hole: a few bytes that unpack to size.
func sparse(t testing.TB, version, size string) []byte {
	t.Helper()
	records := []string{"size=" + size, "numblocks=1"}
	switch version {
	case "1.0":
		records = []string{"major=1", "minor=0", "name=a", "realsize=" + size}
	case "0.1":
		records = append(records, "map="+size+",0")
	case "0.0":
		records = append(records, "offset="+size, "numbytes=0")
	}
	var pax strings.Builder
	for _, record := range records {
		line := " GNU.sparse." + record + "\n"
		n := len(line) + 1
		for len(strconv.Itoa(n))+len(line) > n {
			n++
		}
		pax.WriteString(strconv.Itoa(n) + line)
	}
	body := ""
	if version == "1.0" {
		body = "1\n" + size + "\n0\n"
		body += strings.Repeat("\x00", 512-len(body))
	}
	block := func(name string, kind byte, data string) string {
		head := make([]byte, 512)
		copy(head, name)
		copy(head[100:], "0000644\x000000000\x000000000\x00")
		copy(head[124:], fmt.Sprintf("%011o\x0000000000000\x00        %c", len(data), kind))
		copy(head[257:], "ustar\x0000")
		sum := 0
		for _, b := range head {
			sum += int(b)
		}
		copy(head[148:], fmt.Sprintf("%06o\x00 ", sum))
		return string(head) + data + strings.Repeat("\x00", (512-len(data)%512)%512)
	}
	return gzipped(t, []byte(block("x", 'x', pax.String())+block("a", '0', body)+strings.Repeat("\x00", 1024)))
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
	for _, version := range []string{"0.0", "0.1", "1.0"} {
		f.Add(sparse(f, version, "1000000"))
	}
	f.Add(pack(f, tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("long/", 40) + "é", Mode: 0o755, Size: 3, Format: tar.FormatPAX}))
	f.Add(pack(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "a/b", Linkname: "../c"}, tar.Header{Typeflag: tar.TypeLink, Name: "d", Linkname: "c"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, err := FromArchive(data)
		if err != nil {
			return
		}
		if err := tree.CheckContained(); err != nil {
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
