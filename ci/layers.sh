#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks over the #include lines which folder may include which: everyone core/, core/ nobody, siblings never.
set -eu
cd "$(dirname "$0")/.."
shopt -s nullglob globstar
files=({core,sim,faults,drivers,reports}/**/*.[ch])
[ ${#files[@]} -gt 0 ] || exit 0

LC_ALL=C awk '
function room(path) { return path ~ /\// ? substr(path, 1, index(path, "/") - 1) : "" }
function allowed(file, from, to, path)
{
	if (file == "core/main.c" || to == from || to == "core")
		return 1
	if (to == "sim")
		return file == "drivers/sim.c"
	# The stand-in platform runs the real backup engine as its backup agent.
	if (file ~ /^sim\/minilepton\//)
		return path ~ /^drivers\/store\//
	return 0
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, part, "\"")
	from = room(FILENAME)
	to = room(part[2])
	if (to !~ /^(core|sim|faults|drivers|reports|tests)$/)
		why = "write project includes from the root, like \"core/error.h\""
	else if (allowed(FILENAME, from, to, part[2]))
		next
	else
		why = from "/ must not include " to "/"
	printf "%s:%d: layer: %s: %s\n", FILENAME, FNR, why, part[2]
	found = 1
}
END { exit found }
' "${files[@]}"
