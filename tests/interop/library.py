"""The installed client library: what `make install` puts where, and a program that knows nothing else."""
import os
import re
import subprocess

from harness import BUILD, ROOT, WORK, check, gregor, need, need_equal, run, single, Skipped

TREE = os.path.join(WORK, "installed")


def installed():
    if os.path.exists(TREE):
        return
    done = run(["make", "-s", "-C", ROOT, "install", "DESTDIR=" + TREE, "PREFIX=/usr"], limit=600)
    need(done.code == 0, "make install: " + done.errors)


def flags(*more):
    environment = dict(os.environ, PKG_CONFIG_PATH=os.path.join(TREE, "usr/lib/pkgconfig"),
                       PKG_CONFIG_SYSROOT_DIR=TREE, PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1",
                       PKG_CONFIG_ALLOW_SYSTEM_LIBS="1")
    done = subprocess.run(["pkg-config", *more, "--cflags", "--libs", "gregor"], env=environment,
                          capture_output=True, text=True, timeout=20)
    need(done.returncode == 0, "pkg-config: " + done.stderr)
    return done.stdout.split()


def example():
    with open(os.path.join(ROOT, "client", "README.md")) as readme:
        text = re.search(r"```c\n(.*?)```", readme.read(), re.S).group(1)
    path = os.path.join(WORK, "example.c")
    with open(path, "w") as out:
        out.write(text)
    return path


def build(name, *arguments):
    program = os.path.join(WORK, name)
    done = run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", program,
                *arguments], limit=120)
    need(done.code == 0, "cc: " + done.errors)
    return program


@check("library: make install puts header, libraries, gregor.pc, programs; only gregor.h's symbols "
       "are visible")
def tree():
    installed()
    for path in ("include/gregor.h", "lib/libgregor.a", "lib/libgregor.so", "lib/libgregor.so.0",
                 "lib/pkgconfig/gregor.pc", "bin/gregor", "bin/gregor-broker",
                 "bin/kafka-topics.sh"):
        need(os.path.exists(os.path.join(TREE, "usr", path)), path + " is missing")
    with open(os.path.join(TREE, "usr/include/gregor.h")) as header:
        text = re.sub(r"/\*.*?\*/|typedef[^;]*;", "", header.read(), flags=re.S)
    declared = set(re.findall(r"\b(gregor_[a-z_]+)\(", text))
    for library, options in (("libgregor.so", ["-D"]), ("libgregor.a", ["-g"])):
        done = run(["nm", *options, "--defined-only", os.path.join(TREE, "usr/lib", library)])
        visible = set(line.split()[2] for line in done.text.splitlines() if len(line.split()) == 3)
        need_equal(sorted(visible), sorted(declared), library)
    done = run(["objdump", "-p", os.path.join(TREE, "usr/lib/libgregor.so")])
    need(re.search(r"SONAME\s+libgregor.so.0\n", done.text), "soname: " + done.text)


def produces_and_consumes(program, node, environment=None):
    done = subprocess.run([program, node.address], env=environment, capture_output=True, text=True,
                          timeout=60)
    need(done.returncode == 0, "program: " + done.stderr)
    need_equal(done.stdout, "".join("%d hello %d\n" % (n, n) for n in range(1000)), "its output")


@check("library: the example of client/README.md, against the shared library")
def shared():
    installed()
    node = single("library-shared").start()
    program = build("example", example(), *flags())
    need("libgregor.so.0" in run(["objdump", "-p", program]).text, "not linked to the library")
    produces_and_consumes(program, node,
                          dict(os.environ, LD_LIBRARY_PATH=os.path.join(TREE, "usr/lib")))


@check("library: the example of client/README.md, against the static library")
def static():
    installed()
    node = single("library-static").start()
    archive = os.path.join(TREE, "usr/lib/libgregor.a")
    libraries = [archive if flag == "-lgregor" else flag for flag in flags("--static")]
    program = build("example-static", example(), *libraries)
    produces_and_consumes(program, node)


@check("library: the header in C++")
def plus_plus():
    installed()
    path = os.path.join(WORK, "example.cc")
    with open(path, "w") as out:
        out.write("#include <gregor.h>\nint main() { return gregor_version()[0] == 0; }\n")
    if run(["sh", "-c", "command -v c++"]).code != 0:
        raise Skipped("no C++ compiler")
    done = run(["c++", "-Wall", "-Wextra", "-Werror", "-o", os.path.join(WORK, "plus"), path,
                *flags()], limit=120)
    need(done.code == 0, "c++: " + done.errors)
