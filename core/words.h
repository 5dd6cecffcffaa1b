/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people say them, in messages, findings, plans and reports. */
#ifndef CORE_WORDS_H
#define CORE_WORDS_H

#include <stddef.h>

#include "core/clock.h"
#include "core/dist.h"

#define WORDS_MAX 96 /* room that every function below needs; each returns its `out` */

#define WORDS_NONE "\xe2\x80\x94" /* an em dash, for NAN: not measured, not reached */

/* "3 min 32 s", "2 h 30 min", "1 d 4 h", "250 ms", "0 s"; INFINITY "without end". */
const char *words_duration(char out[WORDS_MAX], double seconds);
/* With a decimal, and with seconds below a day: "3 min 32.4 s", "1 d 3 h 20 min". */
const char *words_duration_exact(char out[WORDS_MAX], double seconds);
/* The same of nanoseconds; NANOS_NEVER is "never". */
const char *words_nanos(char out[WORDS_MAX], nanos value);
/* SI units: "1.2 GB", "512 kB", "17 B"; INFINITY "unlimited". */
const char *words_bytes(char out[WORDS_MAX], double bytes);
/* "97 %", "99.9995 %": as many digits as keep it apart from 100 %, never rounded up to it. */
const char *words_percent(char out[WORDS_MAX], double fraction);
/* "28,800", "0.25". */
const char *words_number(char out[WORDS_MAX], double value);
/* Of times: "20 min", "uniform 20 s to 30 s", "lognormal, median 20 min, sigma 0.3". */
const char *words_dist(char out[WORDS_MAX], const struct dist *dist);
/* "time scale 1:20, bytes 1:100000". */
const char *words_scale(char out[WORDS_MAX], double time_scale, double bytes_scale);
/* Columns a UTF-8 text takes on a terminal; one per character, which holds for what drsim itself
 * prints. */
size_t words_columns(const char *text);

#endif
