#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the test programs named, shows the closing line of each, and the output of those that fail.
# CHECK_WRAP, when set, is put before each program (valgrind). With CHECK_AGAIN a program that failed runs once more, and
# both outputs are shown: drills in real time meet what else a host does. With CHECK_JOBS so many programs run at a time,
# which is for tests that measure no time. Exit 1 when anything failed or nothing ran.
set -u
if [ "${CHECK_JOBS:-1}" -gt 1 ] && [ $# -gt 1 ]; then
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	for ((job = 0; job < CHECK_JOBS; job++)); do
		share=()
		for ((i = job + 1; i <= $#; i += CHECK_JOBS)); do
			share+=("${!i}")
		done
		[ ${#share[@]} -eq 0 ] || CHECK_JOBS=1 "$0" "${share[@]}" >"$folder/$job" 2>&1 &
	done
	wait
	sed '/^total: [0-9]* programs, /d' "$folder"/*
	sed -n 's/^total: \([0-9]*\) programs, \([0-9]*\) checks, \([0-9]*\) failures, \([0-9]*\) errors, \([0-9]*\) fuzz .*, \([0-9]*\) programs failed$/\1 \2 \3 \4 \5 \6/p' \
		"$folder"/* | awk -v asked=$# '{ for (i = 1; i <= 6; i++) sum[i] += $i }
		END { printf "total: %d programs, %d checks, %d failures, %d errors, %d fuzz inputs replayed, %d programs failed\n",
			sum[1], sum[2], sum[3], sum[4], sum[5], sum[6]; exit !(sum[1] == asked && sum[6] == 0) }'
	exit
fi
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-120}
export CK_VERBOSITY=normal
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
programs=0 bad=0 checks=0 failures=0 errors=0 inputs=0

run() {
	# shellcheck disable=SC2086 # the wrapper is words on purpose
	timeout -k 10 1200 ${CHECK_WRAP:-} "$program" >"$log" 2>&1
}

for program in "$@"; do
	name=${program##*/}
	programs=$((programs + 1))
	run
	rc=$?
	if [ $rc -ne 0 ] && [ -n "${CHECK_AGAIN:-}" ]; then
		printf -- '---- %s: exit %d, runs once more\n' "$name" "$rc"
		cat "$log"
		printf -- '----\n'
		run
		rc=$?
	fi
	line=$(grep -aE '^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$|^replayed: [0-9]+ of ' "$log" | tail -n 1)
	if [[ $line =~ Checks:\ ([0-9]+),\ Failures:\ ([0-9]+),\ Errors:\ ([0-9]+) ]]; then
		checks=$((checks + BASH_REMATCH[1]))
		failures=$((failures + BASH_REMATCH[2]))
		errors=$((errors + BASH_REMATCH[3]))
	elif [[ $line =~ replayed:\ ([0-9]+) ]]; then
		inputs=$((inputs + BASH_REMATCH[1]))
	elif [ $rc -eq 0 ]; then
		rc=1 # it left without a result
	fi
	printf '%-24s %s\n' "$name" "${line:-no result}"
	grep -a '^skipped: ' "$log"
	if [ $rc -ne 0 ]; then
		bad=$((bad + 1))
		printf -- '---- %s: exit %d\n' "$name" "$rc"
		cat "$log"
		printf -- '----\n'
	fi
done
echo "total: $programs programs, $checks checks, $failures failures, $errors errors, $inputs fuzz inputs replayed, $bad programs failed"
[ "$programs" -gt 0 ] && [ "$bad" -eq 0 ]
