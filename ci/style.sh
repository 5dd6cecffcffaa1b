#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks what a compiler does not: the first lines of a file, width, length of functions, calls that are not used here.
# ci/style.sh [FILE...]: all C files unless named. A line with the comment `style: allow` may call what it likes.
set -eu
cd "$(dirname "$0")/.."
shopt -s nullglob globstar
# Where packages are downloaded from is a setting of the machine, not of the project.
if grep -n '"resolved"' /dev/null tests/web/package-lock.json; then
	echo 'style: a lock file without download addresses: npm install with its .npmrc'
	exit 1
fi
files=("$@")
if [ $# -eq 0 ]; then
	files=({core,sim,faults,drivers,reports,tests}/**/*.[ch])
fi
[ ${#files[@]} -gt 0 ] || exit 0

LC_ALL=C awk '
BEGIN {
	SPDX = "/* SPDX-License-Identifier: Apache-2.0 */"
	WIDTH = 100
	SCREEN = 70
	# Time and chance come from clock and prng, numbers from param, processes from the drivers; the rest has no bound.
	split("time gettimeofday clock clock_gettime localtime gmtime rand srand random srandom drand48 rand_r " \
	      "strtol strtoll strtoul strtoull strtod strtof strtold atoi atol atoll atof sscanf " \
	      "system popen strcpy strcat stpcpy sprintf vsprintf gets strtok tmpnam mktemp alloca", names, " ")
	for (i in names)
		forbidden[names[i]] = 1
}
function say(line, text) { printf "%s:%d: style: %s\n", FILENAME, line, text; found = 1 }

# Columns as a reader sees them: tabs of 8, one for a UTF-8 character.
function width(text,    n, i, part, count)
{
	gsub(/[\200-\277]/, "", text)
	count = split(text, part, "\t")
	n = length(part[1])
	for (i = 2; i <= count; i++)
		n = n - n % 8 + 8 + length(part[i])
	return n
}

# The line without strings and comments; in_comment carries a block comment over to the next line.
function code(text,    out, at)
{
	out = ""
	gsub(/\\./, "", text)
	while (text != "") {
		if (in_comment) {
			at = index(text, "*/")
			if (!at)
				return out
			text = substr(text, at + 2)
			in_comment = 0
		} else if (match(text, /"[^"]*"|\047[^\047]*\047|\/\*|\/\//)) {
			out = out substr(text, 1, RSTART - 1)
			at = substr(text, RSTART, 2)
			if (at == "//")
				return out
			in_comment = at == "/*"
			text = substr(text, RSTART + RLENGTH)
		} else {
			return out text
		}
	}
	return out
}

function calls(text, line,    name, before)
{
	while (match(text, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
		name = substr(text, RSTART, RLENGTH)
		before = RSTART > 1 ? substr(text, RSTART - 1, 1) : ""
		sub(/[ \t]*\($/, "", name)
		if (name in forbidden && before !~ /[.>]/)
			say(line, name "() is not called here")
		text = substr(text, RSTART + RLENGTH)
	}
}

FNR == 1 { in_comment = 0; body = 0; is_test = FILENAME ~ /^(.*\/)?tests\// }
FNR == 1 && $0 != SPDX { say(1, "the first line is not " SPDX) }
FNR == 2 && $0 !~ /^\/\*( +[^ ]|$)/ { say(2, "the second line is not a comment that says what lives here") }
width($0) > WIDTH { say(FNR, width($0) " columns, at most " WIDTH) }
/[ \t\r]$/ { say(FNR, "white space at the end") }
/^\{/ { body = FNR }
/^\}/ && body { if (FNR - body - 1 > SCREEN) say(body, "a function of " FNR - body - 1 " lines, at most " SCREEN); body = 0 }
{
	text = code($0)
	if (!is_test && $0 !~ /\/\* style: allow \*\//)
		calls(text, FNR)
}
END { exit found }
' "${files[@]}"
