#!/usr/bin/env bash
# Everything that must hold before a change lands: formats, warnings, analysis, unit tests, the tests from
# outside, sanitizers, fuzzers, real kernels in guests. Stops at the first thing that does not hold. What waits more than
# it computes runs beside the rest, which takes what processor time that leaves.
#
#     check.sh            all of it
#     check.sh NAME ...   only these: format build unit guests outside sanitize lint model races docs quickstart fuzz
set -euo pipefail
cd "$(dirname "$(realpath "$0")")"

.ci/install check
build=build-check # apart from a developer's own build/
jobs=$(nproc)
export IXGBED_GUEST=${IXGBED_GUEST:-$PWD/build-guest}

say() { printf '\n== %s (%s)\n' "$*" "$(date +%T)"; }

# What only computes, behind what has limits to keep.
yielding() { # COMMAND...
	nice -n 10 "$@"
}

configure() { # FOLDER COMPILER OPTION...
	local folder=$1 compiler=$2
	shift 2
	[ -f "$build/$folder/build.ninja" ] ||
		CC=$compiler meson setup "$build/$folder" -Dwerror=true "$@" >"$build/$folder.log" 2>&1 ||
		{ cat "$build/$folder.log"; return 1; }
	ninja -C "$build/$folder" -j "$jobs" --quiet
}

units() { # FOLDER
	meson test -C "$build/$1" --no-rebuild --print-errorlogs --timeout-multiplier 4 --num-processes "$jobs" | tail -n 12
}

# The tests in which a card moves frames.
short=(test/test_nicsim*.py test/test_nic.py test/test_nic_queues.py test/test_wires.py test/test_ixgbed.py
	test/test_conformance.py)

outside() { # FOLDER PYTEST-ARGUMENT...
	local folder=$1
	shift
	IXGBED_BUILD=$PWD/$build/$folder /usr/bin/python3 -m pytest -q -p no:cacheprovider "$@"
}

step_format() {
	say "clang-format"
	git ls-files '*.c' '*.h' | xargs -r clang-format --dry-run -Werror
}

configure_sanitize() {
	configure sanitize clang -Db_sanitize=address,undefined -Db_lundef=false
}

step_build() {
	say "gcc and clang, warnings are errors; ASan and UBSan"
	configure gcc gcc
	configure clang clang
	configure_sanitize
}

step_lint() {
	configure clang clang
	say "clang-tidy"
	# The analyzer's search for paths takes most of the time: tests run under sanitizers instead.
	tidy() { yielding xargs -r -P "$jobs" -n 1 clang-tidy --quiet -p "$build/clang" "$@" 2>/dev/null; }
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
			grep ' in [0-9.]*s' "$build/$name.log" # how many passed
		else
			cat "$build/$name.log"
			failed=1
		fi
	done
	return "$failed"
}

# Of the guests, those that take about half the time.
linux=(test/test_judge_linux.py test/test_judge_offloads.py test/test_judge_removal.py)

guests() { # PYTEST-ARGUMENT...
	test/guest/prepare
	outside gcc -m guest "$@"
}

step_guests() {
	configure gcc gcc
	say "guests: QEMU and real kernels, beside what follows"
	run_beside guests guests test "${linux[@]/#/--ignore=}"
	run_beside linux guests "${linux[@]}"
}

step_sanitize() {
	configure_sanitize
	say "unit tests under ASan and UBSan"
	units sanitize
	say "tests from outside under ASan and UBSan, beside what follows"
	IXGBED_PATIENCE=60 run_beside sanitize outside sanitize -m "not guest and not valgrind and not traced and not once" test
}

each_way() {
	outside gcc -m "not guest" test
	IXGBED_DOORBELLS=mapped outside gcc "${short[@]}"
}

step_outside() {
	configure gcc gcc
	say "tests from outside, then what a card does with mapped doorbells, beside what follows"
	IXGBED_PATIENCE=60 run_beside outside each_way
}

step_fuzz() {
	configure fuzz clang -Dfuzz=true -Dtests=false -Db_sanitize=address,undefined -Db_lundef=false
	say "fuzzers: what is kept, then a minute each at most"
	# From the same seed each time: what held once should not fail by chance. New ways are the long form's to find.
	IXGBED_FUZZ_SEED=${IXGBED_FUZZ_SEED:-1} yielding test/fuzz/run "$build/fuzz" "${IXGBED_FUZZ_SECONDS:-60}"
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
[ ${#steps[@]} -gt 0 ] || steps=(format build unit guests outside sanitize lint model races docs quickstart fuzz)
for step in "${steps[@]}"; do
	declare -F "step_$step" >/dev/null || { echo "check.sh: no step $step; see its head" >&2; exit 2; }
	"step_$step"
done
wait_for_all
say "all held: ${steps[*]}"
