#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Looks for writable variables of static storage in a library: state travels as the first argument.
# A signal handler can be given none: names that contain "signal" are let through. A library that is loaded is loaded for
# the whole process: names that begin with "lazy_", what users of core/lazy.h write once, are let through too.
set -euo pipefail
objdump -t "$1" | awk '
/^[^ ]+\.o:/ { file = $1; sub(/:$/, "", file) }
/ O \.(bss|tbss|tdata|data)(\.[^ \t]*)?[ \t]/ && !/\.data\.rel\.ro/ && $NF !~ /signal|^lazy_/ && $NF !~ /^__(gcov|sanitizer|asan|tsan|odr)/ {
	printf "%s: style: writable global %s\n", file, $NF
	found = 1
}
END { exit found }
'
