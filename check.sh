#!/usr/bin/env bash
# Everything that must hold before a change lands: formats, warnings, analysis, unit tests, the tests from
# outside, sanitizers, fuzzers, real kernels in guests. Stops at the first thing that does not hold.
#
#     check.sh            all of it
#     check.sh NAME ...   only these: format build guests lint unit model races docs quickstart fuzz sanitize outside
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"

.ci/install check
build=build-check # apart from a developer's own build/
jobs=$(nproc)
export IXGBED_GUEST=${IXGBED_GUEST:-$PWD/build-guest}

say() { printf '\n== %s (%s)\n' "$*" "$(date +%T)"; }

configure() { # FOLDER COMPILER OPTION...
	local folder=$1 compiler=$2
	shift 2
	[ -f "$build/$folder/build.ninja" ] ||
		CC=$compiler meson setup "$build/$folder" -Dwerror=true "$@" >"$build/$folder.log" 2>&1 ||
		{ cat "$build/$folder.log"; return 1; }
	ninja -C "$build/$folder" -j "$jobs" --quiet
}

units() { # FOLDER
	meson test -C "$build/$1" --no-rebuild --print-errorlogs --num-processes "$jobs" | tail -n 12
}

# The tests in which a card moves frames.
outside_short() { # FOLDER PYTEST-ARGUMENT...
	local folder=$1
	shift
	IXGBED_BUILD=$PWD/$build/$folder /usr/bin/python3 -m pytest -q -p no:cacheprovider test/test_nicsim*.py \
		test/test_nic.py test/test_nic_queues.py test/test_wires.py test/test_ixgbed.py test/test_conformance.py "$@"
}

outside() { # FOLDER PYTEST-ARGUMENT...
	local folder=$1
	shift
	IXGBED_BUILD=$PWD/$build/$folder /usr/bin/python3 -m pytest -q -p no:cacheprovider test "$@"
}

step_format() {
	say "clang-format"
	git ls-files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror
}

step_build() {
	say "gcc and clang, warnings are errors"
	configure gcc gcc
	configure clang clang
}

step_lint() {
	configure clang clang
	say "clang-tidy"
	# The analyzer's search for paths takes most of the time: tests run under sanitizers instead.
	tidy() { xargs -r -P "$jobs" -n 1 clang-tidy --quiet -p "$build/clang" "$@" 2>/dev/null; }
	git ls-files '*.c' ':!test' | tidy
	git ls-files 'test/*.c' ':!test/fuzz' | tidy --checks='-clang-analyzer-*'
}

step_unit() {
	configure gcc gcc
	say "unit tests"
	units gcc
}

step_model() {
	say "the rings' sleeping and waking, every state of it"
	test/model/run "$build/model"
}

step_races() {
	configure races clang -Db_sanitize=thread -Db_lundef=false
	say "rings between two threads under TSan"
	"$build/races/test/unit/unit_rings_threads"
}

# What takes long and one processor at most runs beside what follows, until wait_for_all.
declare -A beside
run_beside() { # NAME COMMAND...
	local name=$1
	shift
	"$@" >"$build/$name.log" 2>&1 &
	beside[$name]=$!
	trap 'wait' EXIT # whatever fails: nothing is left running
}

wait_for_all() {
	local name failed=0
	for name in "${!beside[@]}"; do
		say "what ran beside: $name"
		if wait "${beside[$name]}"; then
			tail -n 1 "$build/$name.log"
		else
			cat "$build/$name.log"
			failed=1
		fi
	done
	return "$failed"
}

guests() {
	test/guest/prepare
	outside gcc -m guest
}

step_guests() {
	configure gcc gcc
	say "guests: QEMU and real kernels, beside what follows"
	run_beside guests guests
}

step_sanitize() {
	configure sanitize clang -Db_sanitize=address,undefined -Db_lundef=false
	say "unit tests under ASan and UBSan"
	units sanitize
	say "tests from outside under ASan and UBSan, beside what follows"
	IXGBED_PATIENCE=60 run_beside sanitize outside sanitize -m "not guest and not valgrind and not traced"
}

step_outside() {
	configure gcc gcc
	say "tests from outside"
	outside gcc -m "not guest"
	say "what a card does, with mapped doorbells"
	IXGBED_DOORBELLS=mapped outside_short gcc
}

step_fuzz() {
	configure fuzz clang -Dfuzz=true -Dtests=false -Db_sanitize=address,undefined -Db_lundef=false
	say "fuzzers, a short run each"
	test/fuzz/run "$build/fuzz" "${IXGBED_FUZZ_SECONDS:-20}"
}

step_docs() {
	say "man pages"
	local page
	for page in doc/*.scd; do scdoc <"$page" >/dev/null || { echo "$page"; return 1; }; done
}

step_quickstart() {
	say "quickstart.sh"
	./quickstart.sh
}

mkdir -p "$build"
steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(format build guests lint unit model races docs quickstart fuzz sanitize outside)
for step in "${steps[@]}"; do
	declare -F "step_$step" >/dev/null || { echo "check.sh: no step $step; see its head" >&2; exit 2; }
	"step_$step"
done
wait_for_all
say "all held: ${steps[*]}"
