/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of core/change.h share. */
#ifndef CORE_CHANGE_PRIVATE_H
#define CORE_CHANGE_PRIVATE_H

#include "core/change.h"

/* The first night of the right side of the split of [from, to) that E-divisive finds best; at least
 * two nights. */
size_t change_divide(const struct change_series *series, size_t from, size_t to);
/* Fisher's exact test: of n + m nights `marked` are marked; the chance that `seen` of them or more
 * fall on the m. */
double change_fisher(size_t n, size_t m, size_t marked, size_t seen);
/* One night alone is no change: without the most telling night of the shorter side the rest is
 * still unlike the other side, at a level of 0.1 %. An exact series needs no second
 * night. */
bool change_is_lasting(const struct change_series *series, const struct change *change);

#endif
