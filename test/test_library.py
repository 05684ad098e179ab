# SPDX-License-Identifier: BSD-3-Clause
"""libixgbed as somebody else meets it: installed, found by pkg-config, linked shared and static; the examples and
the README's program on software cards. What it exports and documents: test/unit/library.py."""
import json
import os
import re
import subprocess
import types

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap, wrpcap

import lab

EXAMPLES = ["forward", "generate", "pcap", "queues"]


def build_options():
    options = json.loads((lab.BUILD / "meson-info" / "intro-buildoptions.json").read_text())
    return {option["name"]: option["value"] for option in options}


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The library as `meson install` leaves it: environment, folders, flags of its compiler."""
    root = tmp_path_factory.mktemp("installed")
    options = build_options()
    prefix = root / options["prefix"].lstrip("/")
    libraries = prefix / options["libdir"]
    subprocess.run(["meson", "install", "-C", lab.BUILD, "--no-rebuild", "--quiet", "--destdir", root], check=True,
                   stdout=subprocess.DEVNULL, timeout=lab.PATIENCE * 4)
    env = {"PKG_CONFIG_SYSROOT_DIR": str(root), "PKG_CONFIG_PATH": str(libraries / "pkgconfig"),
           "LD_LIBRARY_PATH": str(libraries), "IXGBED_NICSIM": str(prefix / options["bindir"] / "nicsim")}
    sanitized = options["b_sanitize"] != "none"
    return types.SimpleNamespace(
        prefix=prefix, libraries=libraries, env=env, sanitized=sanitized, share=prefix / options["datadir"],
        include=prefix / options["includedir"],
        c=["clang", f"-fsanitize={options['b_sanitize']}"] if sanitized else ["gcc"],
        cpp=["clang++"] + ([f"-fsanitize={options['b_sanitize']}"] if sanitized else []))


def flags(installed, *what):
    return subprocess.run(["pkg-config", *what], env={**os.environ, **installed.env}, check=True, text=True,
                          capture_output=True).stdout.split()


def build(installed, source, program, *needs, static=False, compiler=None):
    """Compiles as the documentation says."""
    library = flags(installed, "--cflags", "--libs", *(["--static"] if static else []), "ixgbed")
    how = []
    if static and (installed.sanitized or needs):
        # Neither a sanitizer's runtime nor libpcap is to be had without shared libraries.
        library = ["-l:libixgbed.a" if word == "-lixgbed" else word for word in library]
    elif static:
        how = ["-static"]
    done = subprocess.run([*(compiler or installed.c), "-Wall", "-Wextra", "-Werror", *how, str(source), "-o",
                           str(program), *library, *needs], text=True, capture_output=True, timeout=lab.PATIENCE * 4)
    assert done.returncode == 0, done.stderr
    return str(program)


@pytest.fixture(scope="session", params=["shared", "static"])
def built(installed, request, tmp_path_factory):
    """The examples, from where they are installed."""
    folder = tmp_path_factory.mktemp(request.param)
    for name in EXAMPLES:
        build(installed, installed.share / "doc" / "ixgbed" / "examples" / f"{name}.c", folder / name,
              *(flags(installed, "--libs", "libpcap") if name == "pcap" else []), static=request.param == "static")
    return folder


@pytest.fixture
def example(run, installed, built):
    run.env.update(installed.env)
    return lambda name: str(built / name)


def frames_of(path):
    return [bytes(frame) for frame in rdpcap(str(path))]


def whole(path, count):
    """Waits until a capture that is being written holds so many frames of 60 bytes."""
    lab.wait_for(lambda: path.exists() and path.stat().st_size == 24 + count * 76, f"{count} frames in {path}")


def card(run, name, wire):
    """A card at a socket; its address."""
    process = run.start("nicsim", "--device", "x540", "--socket", run.dir / name, "--wire", wire, "--strict")
    process.expect(rf"on {re.escape(str(run.dir / name))}")
    return f"vfio-user:{run.dir / name}"


def udp(count):
    """Frames of as many connections, 60 bytes each."""
    return [Ether(src="02:00:00:00:00:99", dst="02:00:00:00:00:98") / IP(src="10.0.0.1", dst=f"10.0.1.{i % 200 + 1}") /
            UDP(sport=1000 + i, dport=2000) / (b"%18d" % i) for i in range(count)]


# --- the library ---

def test_what_is_installed(installed):
    names = {path.name for path in installed.libraries.iterdir() if path.name.startswith("libixgbed")}
    assert {"libixgbed.a", "libixgbed.so", "libixgbed.so.0"} <= names
    assert os.readlink(installed.libraries / "libixgbed.so") == "libixgbed.so.0"
    headers = {str(path.relative_to(installed.include)) for path in installed.include.rglob("*.h")}
    assert headers == {f"ixgbed/{name}.h" for name in (
        "nic/card", "nic/forward", "nic/nic", "nic/pool", "pci/mem", "pci/pci", "scheme/ring", "scheme/scheme")}
    assert flags(installed, "--modversion", "ixgbed") == ["0.1.0"]
    examples = installed.share / "doc" / "ixgbed" / "examples"
    assert {path.stem for path in examples.iterdir()} == set(EXAMPLES)
    for path in examples.iterdir():
        assert len(path.read_text().splitlines()) < 100, f"{path.name} is no short example any more"


def test_from_cpp(run, installed):
    """The page of counters, which has other types in C++, is laid out as in C."""
    shape = r"""
#include <stdio.h>
#include <stddef.h>
#include <scheme/scheme.h>

static void print_shape(void)
{
	printf("%zu %zu %zu\n", sizeof(struct scheme_status), offsetof(struct scheme_status, error),
		offsetof(struct scheme_status, lost));
}
"""
    c = shape + "int main(void) { print_shape(); return 0; }"
    cpp = shape + r"""
#include <nic/card.h>
#include <scheme/ring.h>

int main()
{
	struct nic_card card;
	struct pci_error why;
	const struct scheme_status *status = nullptr;

	print_shape();
	if (nic_card_open(&card, "sim:loop", nullptr, nullptr, &why))
		return puts(why.text), 1;
	puts(nic_model(card.nic));
	puts(scheme_strerror(scheme_open("network:none", 0, &status)));
	nic_card_close(&card);
	return scheme_open_ring("network:none", 2, nullptr, nullptr) == 0;
}
"""
    run.env.update(installed.env)
    (run.dir / "program.c").write_text(c, encoding="ascii")
    (run.dir / "program.cpp").write_text(cpp, encoding="ascii")
    code, shape = run.call(build(installed, run.dir / "program.c", run.dir / "c"))
    assert code == 0 and re.fullmatch(r"\d+ 16 72", shape)
    code, text = run.call(build(installed, run.dir / "program.cpp", run.dir / "cpp",
                                compiler=[*installed.cpp, "-std=c++17"]))
    assert code == 0 and text.splitlines()[:2] == [shape, "Intel X540-T2"], text


def test_the_program_of_the_readme(run, installed):
    section = (lab.ROOT / "README.md").read_text(encoding="utf-8").split("## Use it as a library")[1].split("\n## ")[0]
    [source] = re.findall(r"```c\n(.*?)```", section, re.S)
    assert len(source.splitlines()) <= 20
    (run.dir / "first.c").write_text(source, encoding="utf-8")
    run.env.update(installed.env)
    program = build(installed, run.dir / "first.c", run.dir / "first")
    for address in ([], ["sim:gen:60"], [card(run, "socket", "gen:60@100000")]):
        code, text = run.call(program, *address)
        assert code == 0 and 1000 <= len(text.splitlines()) < 1032 and set(text.splitlines()) == {"60 bytes"}
    code, text = run.call(program, "nonsense")
    assert code == 1 and "no address of a PCI function" in text and len(text.splitlines()) == 1


# --- the examples ---

@pytest.mark.parametrize("size", [[], ["1514"]])
def test_generate(run, example, size):
    code, text = run.call(example("generate"), "sim:pcap:-,out.pcap", 2000, *size)
    assert code == 0 and re.fullmatch(r"2000 frames, \d+ a second", text)
    frames = frames_of(run.dir / "out.pcap")
    assert len(frames) == 2000
    for number, frame in enumerate(frames):
        assert len(frame) == int(size[0] if size else 60)
        assert frame[:6] == b"\xff" * 6 and frame[6] == 2 and frame[12:14] == b"\x88\xb5"
        assert int.from_bytes(frame[14:22], "little") == number and not any(frame[22:])


def test_generate_until_interrupted(run, example):
    program = run.start(example("generate"), card(run, "socket", f"pcap:-,{run.dir}/out.pcap"))
    lab.wait_for(lambda: (run.dir / "out.pcap").stat().st_size > 24 + 1000 * 76, "1000 frames")
    program.signal(2)
    assert program.wait() == 0
    assert int(re.match(r"(\d+) frames", program.text)[1]) >= 1000


def test_pcap(run, example):
    sent = udp(300)
    wrpcap(str(run.dir / "in.pcap"), sent)
    code, text = run.call(example("pcap"), "sim:pcap:in.pcap", "out.pcap", 300)
    assert (code, text) == (0, "300 frames")
    assert frames_of(run.dir / "out.pcap") == [bytes(frame) for frame in sent]


def test_pcap_until_interrupted(run, example):
    wrpcap(str(run.dir / "in.pcap"), udp(10))
    program = run.start(example("pcap"), card(run, "socket", f"pcap:{run.dir}/in.pcap"), "out.pcap")
    lab.wait_for(lambda: (run.dir / "out.pcap").exists(), "the file")
    program.signal(15)
    assert program.wait() == 0
    assert re.fullmatch(r"\d+ frames", program.text) and len(frames_of(run.dir / "out.pcap")) == int(
        program.text.split()[0])


def test_forward_sends_back(run, example):
    wrpcap(str(run.dir / "in.pcap"), udp(700))
    program = run.start(example("forward"), "sim:pcap:in.pcap,out.pcap")
    whole(run.dir / "out.pcap", 700)
    assert program.stop() == 0
    assert program.lines == ["forwarding", "700 frames, 0 of them multicast"]
    assert frames_of(run.dir / "out.pcap") == [bytes(frame) for frame in udp(700)]


def test_forward_between_two_cards(run, example):
    """Both ways: what the left card gets leaves by the right one, and the other way round."""
    wrpcap(str(run.dir / "left.pcap"), udp(700))
    wrpcap(str(run.dir / "right.pcap"), udp(300))
    right = card(run, "right", f"pcap:{run.dir}/right.pcap,{run.dir}/right-out.pcap")
    program = run.start(example("forward"), "sim:pcap:left.pcap,left-out.pcap", right)
    whole(run.dir / "right-out.pcap", 700)
    whole(run.dir / "left-out.pcap", 300)
    assert program.stop() == 0
    assert program.lines == ["forwarding", "1000 frames, 0 of them multicast"]
    assert frames_of(run.dir / "right-out.pcap") == [bytes(frame) for frame in udp(700)]
    assert frames_of(run.dir / "left-out.pcap") == [bytes(frame) for frame in udp(300)]


def test_queues(run, example):
    """Less than a ring holds: a queue that is full loses frames rather than hold the other up."""
    os.mkfifo(run.dir / "in")
    program = run.start(example("queues"), "sim:pcap:in,out.pcap")
    program.expect("running")
    wrpcap(str(run.dir / "in"), udp(400))
    whole(run.dir / "out.pcap", 400)
    assert program.stop() == 0
    counts = [int(n) for n in re.findall(r"queue \d: (\d+) frames", program.text)]
    assert len(counts) == 2 and sum(counts) == 400 and all(counts)
    assert sorted(frames_of(run.dir / "out.pcap")) == sorted(bytes(frame) for frame in udp(400))


@pytest.mark.parametrize("name, arguments", [
    ("forward", []), ("forward", ["a", "b", "c"]), ("generate", []), ("generate", ["sim:", "0"]),
    ("generate", ["sim:", "1", "21"]), ("generate", ["sim:", "1", "1515"]), ("pcap", ["sim:"]),
    ("pcap", ["sim:", "out", "0"]), ("queues", [])])
def test_wrong_usage(run, name, arguments):
    code, text = run.call(str(lab.BUILD / "examples" / f"example_{name}"), *arguments)
    assert code == 2 and text.startswith(f"usage: {name} ADDRESS")


@pytest.mark.parametrize("name, arguments, words", [
    ("forward", ["sim:none"], "no such kind"), ("forward", ["sim:", "sim:none"], "no such kind"),
    ("generate", ["nonsense"], "no address"), ("generate", ["vfio-user:none"], "no such socket"),
    ("pcap", ["sim:none", "out.pcap"], "no such kind"), ("pcap", ["sim:", "/none/out.pcap"], "/none/out.pcap"),
    ("queues", ["sim:none"], "no such kind")])
def test_what_is_wrong_is_told(run, name, arguments, words):
    code, text = run.call(str(lab.BUILD / "examples" / f"example_{name}"), *arguments)
    assert code == 1 and text.startswith(f"{name}: ") and words in text and len(text.splitlines()) == 1


@pytest.mark.parametrize("name, arguments", [
    ("forward", []), ("generate", []), ("pcap", ["out.pcap"]), ("queues", [])])
def test_a_card_that_is_gone_ends_them(run, name, arguments):
    process = run.start("nicsim", "--device", "x540", "--socket", run.dir / "s", "--wire", "loop", "--verbose")
    process.expect("nicsim: x540")
    program = run.start(str(lab.BUILD / "examples" / f"example_{name}"), f"vfio-user:{run.dir}/s", *arguments)
    process.expect("a client came")
    process.kill()
    assert program.wait() == 1, program.text
