/* SPDX-License-Identifier: Apache-2.0 */
/* What writing and reading bundles share. */
#ifndef REPORTS_BUNDLE_PRIVATE_H
#define REPORTS_BUNDLE_PRIVATE_H

#include <lz4frame.h>
#include <stdint.h>

/* The one frame that a content of this size is written as: its size is told, each block and the
 * whole have a checksum, and a block can be read without those before it. */
void bundle_preferences(uint64_t content, LZ4F_preferences_t *ret);

#endif
